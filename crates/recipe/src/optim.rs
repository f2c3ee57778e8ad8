//! Optimizer, learning rates and their schedule.

use serde::{Serialize, Serializer};

use crate::network::Scope;
use crate::pairs::Pairs;
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
    /// `--learning_rate` as typed or its default; kept for metadata.
    pub learning_rate: f64,
    /// How the rates change over the run.
    pub schedule: Schedule,
    /// Largest L2 norm of all gradients together; 0 = no clipping (`--max_grad_norm`).
    pub max_grad_norm: f64,
}

/// An optimizer with its settings (`--optimizer_type`, `--optimizer_args`).
#[derive(Debug, Clone, PartialEq)]
pub enum Optimizer {
    /// torch.optim.AdamW (decoupled weight decay).
    AdamW {
        /// Decay rates of the two moments.
        betas: (f64, f64),
        /// Added to the root of the second moment.
        eps: f64,
        /// Decoupled weight decay.
        weight_decay: f64,
    },
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
    /// Optimizer; only AdamW for now. [default: AdamW]
    #[arg(long, value_name = "NAME")]
    pub optimizer_type: Option<String>,
    /// Settings of the optimizer. [default: betas=0.9,0.999 eps=1e-8 weight_decay=0.01]
    #[arg(long, value_name = "NAME=VALUE")]
    pub optimizer_args: Option<Vec<String>>,
    /// Learning rate of both parts, unless --unet_lr or --text_encoder_lr say otherwise. A low rank or alpha wants
    /// more. [default: 1e-4]
    #[arg(long, value_name = "RATE")]
    pub learning_rate: Option<f64>,
    /// Learning rate of the UNet, the part that burns most easily; 1e-4 is the standard. [default: --learning_rate]
    #[arg(long, value_name = "RATE")]
    pub unet_lr: Option<f64>,
    /// Learning rate of the text encoder, better lower than the UNet's; 5e-5 is recommended. [default: --learning_rate]
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
}

/// Optimizers of sd-scripts that lorabake does not have yet, in lower case.
const OTHER_OPTIMIZERS: [&str; 22] = [
    "adamw8bit",
    "pagedadamw",
    "pagedadamw8bit",
    "pagedadamw32bit",
    "lion",
    "lion8bit",
    "pagedlion8bit",
    "sgdnesterov",
    "sgdnesterov8bit",
    "dadaptation",
    "dadaptadampreprint",
    "dadaptadagrad",
    "dadaptadam",
    "dadaptadan",
    "dadaptadanip",
    "dadaptlion",
    "dadaptsgd",
    "prodigy",
    "adafactor",
    "radamschedulefree",
    "adamwschedulefree",
    "sgdschedulefree",
];

impl RawOptim {
    pub(crate) fn resolve(&self, scope: Scope, report: &mut Report) -> Optim {
        let optimizer = self.optimizer(report);
        let (unet_lr, text_encoder_lr) = self.rates(scope, report);
        Optim {
            optimizer,
            unet_lr,
            text_encoder_lr,
            learning_rate: self.learning_rate.unwrap_or(DEFAULT_RATE),
            schedule: self.schedule(report),
            max_grad_norm: report.amount("max_grad_norm", self.max_grad_norm, 1.0),
        }
    }

    fn optimizer(&self, report: &mut Report) -> Optimizer {
        let name = self.optimizer_type.as_deref().unwrap_or("AdamW");
        let (mut betas, mut eps, mut weight_decay) = ((0.9, 0.999), 1e-8, 0.01);
        let optimizer = Optimizer::AdamW { betas, eps, weight_decay };
        let lower = name.to_ascii_lowercase();
        if OTHER_OPTIMIZERS.contains(&lower.as_str()) {
            let what = format!("{name} is known to sd-scripts, but lorabake does not support it yet");
            let remedy = if lower == "adamw8bit" {
                "use AdamW: it learns the same, and a LoRA has too few weights for 8 bits to save much"
            } else {
                "use AdamW, with --unet_lr=1e-4 --text_encoder_lr=5e-5 and no --optimizer_args"
            };
            report.problem("optimizer_type", what, remedy);
            return optimizer;
        }
        if lower != "adamw" {
            report.problem("optimizer_type", format!("there is no optimizer called `{name}`"), "use AdamW");
            return optimizer;
        }
        let option = "optimizer_args";
        let known = &["betas", "eps", "weight_decay"];
        let later = &["amsgrad", "maximize", "foreach", "capturable", "differentiable", "fused"];
        for (key, text) in (Pairs { option, owner: "AdamW", known, later }).read(self.optimizer_args.as_ref(), report) {
            let read = match key {
                "betas" => pair(text).map(|pair| betas = pair),
                "eps" => at_least_zero(text).map(|value| eps = value),
                _ => at_least_zero(text).map(|value| weight_decay = value),
            };
            if read.is_none() {
                let remedy = "write for instance betas=0.9,0.999 eps=1e-8 weight_decay=0.01";
                report.problem(option, format!("{key}={text} makes no sense"), remedy);
            }
        }
        Optimizer::AdamW { betas, eps, weight_decay }
    }

