//! Optimizer, learning rates and their schedule.

use serde::{Serialize, Serializer};

use crate::model::Family;
use crate::network::Scope;
pub use crate::optimizer::Optimizer;
use crate::rates::usual_rate;
use crate::report::Report;

/// Optimizer section of a recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct Optim {
    /// Which optimizer, with its own settings.
    pub optimizer: Optimizer,
    /// Learning rate of the UNet's adapter (`--unet_lr`, else `--learning_rate`).
    pub unet_lr: f64,
    /// Learning rate of the text encoder's adapter (`--text_encoder_lr`, else `--learning_rate`).
    pub text_encoder_lr: f64,
    /// That of SDXL's second text encoder: the second value of `--text_encoder_lr`, or the same. 0 = not trained.
    pub text_encoder2_lr: f64,
    /// `--learning_rate` as typed or its default; kept for metadata.
    pub learning_rate: f64,
    /// How the rates change over the run.
    pub schedule: Schedule,
    /// Largest L2 norm of all gradients together; 0 = no clipping (`--max_grad_norm`).
    pub max_grad_norm: f64,
    /// Averages the trained weights with this decay, and saves the average (`--ema_decay`).
    pub ema_decay: Option<f64>,
}

/// Shape of a learning-rate schedule (`--lr_scheduler`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScheduleKind {
    /// `constant`
    Constant,
    /// `constant_with_warmup`
    ConstantWithWarmup,
    /// `linear`
    Linear,
    /// `cosine`
    Cosine,
    /// `cosine_with_restarts`, with `--lr_scheduler_num_cycles`
    CosineWithRestarts {
        /// Number of restarts.
        cycles: u32,
    },
    /// `polynomial`, with `--lr_scheduler_power`
    Polynomial {
        /// Exponent.
        power: f64,
    },
    /// `adafactor`: none of ours, because the optimizer sets its own rates.
    AdaFactor,
}

/// Length of a warmup.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Warmup {
    /// A number of optimizer steps.
    Steps(u64),
    /// A share of all steps, 0 to 1.
    Ratio(f64),
}

/// A learning-rate schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Its shape.
    pub kind: ScheduleKind,
    /// Its warmup (`--lr_warmup_steps`).
    pub warmup: Warmup,
}

/// What may be typed about learning; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Learning", rename_all = "verbatim")]
pub struct RawOptim {
    /// Optimizer: AdamW, AdamW8bit, Lion, Lion8bit, SGDNesterov, SGDNesterov8bit, AdaFactor, or one that finds the size
    /// of its steps itself and wants rates of 1: Prodigy, DAdaptAdam, DAdaptLion, DAdaptAdaGrad, DAdaptAdan, DAdaptSGD,
    /// DAdaptation. [default: AdamW]
    #[arg(long, value_name = "NAME")]
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

impl RawOptim {
    pub(crate) fn resolve(&self, scope: Scope, family: Option<Family>, report: &mut Report) -> Optim {
        let optimizer = self.optimizer(report);
        self.check_rate_count(family, report);
        let (unet_lr, [text_encoder_lr, text_encoder2_lr]) = self.rates(scope, &optimizer, report);
        let schedule = self.schedule(&optimizer, report);
        let optim = Optim {
            unet_lr,
            text_encoder_lr,
            text_encoder2_lr,
            learning_rate: self.learning_rate.unwrap_or(usual_rate(&optimizer)),
            schedule,
            max_grad_norm: report.amount("max_grad_norm", self.max_grad_norm, 1.0),
            ema_decay: self.ema_decay(report),
            optimizer,
        };
        if matches!(&optim.optimizer, Optimizer::AdaFactor(own) if !own.relative_step) {
            advise_ada_factor(&optim, report);
        }
        optim
    }

    /// The decay of the averaged weights; 0 means that there are none.
    fn ema_decay(&self, report: &mut Report) -> Option<f64> {
        let decay = self.ema_decay.filter(|decay| *decay != 0.0)?;
        if !(0.0..1.0).contains(&decay) {
            let what = format!("{decay} is not a share of the average that stays from step to step");
            report.problem("ema_decay", what, "use a number below 1, such as 0.999");
        }
        Some(decay)
    }

    fn schedule(&self, optimizer: &Optimizer, report: &mut Report) -> Schedule {
        if optimizer.sets_own_rates() {
            return self.no_schedule(report);
        }
        let cycles = report.count("lr_scheduler_num_cycles", self.lr_scheduler_num_cycles, 1);
        let power = report.amount("lr_scheduler_power", self.lr_scheduler_power, 1.0);
        let name = self.lr_scheduler.as_deref().unwrap_or("constant");
        let kind = match name.to_ascii_lowercase().as_str() {
            "constant" => ScheduleKind::Constant,
            "constant_with_warmup" => ScheduleKind::ConstantWithWarmup,
            "linear" => ScheduleKind::Linear,
            "cosine" => ScheduleKind::Cosine,
            "cosine_with_restarts" => ScheduleKind::CosineWithRestarts { cycles },
            "polynomial" => ScheduleKind::Polynomial { power },
            lower if is_ada_factor(lower) => {
                let what = "the schedule adafactor belongs to --optimizer_type=AdaFactor with relative_step=True";
                report.problem("lr_scheduler", what, "use for instance constant_with_warmup");
                ScheduleKind::Constant
            }
            _ => {
                let remedy = "use constant, constant_with_warmup, linear, cosine, cosine_with_restarts or polynomial";
                report.problem("lr_scheduler", format!("lorabake has no schedule called `{name}`"), remedy);
                ScheduleKind::Constant
            }
        };
        if cycles != 1 && !matches!(kind, ScheduleKind::CosineWithRestarts { .. }) {
            let text = format!("has no effect with --lr_scheduler={name}, only with cosine_with_restarts");
            report.note("lr_scheduler_num_cycles", text);
        }
        if power != 1.0 && !matches!(kind, ScheduleKind::Polynomial { .. }) {
            let text = format!("has no effect with --lr_scheduler={name}, only with polynomial");
            report.note("lr_scheduler_power", text);
        }
        let warmup = self.warmup(report);
        let none = matches!(warmup, Warmup::Steps(0));
        if kind == ScheduleKind::Constant && !none {
            let remedy = "use --lr_scheduler=constant_with_warmup, or leave the warmup out";
            report.problem("lr_warmup_steps", "--lr_scheduler=constant has no warmup", remedy);
        }
        if kind == ScheduleKind::ConstantWithWarmup && none {
            report.note("lr_scheduler", "is the same as constant, because --lr_warmup_steps is 0");
        }
        Schedule { kind, warmup }
    }

