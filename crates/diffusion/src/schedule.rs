//! Stable Diffusion's noise schedule: how much of a latent is left at each of its 1000 timesteps.
//!
//! Values as diffusers computes them in f32 (`beta_schedule="scaled_linear"`), which sd-scripts trains with.

use crate::step::NoiseLevel;

/// Number of timesteps of Stable Diffusion; a timestep is one of 0 (hardly any noise) to 999 (hardly anything else).
pub const TRAIN_STEPS: usize = 1000;

/// A noise schedule. At timestep t a noisy latent is √a · latent + √(1 − a) · noise, a = `alphas_cumprod[t]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Share of the latent in the variance of the noisy latent, falling, one per timestep, between 0 and 1.
    pub alphas_cumprod: Vec<f32>,
    /// Signal-to-noise ratios, one per timestep, from before a rescaling: losses are weighted by them.
    snr: Vec<f64>,
}

impl Schedule {
    /// The schedule of Stable Diffusion 1.x: √β grows linearly from √0.00085 to √0.012.
    pub fn stable_diffusion() -> Self {
        let mut alphas_cumprod = Vec::with_capacity(TRAIN_STEPS);
        let mut snr = Vec::with_capacity(TRAIN_STEPS);
        // torch.cumprod multiplies in f64.
        let mut product = 1.0_f64;
        for t in 0..TRAIN_STEPS {
            let sqrt_beta = sqrt_beta(t);
            product *= f64::from(1.0 - sqrt_beta * sqrt_beta);
            let alpha = product as f32;
            alphas_cumprod.push(alpha);
            snr.push(f64::from(alpha) / (1.0 - f64::from(alpha)));
        }
        Self { alphas_cumprod, snr }
    }

    /// The schedule rescaled so that nothing of the latent is left at timestep 999 (`--zero_terminal_snr`; Lin et al.
    /// 2023, arXiv 2305.08891, algorithm 1). [`Self::snr`] stays as it was, as in sd-scripts.
    pub fn zero_terminal_snr(mut self) -> Self {
        let first = self.alpha(0).sqrt();
        let last = self.alpha(TRAIN_STEPS - 1).sqrt();
        for alpha in &mut self.alphas_cumprod {
            let root = f64::from(*alpha).sqrt();
            *alpha = ((root - last) * first / (first - last)).powi(2) as f32;
        }
        self
    }

    /// `alphas_cumprod` at `t` in f64.
    pub(crate) fn alpha(&self, t: usize) -> f64 {
        f64::from(self.alphas_cumprod[t])
    }

    /// Whether nothing of a latent is left at the last timestep. A network that predicts noise cannot sample then, since
    /// the noise is all that it sees; one that predicts velocities can.
    pub fn ends_in_noise(&self) -> bool {
        self.alphas_cumprod.last() == Some(&0.0)
    }

    /// The noise level of timestep `t`.
    pub fn level(&self, t: usize) -> NoiseLevel {
        NoiseLevel { timestep: t as f64, alpha: self.alpha(t) }
    }

    /// Signal-to-noise ratio a / (1 − a) at timestep `t`, of the schedule before [`Self::zero_terminal_snr`].
    pub fn snr(&self, t: usize) -> f64 {
        self.snr[t]
    }
}

/// √β at timestep `t`, as torch.linspace computes it: from the nearer end, with a fused multiply-add. So every bit agrees.
fn sqrt_beta(t: usize) -> f32 {
    let first = 0.00085_f64.sqrt() as f32;
    let last = 0.012_f64.sqrt() as f32;
    let step = (last - first) / (TRAIN_STEPS - 1) as f32;
    if t < TRAIN_STEPS / 2 {
        step.mul_add(t as f32, first)
    } else {
        (-step).mul_add((TRAIN_STEPS - 1 - t) as f32, last)
    }
}
