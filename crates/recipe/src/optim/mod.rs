//! Optimizer, learning rates and their schedule.

pub mod optimizer;
mod optimizer_args;
mod optimizers_macro;
pub mod options;
mod rates;
mod schedule;
pub mod setting;

use crate::model::Family;
use crate::network::Scope;
use crate::report::Report;
use optimizer::Optimizer;
use options::RawOptim;
use rates::usual_rate;
pub use schedule::{Schedule, ScheduleKind, Warmup};

/// Optimizer section of a recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct Optim {
    /// Which optimizer, with its own settings.
    pub optimizer: Optimizer,
    /// Learning rate of the UNet's adapter (`--unet_lr`, else `--learning_rate`).
    pub unet_lr: f64,
    /// Learning rate of the text encoder's adapter (`--text_encoder_lr`, else `--learning_rate`).
    pub text_encoder_lr: f64,
    /// Learning rate of the adapter of SDXL's second text encoder: the second value of `--text_encoder_lr`, else the
    /// first. 0 = not trained.
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

impl RawOptim {
    pub(crate) fn resolve(&self, scope: Scope, family: Option<Family>, report: &mut Report) -> Optim {
        let optimizer = self.optimizer(report);
        let rates = self.with_rates_for(family, report).rates(scope, &optimizer, report);
        let schedule = self.schedule(&optimizer, report);
        let optim = Optim {
            unet_lr: rates.unet,
            text_encoder_lr: rates.text_encoder,
            text_encoder2_lr: rates.text_encoder2,
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