    /// AdaFactor with relative steps: what is asked for in vain.
    fn no_schedule(&self, report: &mut Report) -> Schedule {
        let why = "has no effect: AdaFactor with relative_step=True sets its own rates";
        if self.lr_scheduler.as_deref().is_some_and(|name| !is_ada_factor(&name.to_ascii_lowercase())) {
            report.note("lr_scheduler", format!("{why}; relative_step=False follows a schedule"));
        }
        if self.warmup(report) != Warmup::Steps(0) {
            report.note("lr_warmup_steps", format!("{why}; warmup_init=True lets them grow slowly"));
        }
        for (option, given) in [
            ("lr_scheduler_num_cycles", self.lr_scheduler_num_cycles.is_some()),
            ("lr_scheduler_power", self.lr_scheduler_power.is_some()),
        ] {
            if given {
                report.note(option, why);
            }
        }
        Schedule { kind: ScheduleKind::AdaFactor, warmup: Warmup::Steps(0) }
    }

    /// A count of steps, or a share of them when below 1 or with a percent sign, as sd-scripts reads it.
    fn warmup(&self, report: &mut Report) -> Warmup {
        let Some(text) = self.lr_warmup_steps.as_deref().map(str::trim) else { return Warmup::Steps(0) };
        let ratio = match text.strip_suffix('%') {
            Some(percent) => at_least_zero(percent).map(|percent| percent / 100.0),
            None => at_least_zero(text),
        };
        match (text.parse::<u64>(), ratio) {
            (Ok(steps), _) => Warmup::Steps(steps),
            (_, Some(0.0)) => Warmup::Steps(0),
            (_, Some(ratio)) if ratio < 1.0 => Warmup::Ratio(ratio),
            _ => {
                let remedy = "use a whole number of steps, such as 100, or a share below 1, such as 0.1";
                report.problem("lr_warmup_steps", format!("`{text}` is not a length of a warmup"), remedy);
                Warmup::Steps(0)
            }
        }
    }
}

/// The name of AdaFactor's own schedule, in which sd-scripts writes down the first rate to show: `adafactor:0.001`.
fn is_ada_factor(name: &str) -> bool {
    name.split(':').next() == Some("adafactor")
}

/// What sd-scripts advises for AdaFactor with rates from outside.
fn advise_ada_factor(optim: &Optim, report: &mut Report) {
    if optim.max_grad_norm != 0.0 {
        report.note("max_grad_norm", "AdaFactor clips its updates itself; 0 leaves the gradients as they are");
    }
    if optim.schedule.kind != ScheduleKind::ConstantWithWarmup {
        report.note("lr_scheduler", "constant_with_warmup suits AdaFactor with relative_step=False best");
    }
}

fn at_least_zero(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0)
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

impl From<&Optim> for RawOptim {
    fn from(optim: &Optim) -> Self {
        let settings = optim.optimizer.settings();
        let mut raw = Self {
            optimizer_type: Some(optim.optimizer.name().to_owned()),
            optimizer_args: Some(settings.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            learning_rate: Some(optim.learning_rate),
            unet_lr: Some(optim.unet_lr),
            text_encoder_lr: Some(match optim.text_encoder_lr == optim.text_encoder2_lr {
                true => vec![optim.text_encoder_lr],
                false => vec![optim.text_encoder_lr, optim.text_encoder2_lr],
            }),
            lr_warmup_steps: Some(match optim.schedule.warmup {
                Warmup::Steps(steps) => steps.to_string(),
                Warmup::Ratio(ratio) => ratio.to_string(),
            }),
            max_grad_norm: Some(optim.max_grad_norm),
            ema_decay: optim.ema_decay,
            ..Self::default()
        };
        let name = match optim.schedule.kind {
            ScheduleKind::Constant => "constant",
            ScheduleKind::ConstantWithWarmup => "constant_with_warmup",
            ScheduleKind::Linear => "linear",
            ScheduleKind::Cosine => "cosine",
            ScheduleKind::CosineWithRestarts { cycles } => {
                raw.lr_scheduler_num_cycles = Some(cycles);
                "cosine_with_restarts"
            }
            ScheduleKind::Polynomial { power } => {
                raw.lr_scheduler_power = Some(power);
                "polynomial"
            }
            ScheduleKind::AdaFactor => "adafactor",
        };
        raw.lr_scheduler = Some(name.to_owned());
        raw
    }
}
