//! The recipe's noise and loss in the terms of `diffusion`.

use lorabake_diffusion::{HuberSchedule, HuberThreshold, LossKind, Prediction, Schedule, Weighting};
use lorabake_recipe::diffusion::{self, Diffusion, Huber, Loss};

/// What the network is asked for, and how its answer is judged; the same in every step.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// The noise schedule.
    pub schedule: Schedule,
    /// What the UNet predicts.
    pub prediction: Prediction,
    /// How errors are measured.
    pub loss: LossKind,
    /// How much the timesteps count.
    pub weighting: Weighting,
}

impl Objective {
    /// The objective of a recipe.
    pub fn new(settings: &Diffusion) -> Self {
        let schedule = Schedule::stable_diffusion();
        Self {
            schedule: if settings.zero_terminal_snr { schedule.zero_terminal_snr() } else { schedule },
            prediction: if settings.v_parameterization { Prediction::V } else { Prediction::Epsilon },
            loss: match settings.loss {
                Loss::L2 => LossKind::L2,
                Loss::L1 => LossKind::L1,
                Loss::Huber(huber) => LossKind::Huber(threshold(huber)),
                Loss::SmoothL1(huber) => LossKind::SmoothL1(threshold(huber)),
            },
            weighting: Weighting {
                min_snr_gamma: settings.min_snr_gamma,
                debiased_estimation: settings.debiased_estimation,
                like_noise_prediction: settings.scale_v_loss,
                like_velocity: settings.v_pred_like_loss,
            },
        }
    }
}

fn threshold(huber: Huber) -> HuberThreshold {
    let schedule = match huber.schedule {
        diffusion::HuberSchedule::Constant => HuberSchedule::Constant,
        diffusion::HuberSchedule::Exponential => HuberSchedule::Exponential,
        diffusion::HuberSchedule::Snr => HuberSchedule::Snr,
    };
    HuberThreshold { schedule, c: huber.c, scale: huber.scale }
}
