//! A picture from noise alone.

use anyhow::Result;
use burn::tensor::{Tensor, TensorData};

use crate::control::MapFor;
use crate::latent_shape::latent_shape;
use crate::nets::Nets;
use crate::paint::PassPlan;
use crate::painter::Painter;
use crate::pass::{Start, Watch};
use crate::prompt::networks;
use crate::request::Request;

impl Painter {
    /// The latents of a picture from noise alone.
    pub(crate) fn txt2img(&self, request: &Request, nets: &Nets, watch: &mut Watch<'_>) -> Result<Tensor<4>> {
        let mut randomness = self.randomness(request, request.size)?;
        let masked = if self.is_inpainting_model() { Some(self.all_masked(request.size)?) } else { None };
        let plan = PassPlan {
            texts: [&request.prompt, &request.negative_prompt],
            nets,
            which: networks::Pass::First,
            size: request.size,
            sampler: request.sampling.sampler,
            scheduler: request.sampling.scheduler,
            steps: request.sampling.steps,
            start: Start::Noise,
            kept: None,
            masked,
            control: self.controls(&request.control, request.size, MapFor::Whole)?,
        };
        self.run(request, plan, &mut randomness, watch)
    }

    /// What an inpainting model is given where all is painted: a mask of 1, and the latents of a gray picture.
    ///
    /// # Shapes
    /// - output: [1, 5, height / 8, width / 8]
    pub(crate) fn all_masked(&self, size: [usize; 2]) -> Result<Tensor<4>> {
        let [rows, columns] = latent_shape(size)?;
        let [width, height] = size;
        // Half of what pictures go to, from −1 to 1.
        let gray = TensorData::new(vec![0.0_f32; 3 * width * height], [1, 3, height, width]);
        let gray = self.encode_values(Tensor::from_data(gray, &self.device));
        Ok(Tensor::cat(vec![Tensor::ones([1, 1, rows, columns], &self.device), gray], 1))
    }
}
