//! DDIM with eta 0 (Song et al. 2020, arXiv 2010.02502, equation 12), as diffusers' `DDIMScheduler` without clipping.

use burn::tensor::Tensor;

use crate::sampler::method::{Method, Run};

/// DDIM with eta 0.
pub(super) struct Ddim;

impl Method for Ddim {
    fn sample<E>(&self, mut x: Tensor<4>, mut run: Run<'_, E>) -> Result<Tensor<4>, E> {
        for step in run.steps {
            let denoised = run.denoise(x.clone(), step.from)?;
            // With the noise ε = (x − √a · denoised) / √(1 − a) this is √a' · denoised + √(1 − a') · ε.
            let ratio = ((1.0 - step.to.alpha) / (1.0 - step.from.alpha)).sqrt();
            let gain = step.to.alpha.sqrt() - ratio * step.from.alpha.sqrt();
            x = x.mul_scalar(ratio) + denoised.mul_scalar(gain);
        }
        Ok(x)
    }
}
