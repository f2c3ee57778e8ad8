//! What soft inpainting keeps of a picture at each step.

use burn::tensor::{Tensor, TensorData};
use lorabake_diffusion::{Call, Wanted};

use crate::inpaint::soft::SoftInpainting;

/// Latents of which a part is kept softly.
#[derive(Debug, Clone)]
pub struct SoftBlend {
    /// How.
    pub settings: SoftInpainting,
    /// The latents of the picture, (4, H, W) row-major.
    pub original: Vec<f32>,
    /// How much is painted anew, 0 to 1, (H, W) row-major.
    pub mask: Vec<f32>,
}

impl SoftBlend {
    /// `x` as the network is given it: samplers that ask for noise blend before.
    ///
    /// # Shapes
    /// - x and output: [1, 4, H, W]
    pub fn before(&self, call: &Call, x: Tensor<4>) -> Tensor<4> {
        if call.wanted == Wanted::Noise { self.blend(call.timestep, x) } else { x }
    }

    /// The guided `answer`: samplers that ask for denoised latents blend after.
    ///
    /// # Shapes
    /// - answer and output: [1, 4, H, W]
    pub fn after(&self, call: &Call, answer: Tensor<4>) -> Tensor<4> {
        if call.wanted == Wanted::Noise { answer } else { self.blend(call.sigma, answer) }
    }

    /// `level` is what the sampler calls its noise level: the web UI's script takes a timestep for one, too.
    fn blend(&self, level: f64, latents: Tensor<4>) -> Tensor<4> {
        let (shape, device) = (latents.dims(), latents.device());
        let values: Vec<f32> = latents.into_data().try_into_vec().expect("the networks compute in f32");
        let mask = self.settings.mask_at(&self.mask, level as f32);
        let blended = self.settings.blend(&self.original, &values, &mask);
        Tensor::from_data(TensorData::new(blended, shape), &device)
    }
}
