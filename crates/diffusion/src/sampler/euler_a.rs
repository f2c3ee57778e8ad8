//! Euler ancestral: a deterministic Euler step that overshoots, then fresh noise that makes up for it.
//!
//! After k-diffusion's `sample_euler_ancestral` with eta 1.

use burn::tensor::Tensor;

use crate::sampler::method::{Method, Run};

/// Euler ancestral with eta 1.
pub(super) struct EulerA;

impl Method for EulerA {
    fn sample<E>(&self, mut x: Tensor<4>, mut run: Run<'_, E>) -> Result<Tensor<4>, E> {
        for step in run.steps {
            let denoised = run.denoise_sigma(x.clone(), step.from)?;
            let sigma = step.from.sigma();
            let next = step.to.sigma();
            // down² + up² = next²: the Euler step ends below the next level, and the noise leads up to it.
            let down = next * next / sigma;
            let up = (next * next - down * down).sqrt();
            x = x.mul_scalar(down / sigma) + denoised.mul_scalar(1.0 - down / sigma);
            if next > 0.0 {
                x = x + (run.noise)(*step).mul_scalar(up);
            }
        }
        Ok(x)
    }
}
