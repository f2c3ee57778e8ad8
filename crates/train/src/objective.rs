//! The recipe's noise and loss in the terms of `diffusion`.

use lorabake_diffusion::{Prediction, Schedule, Weighting};
use lorabake_recipe::diffusion::{Diffusion, LossKind};

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
            loss: settings.loss,
            weighting: Weighting {
                min_snr_gamma: settings.min_snr_gamma,
                debiased_estimation: settings.debiased_estimation,
                like_noise_prediction: settings.scale_v_loss,
                like_velocity: settings.v_pred_like_loss,
            },
        }
    }
}
