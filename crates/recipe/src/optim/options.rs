//! The options about learning, as they may be typed.

use serde::{Serialize, Serializer};

use super::optimizer::Optimizer;

/// What may be typed about learning; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Learning", rename_all = "verbatim")]
pub struct RawOptim {
    /// Name of the optimizer; the text of `--help` lists the rows of `optimizer.rs`.
    #[arg(long, value_name = "NAME", help = optimizer_help())]
    pub optimizer_type: Option<String>,
    /// Settings of the optimizer, for instance weight_decay=0.01 betas=0.9,0.999; a wrong name lists the right ones.
    #[arg(long, value_name = "NAME=VALUE")]
    pub optimizer_args: Option<Vec<String>>,
    /// The old way to write --optimizer_type=AdamW8bit.
    #[arg(long)]
    pub use_8bit_adam: Option<bool>,
    /// The old way to write --optimizer_type=Lion.
    #[arg(long)]
    pub use_lion_optimizer: Option<bool>,
    /// Learning rate of both parts, unless --unet_lr or --text_encoder_lr say otherwise. A low rank or alpha wants
    /// more. [default: 1e-4]
    #[arg(long, value_name = "RATE")]
    pub learning_rate: Option<f64>,
    /// Learning rate of the UNet, the part that burns most easily; 1e-4 is the standard. [default: --learning_rate]
    #[arg(long, value_name = "RATE")]
    pub unet_lr: Option<f64>,
    /// Learning rate of the text encoder, better lower than the UNet's; 5e-5 is recommended. SDXL has two text encoders:
    /// give two values for one each, 0 for one that is not to be trained. [default: --learning_rate]
    #[arg(long, value_name = "RATE")]
    pub text_encoder_lr: Option<Vec<f64>>,
    /// How the learning rate changes: constant, constant_with_warmup, linear, cosine, cosine_with_restarts or
    /// polynomial. With AdamW, constant overtrains easily; cosine_with_restarts is a good choice. [default: constant]
    #[arg(long, value_name = "NAME")]
    pub lr_scheduler: Option<String>,
    /// Steps in which the learning rate grows from 0 at the start; a number below 1 or with a % sign is a share of all
    /// steps. [default: 0]
    #[arg(long, value_name = "STEPS")]
    #[serde(serialize_with = "number_if_possible")]
    pub lr_warmup_steps: Option<String>,
    /// With cosine_with_restarts: how many times the rate starts from the top. [default: 1]
    #[arg(long, value_name = "CYCLES")]
    pub lr_scheduler_num_cycles: Option<u32>,
    /// With polynomial: its exponent; 1 is the same as linear. [default: 1]
    #[arg(long, value_name = "POWER")]
    pub lr_scheduler_power: Option<f64>,
    /// Longest gradient that is let through; longer ones are shortened to it. 0 lets all through. [default: 1]
    #[arg(long, value_name = "NORM")]
    pub max_grad_norm: Option<f64>,
    /// Save the weights averaged over the last steps (EMA), about 1 / (1 - this) of them, 0.99 to 0.9999: calmer than
    /// those of the last step. Files, pictures and validation then have the average. [default: 0, off]
    #[arg(long, value_name = "DECAY")]
    pub ema_decay: Option<f64>,
}

/// The text of `--help` for `--optimizer_type`.
fn optimizer_help() -> String {
    let (adaptive, other) = Optimizer::all().into_iter().partition::<Vec<Optimizer>, _>(Optimizer::adapts);
    format!(
        "Optimizer: {}, or one that finds the size of its steps itself and wants rates of 1: {}. [default: AdamW]",
        names(&other),
        names(&adaptive)
    )
}

fn names(optimizers: &[Optimizer]) -> String {
    let names: Vec<&str> = optimizers.iter().map(Optimizer::name).collect();
    names.join(", ")
}

/// sd-scripts does not convert what it reads from a TOML file, so a number must stand there as one.
fn number_if_possible<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    let Some(text) = text else { return serializer.serialize_none() };
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(steps), _) => serializer.serialize_i64(steps),
        (_, Ok(ratio)) => serializer.serialize_f64(ratio),
        _ => serializer.serialize_str(text),
    }
}
