//! DDIM with eta 0 (Song et al. 2020, arXiv 2010.02502, equation 12), as diffusers' `DDIMScheduler` without clipping,
//! which sd-scripts paints sample pictures with. The web UI's DDIM is another: see [`super::ddim`].

use burn::tensor::Tensor;

use crate::levels::Kind;
use crate::sampler::contract::{Method, Walk};

/// diffusers' DDIM.
pub(super) struct DdimDiffusers;

impl Method for DdimDiffusers {
    fn sample<E>(&self, mut x: Tensor<4>, mut walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        let Kind::Steps(steps) = walk.run.levels.kind() else { panic!("levels of diffusers' DDIM") };
        for (index, step) in steps.clone().into_iter().enumerate() {
            let denoised = walk.denoised_at(x.clone(), step.from)?;
            walk.step_seen(index);
            // With the noise ε = (x − √a · denoised) / √(1 − a) this is √a' · denoised + √(1 − a') · ε.
            let ratio = ((1.0 - step.to.alpha) / (1.0 - step.from.alpha)).sqrt();
            let gain = step.to.alpha.sqrt() - ratio * step.from.alpha.sqrt();
            x = x.mul_scalar(ratio) + denoised.mul_scalar(gain);
        }
        Ok(x)
    }
}
