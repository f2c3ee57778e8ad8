//! The training loss: an error per sample, weighted, then the mean over the batch.
//!
//! Order and formulas are those of sd-scripts' `train_network.py`, `train_util.py` and `custom_train_functions.py`.
//! Min-SNR is Hang et al. 2023, arXiv 2303.09556; the Huber losses with schedules come from Khrapov et al. 2024, arXiv
//! 2403.16728; debiased estimation from Yu et al. 2023, arXiv 2310.08442.

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_recipe::diffusion::{HuberSchedule, HuberThreshold, LossKind};

use crate::schedule::{Schedule, TRAIN_STEPS};
use crate::target::Prediction;

/// Weights that depend on the timestep; all of them are factors. The default changes nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Weighting {
    /// Min-SNR weighting (`--min_snr_gamma`).
    pub min_snr_gamma: Option<f64>,
    /// 1 / √SNR, or 1 / (SNR + 1) for velocities (`--debiased_estimation_loss`).
    pub debiased_estimation: bool,
    /// SNR / (SNR + 1) (`--scale_v_pred_loss_like_noise_pred`).
    pub like_noise_prediction: bool,
    /// 1 + this · (SNR + 1) / SNR (`--v_pred_like_loss`).
    pub like_velocity: Option<f64>,
}

impl Weighting {
    /// The factor of each sample: its loss weight (1, or `--prior_loss_weight` for a regularization image) × what its
    /// timestep makes of it.
    ///
    /// # Panics
    /// If there is not one timestep for each loss weight.
    pub fn factors(
        &self,
        schedule: &Schedule,
        prediction: Prediction,
        loss_weights: &[f32],
        timesteps: &[usize],
    ) -> Vec<f32> {
        assert_eq!(timesteps.len(), loss_weights.len(), "one timestep per loss weight");
        let mut factors = Vec::with_capacity(timesteps.len());
        for (weight, t) in loss_weights.iter().zip(timesteps) {
            factors.push(weight * self.factor(schedule, prediction, *t) as f32);
        }
        factors
    }

    /// The factor at timestep `t`. Except for Min-SNR, SNRs above 1000 count as 1000.
    fn factor(&self, schedule: &Schedule, prediction: Prediction, t: usize) -> f64 {
        let snr = schedule.snr(t);
        let limited = snr.min(1000.0);
        let share = limited / (limited + 1.0);
        let mut factor = self.min_snr_gamma.map_or(1.0, |gamma| min_snr_weight(snr, gamma, prediction));
        if self.like_noise_prediction {
            factor *= share;
        }
        if let Some(strength) = self.like_velocity {
            factor *= 1.0 + strength / share;
        }
        if self.debiased_estimation {
            factor /= match prediction {
                Prediction::Epsilon => limited.sqrt(),
                Prediction::V => limited + 1.0,
            };
        }
        factor
    }
}

fn min_snr_weight(snr: f64, gamma: f64, prediction: Prediction) -> f64 {
    match prediction {
        Prediction::Epsilon => snr.min(gamma) / snr,
        Prediction::V => snr.min(gamma) / (snr + 1.0),
    }
}

/// The c of a Huber loss at timestep `t`.
fn huber_c(threshold: HuberThreshold, schedule: &Schedule, t: usize) -> f64 {
    match threshold.schedule {
        HuberSchedule::Constant => threshold.c * threshold.scale,
        HuberSchedule::Exponential => (threshold.c.ln() * t as f64 / TRAIN_STEPS as f64).exp() * threshold.scale,
        HuberSchedule::Snr => {
            let alpha = schedule.alpha(t);
            let sigma = ((1.0 - alpha) / alpha).sqrt();
            (1.0 - threshold.c) / (1.0 + sigma).powi(2) + threshold.c
        }
    }
}

/// The c of a Huber loss for each sample of a batch.
///
/// # Shapes
/// (B, 1, 1, 1), one for each of the `timesteps`.
fn huber_cs(threshold: HuberThreshold, schedule: &Schedule, timesteps: &[usize], device: &Device) -> Tensor<4> {
    let values: Vec<f32> = timesteps.iter().map(|t| huber_c(threshold, schedule, *t) as f32).collect();
    Tensor::from_data(TensorData::new(values, [timesteps.len(), 1, 1, 1]), device)
}

/// The error of every value, weighted by nothing yet.
///
/// # Shapes
/// `difference` (B, C, H, W) → (B, C, H, W).
fn errors(kind: LossKind, difference: Tensor<4>, schedule: &Schedule, timesteps: &[usize]) -> Tensor<4> {
    let device = difference.device();
    match kind {
        LossKind::L2 => difference.square(),
        LossKind::L1 => difference.abs(),
        LossKind::Huber(threshold) => {
            let c = huber_cs(threshold, schedule, timesteps, &device);
            softened(difference, c.clone()) * c
        }
        LossKind::SmoothL1(threshold) => softened(difference, huber_cs(threshold, schedule, timesteps, &device)),
    }
}

/// 2 (√(e² + c²) − c).
fn softened(difference: Tensor<4>, c: Tensor<4>) -> Tensor<4> {
    ((difference.square() + c.clone().square()).sqrt() - c).mul_scalar(2.0)
}

/// The loss of one batch.
#[derive(Debug, Clone)]
pub struct Loss {
    /// Mean over the batch of the weighted errors, shape (1,): call `backward` on it.
    pub mean: Tensor<1>,
    /// Mean error of each sample before weighting, shape (B,); apart from the tape.
    pub per_sample: Tensor<1>,
}

/// What the loss of a batch depends on besides output and target.
#[derive(Debug, Clone, Copy)]
pub struct LossInputs<'a> {
    /// How errors are measured.
    pub kind: LossKind,
    /// One per sample, from [`Weighting::factors`].
    pub factors: &'a [f32],
    /// The schedule of the noising.
    pub schedule: &'a Schedule,
    /// One per sample.
    pub timesteps: &'a [usize],
    /// What the errors of all channels are multiplied by at each place, B × H × W, 0 to 1 (`--masked_loss`). The mean is
    /// still over all places, as in sd-scripts, so a small mask makes for a small loss.
    pub mask: Option<&'a [f32]>,
}

/// The loss of the network's `output` against `target`.
///
/// # Shapes
/// `output` and `target` (B, C, H, W), `factors` and `timesteps` B, `mask` (B, 1, H, W).
///
/// # Panics
/// If the shapes do not agree.
pub fn loss(output: Tensor<4>, target: Tensor<4>, inputs: LossInputs<'_>) -> Loss {
    assert_eq!(output.dims(), target.dims(), "output and target are of different shapes");
    let batch = output.dims()[0];
    assert_eq!(inputs.factors.len(), batch, "one factor per sample");
    assert_eq!(inputs.timesteps.len(), batch, "one timestep per sample");
    let factors = Tensor::from_data(TensorData::new(inputs.factors.to_vec(), [batch]), &output.device());
    let [_, _, height, width] = output.dims();
    let device = output.device();
    let mut errors = errors(inputs.kind, output - target, inputs.schedule, inputs.timesteps);
    if let Some(mask) = inputs.mask {
        let mask = TensorData::new(mask.to_vec(), [batch, 1, height, width]);
        errors = errors * Tensor::from_data(mask, &device);
    }
    let errors: Tensor<2> = errors.flatten(1, 3);
    let per_sample: Tensor<1> = errors.mean_dim(1).reshape([batch]);
    Loss { mean: (per_sample.clone() * factors).mean(), per_sample: per_sample.inner() }
}
