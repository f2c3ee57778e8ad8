//! Noise levels as k-diffusion and the AUTOMATIC1111 web UI hold them: a table of σ by timestep, and the way between the
//! two where neither is whole.
//!
//! Computed in f32 as in those programs. Training has its own [`Schedule`], which is that of sd-scripts.

use crate::schedule::{Schedule, TRAIN_STEPS};
use crate::spacing::linspace::linspace_f64;

/// Share of the last timestep with zero terminal SNR, where a noise level has to be finite.
const LEAST_SHARE: f32 = 4.897_345_4e-8;
/// Steps between the timesteps of a consistency model, which has 50 of them.
const CONSISTENCY_STRIDE: usize = 20;

/// The noise levels of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseTable {
    /// Share of the latents in the variance of noisy latents, one per timestep 0 to 999.
    alphas: Vec<f32>,
    /// The sigmas of `grid`, rising.
    sigmas: Vec<f32>,
    log_sigmas: Vec<f32>,
    grid: Grid,
    quantized: bool,
    halved: bool,
    xl: bool,
}

/// Which timesteps the sigmas of a table belong to: `first`, `first` + `stride` and so on.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Grid {
    first: usize,
    stride: usize,
}

impl NoiseTable {
    /// The table of Stable Diffusion 1, 2 and XL.
    pub fn stable_diffusion() -> Self {
        let roots = linspace_f64(0.00085_f64.sqrt(), 0.012_f64.sqrt(), TRAIN_STEPS);
        let mut alphas = Vec::with_capacity(TRAIN_STEPS);
        let mut product = 1.0_f64;
        for root in roots {
            product *= 1.0 - root * root;
            alphas.push(product as f32);
        }
        Self::of_alphas(alphas)
    }

    /// The table of a model that is trained with `schedule`: with zero terminal SNR or without.
    pub fn of(schedule: &Schedule) -> Self {
        let table = Self::stable_diffusion();
        if schedule.ends_in_noise() { table.zero_terminal_snr() } else { table }
    }

    /// The same rescaled so that next to nothing of the latents is left at timestep 999 (Lin et al. 2023).
    pub fn zero_terminal_snr(self) -> Self {
        let roots: Vec<f32> = self.alphas.iter().map(|alpha| alpha.sqrt()).collect();
        let first = roots[0];
        let last = roots[TRAIN_STEPS - 1];
        let stretch = first / (first - last);
        let mut alphas: Vec<f32> = roots.iter().map(|root| ((root - last) * stretch).powi(2)).collect();
        alphas[TRAIN_STEPS - 1] = LEAST_SHARE;
        Self { xl: self.xl, quantized: self.quantized, ..Self::of_alphas(alphas) }
    }

    /// The same with shares rounded to half precision ("Downcast alphas_cumprod to fp16", as before version 1.7).
    pub fn downcast(self) -> Self {
        let alphas: Vec<f32> = self.alphas.iter().map(|alpha| halved(*alpha)).collect();
        let mut sigmas = Vec::with_capacity(alphas.len());
        for alpha in &alphas {
            sigmas.push(halved(halved(halved(1.0 - alpha) / alpha).sqrt()));
        }
        let log_sigmas = sigmas.iter().map(|sigma| halved(ln(*sigma))).collect();
        Self { alphas, sigmas, log_sigmas, halved: true, ..self }
    }

    /// The same with timesteps that are whole ("Enable quantization in K samplers").
    pub fn quantized(self) -> Self {
        Self { quantized: true, ..self }
    }

    /// The same for Stable Diffusion XL, which has noise levels of its own with "Align Your Steps".
    pub fn xl(self) -> Self {
        Self { xl: true, ..self }
    }

    /// The levels of the 50 timesteps 19, 39 to 999 that a latent consistency model knows.
    pub fn consistency(&self) -> Self {
        let grid = Grid { first: CONSISTENCY_STRIDE - 1, stride: CONSISTENCY_STRIDE };
        let sigmas: Vec<f32> =
            self.alphas.iter().skip(grid.first).step_by(grid.stride).copied().map(sigma_of).collect();
        let log_sigmas = sigmas.iter().map(|sigma| ln(*sigma)).collect();
        Self { sigmas, log_sigmas, grid, ..self.clone() }
    }

    fn of_alphas(alphas: Vec<f32>) -> Self {
        let sigmas: Vec<f32> = alphas.iter().copied().map(sigma_of).collect();
        let log_sigmas = sigmas.iter().map(|sigma| ln(*sigma)).collect();
        let grid = Grid { first: 0, stride: 1 };
        Self { alphas, sigmas, log_sigmas, grid, quantized: false, halved: false, xl: false }
    }

