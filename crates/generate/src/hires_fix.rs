//! The second pass at a larger size (hires fix).

use anyhow::Result;
use burn::tensor::Tensor;
use lorabake_diffusion::{Img2ImgSteps, StepRule};

use crate::hires::{self, Upscaler};
use crate::nets::Nets;
use crate::paint::PassPlan;
use crate::painter::Painter;
use crate::pass::{Start, Watch};
use crate::prompt::networks;
use crate::request::{Hires, Painted, Request};

impl Painter {
    /// Paints on from the latents of the first pass.
    pub(crate) fn hires(
        &self,
        request: &Request,
        hires: &Hires,
        latents: Tensor<4>,
        nets: &Nets,
        watch: &mut Watch<'_>,
    ) -> Result<Painted> {
        let target = hires::target(request.size, hires.size)?;
        let latents = self.enlarged(latents, hires, &target)?;
        let [_, _, rows, columns] = latents.dims();
        let size = [columns * 8, rows * 8];
        let steps = if hires.steps == 0 { request.sampling.steps } else { hires.steps };
        let masked = if self.is_inpainting_model() { Some(self.all_masked(size)?) } else { None };
        let plan = PassPlan {
            texts: [
                hires.prompt.as_ref().unwrap_or(&request.prompt),
                hires.negative_prompt.as_ref().unwrap_or(&request.negative_prompt),
            ],
            nets,
            which: networks::Pass::Hires,
            size: target.size,
            sampler: hires.sampler.unwrap_or(request.sampling.sampler),
            scheduler: hires.scheduler.unwrap_or(request.sampling.scheduler),
            steps,
            start: Start::Picture {
                latents,
                steps: Img2ImgSteps::new(steps, hires.denoising_strength, StepRule::Exactly),
                noise_multiplier: 1.0,
                extra_noise: 0.0,
            },
            kept: None,
            masked,
            control: self.controls(&request.control, size, true)?,
        };
        let mut randomness = self.randomness(request, size)?;
        let latents = self.run(request, plan, &mut randomness, watch)?;
        self.finish(latents)
    }
}
