//! Classifier-free guidance (Ho and Salimans 2022): away from what the empty or negative prompt predicts, towards one
//! prompt or several (Liu et al. 2022, "composable diffusion"; the web UI's `AND`).

use burn::tensor::Tensor;

use crate::sampler::{Call, Wanted};

/// `unconditional` + `scale` · (`conditional` − `unconditional`). 7.5 is a usual scale, 1 is no guidance.
///
/// # Shapes
/// - unconditional, conditional and output: [B, C, H, W]
pub fn guide(unconditional: Tensor<4>, conditional: Tensor<4>, scale: f64) -> Tensor<4> {
    unconditional.clone() + (conditional - unconditional).mul_scalar(scale)
}

/// What one part of a composed prompt predicts.
#[derive(Debug, Clone)]
pub struct GuidedPart {
    /// The prediction, (B, C, H, W).
    pub conditional: Tensor<4>,
    /// The part's weight.
    pub weight: f64,
}

/// `unconditional` + Σ weight · `scale` · (part − `unconditional`).
///
/// # Shapes
/// - unconditional, parts and output: [B, C, H, W]
pub fn guide_by_parts(unconditional: Tensor<4>, parts: &[GuidedPart], scale: f64) -> Tensor<4> {
    let mut sum = unconditional.clone();
    for part in parts {
        sum = sum + (part.conditional.clone() - unconditional.clone()).mul_scalar(part.weight * scale);
    }
    sum
}

/// The parts where the unconditional prediction is left out: the first + Σ weight · (part − first).
///
/// # Shapes
/// - parts and output: [B, C, H, W]
///
/// # Panics
/// If there is no part.
pub fn parts_alone(parts: &[GuidedPart]) -> Tensor<4> {
    guide_by_parts(parts[0].conditional.clone(), &parts[1..], 1.0)
}

/// When the unconditional prediction is left out to save time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GuidanceSkips {
    /// Up to this share of the run's calls ("Ignore negative prompt during early sampling"); 0: never.
    pub early: f64,
    /// Below this noise level ("Negative Guidance minimum sigma"); 0: never.
    pub min_sigma: f64,
    /// Below the noise level at every call instead of every other.
    pub min_sigma_all: bool,
}

impl GuidanceSkips {
    /// Whether it is left out at `call` of a run of `total` calls: its steps, twice as many with samplers of second order.
    pub fn skips(&self, call: &Call, total: usize) -> bool {
        if self.early > 0.0 && call.number as f64 / total as f64 <= self.early {
            return true;
        }
        // As in the web UI, which compares timesteps with it where a sampler goes by timesteps.
        let level = match call.wanted {
            Wanted::Noise => call.timestep,
            Wanted::Denoised | Wanted::Consistent | Wanted::DenoisedInNetworkTerms => call.sigma,
        };
        level < self.min_sigma && (self.min_sigma_all || call.number % 2 == 1)
    }
}

/// Latents of which a part is kept: where `repaint` is 1 they are painted anew, where it is 0 they stay `original`.
#[derive(Debug, Clone)]
pub struct KeptLatents {
    /// The latents of the picture.
    pub original: Tensor<4>,
    /// 0 to 1, (B or 1, C or 1, H, W).
    pub repaint: Tensor<4>,
}

impl KeptLatents {
    /// `latents` where they are painted anew, the original elsewhere.
    ///
    /// # Shapes
    /// - latents and output: [B, C, H, W]
    pub fn blend(&self, latents: Tensor<4>) -> Tensor<4> {
        let kept = self.repaint.clone().neg().add_scalar(1.0);
        latents * self.repaint.clone() + self.original.clone() * kept
    }

    /// `x` as the network is given it at `call`: samplers that ask for noise blend before, clean as the original is.
    ///
    /// # Shapes
    /// - x and output: [B, C, H, W]
    pub fn before(&self, call: &Call, x: Tensor<4>) -> Tensor<4> {
        if call.wanted == Wanted::Noise { self.blend(x) } else { x }
    }

    /// The guided `answer` of `call`: samplers that ask for denoised latents blend after.
    ///
    /// # Shapes
    /// - answer and output: [B, C, H, W]
    pub fn after(&self, call: &Call, answer: Tensor<4>) -> Tensor<4> {
        if call.wanted == Wanted::Noise { answer } else { self.blend(answer) }
    }
}
