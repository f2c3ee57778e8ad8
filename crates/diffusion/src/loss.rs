//! The training loss: squared error of each sample, weighted, then the mean over the batch.
//!
//! Order and formulas are those of sd-scripts' `train_network.py`; Min-SNR is Hang et al. 2023, arXiv 2303.09556.

use burn::tensor::{Tensor, TensorData};

use crate::schedule::Schedule;
use crate::target::Prediction;

/// What makes one sample of a batch count more than another.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// One per sample: 1, or `--prior_loss_weight` for a regularization image.
    pub loss_weights: Vec<f32>,
    /// Min-SNR weighting (`--min_snr_gamma`).
    pub min_snr_gamma: Option<f64>,
}

impl Weights {
    /// The factor of each sample at its timestep: its loss weight × its Min-SNR weight.
    ///
    /// # Panics
    /// If there is not one timestep for each loss weight.
    pub fn factors(&self, schedule: &Schedule, prediction: Prediction, timesteps: &[usize]) -> Vec<f32> {
        assert_eq!(timesteps.len(), self.loss_weights.len(), "one timestep per loss weight");
        let min_snr =
            |t: usize| self.min_snr_gamma.map_or(1.0, |gamma| min_snr_weight(schedule.snr(t), gamma, prediction));
        self.loss_weights.iter().zip(timesteps).map(|(weight, t)| weight * min_snr(*t) as f32).collect()
    }
}

fn min_snr_weight(snr: f64, gamma: f64, prediction: Prediction) -> f64 {
    match prediction {
        Prediction::Epsilon => snr.min(gamma) / snr,
        Prediction::V => snr.min(gamma) / (snr + 1.0),
    }
}

/// The loss of one batch.
#[derive(Debug, Clone)]
pub struct Loss {
    /// Mean over the batch of the weighted errors, shape (1,): call `backward` on it.
    pub mean: Tensor<1>,
    /// Mean squared error of each sample before weighting, shape (B,); apart from the tape.
    pub per_sample: Tensor<1>,
}

/// The loss of the network's `output` against `target`; `factors` come from [`Weights::factors`].
///
/// # Shapes
/// `output` and `target` (B, C, H, W), `factors` B.
///
/// # Panics
/// If the shapes do not agree.
pub fn loss(output: Tensor<4>, target: Tensor<4>, factors: &[f32]) -> Loss {
    assert_eq!(output.dims(), target.dims(), "output and target are of different shapes");
    let batch = output.dims()[0];
    assert_eq!(factors.len(), batch, "one factor per sample");
    let factors = Tensor::from_data(TensorData::new(factors.to_vec(), [batch]), &output.device());
    let error: Tensor<2> = (output - target).square().flatten(1, 3);
    let per_sample: Tensor<1> = error.mean_dim(1).reshape([batch]);
    Loss { mean: (per_sample.clone() * factors).mean(), per_sample: per_sample.inner() }
}