    /// Share of the latents in the variance of noisy latents, one per timestep 0 to 999.
    pub fn alphas(&self) -> &[f32] {
        &self.alphas
    }

    /// The noise levels, rising.
    pub fn sigmas(&self) -> &[f32] {
        &self.sigmas
    }

    /// Whether this is the table of Stable Diffusion XL.
    pub fn is_xl(&self) -> bool {
        self.xl
    }

    /// Whether next to nothing of the latents is left at the last timestep.
    pub fn ends_in_noise(&self) -> bool {
        self.alphas[TRAIN_STEPS - 1] == LEAST_SHARE
    }

    /// The share at a timestep, 0 to 999; of one between two it is that of the lower.
    pub(crate) fn alpha(&self, timestep: f64) -> f64 {
        f64::from(self.alphas[(timestep.max(0.0) as usize).min(TRAIN_STEPS - 1)])
    }

    /// √ᾱ and √(1 − ᾱ) at a whole timestep, in half precision where shares are: how the web UI starts from a picture.
    pub(crate) fn strengths(&self, timestep: usize) -> [f64; 2] {
        let alpha = self.alphas[timestep];
        if self.halved {
            return [halved(alpha.sqrt()), halved(halved(1.0 - alpha).sqrt())].map(f64::from);
        }
        let alpha = f64::from(alpha);
        [alpha.sqrt(), (1.0 - alpha).sqrt()]
    }

    /// The smallest and the largest noise level.
    pub fn range(&self) -> [f32; 2] {
        [self.sigmas[0], self.sigmas[self.sigmas.len() - 1]]
    }

    /// The timestep of a noise level: 0 to 999, between two whole ones unless the table is quantized or a consistency
    /// model's.
    pub fn timestep(&self, sigma: f32) -> f32 {
        let log_sigma = ln(sigma);
        if self.quantized || self.grid.stride > 1 {
            return (self.grid.first + self.nearest(log_sigma) * self.grid.stride) as f32;
        }
        let mut low = self.log_sigmas.partition_point(|entry| *entry <= log_sigma).saturating_sub(1);
        low = low.min(self.log_sigmas.len() - 2);
        let below = self.log_sigmas[low];
        let above = self.log_sigmas[low + 1];
        let weight = ((below - log_sigma) / (below - above)).clamp(0.0, 1.0);
        (1.0 - weight) * low as f32 + weight * (low + 1) as f32
    }

    /// The index of the entry nearest to `log_sigma`.
    fn nearest(&self, log_sigma: f32) -> usize {
        let mut best = 0;
        for (index, entry) in self.log_sigmas.iter().enumerate() {
            if (log_sigma - entry).abs() < (log_sigma - self.log_sigmas[best]).abs() {
                best = index;
            }
        }
        best
    }

    /// The noise level of a timestep, interpolated in its logarithm.
    pub fn sigma(&self, timestep: f32) -> f32 {
        let last = (self.log_sigmas.len() - 1) as f32;
        let index = ((timestep - self.grid.first as f32) / self.grid.stride as f32).clamp(0.0, last);
        let weight = index.fract();
        let low = self.log_sigmas[index.floor() as usize];
        let high = self.log_sigmas[index.ceil() as usize];
        exp((1.0 - weight) * low + weight * high)
    }

    /// As k-diffusion's `get_sigmas`: the levels at `count` equal distances between the last timestep and the first.
    pub(crate) fn ends(&self) -> [f32; 2] {
        if self.grid.stride > 1 {
            // A consistency model's wrapper asks for the timesteps of its own ends.
            let [lowest, highest] = self.range();
            return [self.timestep(highest), self.timestep(lowest)];
        }
        [(self.sigmas.len() - 1) as f32, 0.0]
    }
}

fn sigma_of(alpha: f32) -> f32 {
    ((1.0 - alpha) / alpha).sqrt()
}

/// Rounded to half precision.
fn halved(value: f32) -> f32 {
    half::f16::from_f32(value).to_f32()
}

/// The natural logarithm, rounded once.
pub(crate) fn ln(value: f32) -> f32 {
    f64::from(value).ln() as f32
}

/// e to the power of `value`, rounded once.
pub(crate) fn exp(value: f32) -> f32 {
    f64::from(value).exp() as f32
}