    /// Learning rates of UNet and text encoder.
    fn rates(&self, scope: Scope, report: &mut Report) -> (f64, f64) {
        if let Some([_, _, ..]) = self.text_encoder_lr.as_deref() {
            let what = "several values are given, but Stable Diffusion 1.x has one text encoder";
            report.problem("text_encoder_lr", what, "give one value");
        }
        let text_encoder_lr = self.text_encoder_lr.as_deref().and_then(|rates| rates.first().copied());
        let parts = [
            ("unet_lr", self.unet_lr, scope != Scope::TextEncoderOnly, "--network_train_text_encoder_only"),
            ("text_encoder_lr", text_encoder_lr, scope != Scope::UnetOnly, "--network_train_unet_only"),
        ];
        if self.learning_rate.is_none() && parts.iter().any(|(_, own, trained, _)| *trained && own.is_none()) {
            let text = "not given, so 1e-4 is used, the usual rate with AdamW (sd-scripts would use 2e-6, \
                        which hardly learns anything)";
            report.note("learning_rate", text);
        }
        let base = self.learning_rate.unwrap_or(DEFAULT_RATE);
        let mut told = Vec::new();
        for (option, own, trained, other_only) in parts {
            let (source, rate) = own.map_or(("learning_rate", base), |own| (option, own));
            if !trained {
                if own.is_some() {
                    report.note(option, format!("has no effect with {other_only}: that part is not trained"));
                }
            } else if !told.contains(&source) {
                told.push(source);
                check_rate(source, rate, other_only, report);
            }
        }
        if self.learning_rate.is_some()
            && ![self.unet_lr, text_encoder_lr].iter().any(|own| own.is_none_or(|own| own == base))
        {
            report.note("learning_rate", "has no effect, because --unet_lr and --text_encoder_lr are both given");
        }
        (self.unet_lr.unwrap_or(base), text_encoder_lr.unwrap_or(base))
    }

    fn schedule(&self, report: &mut Report) -> Schedule {
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
            let text = "has no effect with --lr_scheduler=constant; constant_with_warmup has a warmup";
            report.note("lr_warmup_steps", text);
        }
        if kind == ScheduleKind::ConstantWithWarmup && none {
            report.note("lr_scheduler", "is the same as constant, because --lr_warmup_steps is 0");
        }
        Schedule { kind, warmup }
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

/// sd-scripts' own default, 2e-6, comes from training whole models and teaches a LoRA next to nothing.
const DEFAULT_RATE: f64 = 1e-4;

fn check_rate(option: &str, rate: f64, other_only: &str, report: &mut Report) {
    if rate == 0.0 {
        let remedy = format!("give a rate such as 1e-4, or leave a part untrained with {other_only}");
        report.problem(option, "nothing is learnt at rate 0", remedy);
    } else if !(rate.is_finite() && rate > 0.0) {
        report.problem(option, format!("{rate} is not a learning rate"), "use a number such as 1e-4");
    } else if rate > 0.01 {
        let text = format!("{rate} is far above what AdamW bears and tends to end in noise; 1e-4 is usual");
        report.note(option, text);
    }
}

fn at_least_zero(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0)
}

/// Two decay rates below 1, with or without brackets: `0.9,0.999` or `(0.9, 0.999)`.
fn pair(text: &str) -> Option<(f64, f64)> {
    let (first, second) = text.trim_matches(['(', ')', '[', ']']).split_once(',')?;
    let decay = |text| at_least_zero(text).filter(|value| *value < 1.0);
    decay(first).zip(decay(second))
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
        let Optimizer::AdamW { betas, eps, weight_decay } = optim.optimizer;
        let mut raw = Self {
            optimizer_type: Some("AdamW".to_owned()),
            optimizer_args: Some(vec![
                format!("betas={},{}", betas.0, betas.1),
                format!("eps={eps}"),
                format!("weight_decay={weight_decay}"),
            ]),
            learning_rate: Some(optim.learning_rate),
            unet_lr: Some(optim.unet_lr),
            text_encoder_lr: Some(vec![optim.text_encoder_lr]),
            lr_warmup_steps: Some(match optim.schedule.warmup {
                Warmup::Steps(steps) => steps.to_string(),
                Warmup::Ratio(ratio) => ratio.to_string(),
            }),
            max_grad_norm: Some(optim.max_grad_norm),
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
        };
        raw.lr_scheduler = Some(name.to_owned());
        raw
    }
}
