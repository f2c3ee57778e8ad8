//! The second pass at a larger size (hires fix).

use anyhow::{Result, anyhow};
use burn::tensor::{Tensor, TensorData};
use lorabake_diffusion::{Img2ImgSteps, StepRule};
use lorabake_model::upscaler::Upscaler;
use lorabake_ops::WeightDtype;
use lorabake_pixels::pillow::{Filter, resize};
use lorabake_pixels::{Rgb, Size};

use crate::control::MapFor;
use crate::hires::{Target, crop_latent, resize_latent, target};
use crate::nets::Nets;
use crate::paint::{PassPlan, to_f32_vec};
use crate::painter::Painter;
use crate::pass::{PictureStart, Start, Watch};
use crate::prompt::networks;
use crate::request::{Hires, HiresUpscaler, Painted, Request};
use crate::upscale::{Resampler, upscaled_to};

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
        let first: Size = (request.size[0] as u32, request.size[1] as u32);
        let target = target(first, hires.size).map_err(|why| anyhow!("--hr_scale, --hr_resize: {why}"))?;
        let latents = self.enlarged(latents, &hires.upscaler, &target)?;
        let picture = target.picture();
        let size = [picture.0 as usize, picture.1 as usize];
        // What the extensions' counter came to in the first pass, if it ran with the same networks.
        let first_counter = request.sampling.steps.checked_sub(2);
        let steps = if hires.steps == 0 { request.sampling.steps } else { hires.steps };
        let masked = if self.is_inpainting_model() { Some(self.all_masked(size)?) } else { None };
        let plan = PassPlan {
            texts: [
                hires.prompt.as_ref().unwrap_or(&request.prompt),
                hires.negative_prompt.as_ref().unwrap_or(&request.negative_prompt),
            ],
            nets,
            which: networks::Pass::Hires { after: if hires.networks.is_some() { None } else { first_counter } },
            size: [target.upscaled.0 as usize, target.upscaled.1 as usize],
            sampler: hires.sampler.unwrap_or(request.sampling.sampler),
            scheduler: hires.scheduler.unwrap_or(request.sampling.scheduler),
            steps,
            start: Start::Picture(Box::new(PictureStart {
                latents,
                steps: Img2ImgSteps::new(steps, hires.denoising_strength, StepRule::Exactly),
                noise_multiplier: 1.0,
                extra_noise: request.sampling.extra_noise,
            })),
            kept: None,
            masked,
            control: self.controls(&request.control, size, MapFor::SecondPass)?,
        };
        let mut randomness = self.randomness(request, size)?;
        let latents = self.run(request, plan, &mut randomness, watch)?;
        self.finish(latents)
    }

    /// The latents that the second pass begins with.
    ///
    /// # Shapes
    /// - latents: [1, 4, H, W]
    /// - output: [1, 4, H', W'], of [`Target::kept`]
    fn enlarged(&self, latents: Tensor<4>, upscaler: &HiresUpscaler, target: &Target) -> Result<Tensor<4>> {
        let larger = match upscaler {
            HiresUpscaler::Latent(upscaler) => {
                let [_, _, rows, columns] = latents.dims();
                resize_latent(&to_f32_vec(latents), (columns as u32, rows as u32), target.latent, *upscaler)
            }
            HiresUpscaler::Resampler(_) | HiresUpscaler::Net(_) => {
                let picture = self.enlarged_picture(&self.decode(latents)?.image, upscaler, target.upscaled)?;
                to_f32_vec(self.encode(&picture))
            }
        };
        let kept = crop_latent(&larger, target.latent, target.kept, target.crop_at);
        let shape = [1, 4, target.kept.1 as usize, target.kept.0 as usize];
        Ok(Tensor::from_data(TensorData::new(kept, shape), &self.device))
    }

    /// The picture of the first pass in the second one's size.
    fn enlarged_picture(&self, picture: &Rgb, upscaler: &HiresUpscaler, size: Size) -> Result<Rgb> {
        match upscaler {
            HiresUpscaler::Latent(_) | HiresUpscaler::Resampler(Resampler::None) => {
                Ok(resize(picture, size, Filter::Lanczos))
            }
            HiresUpscaler::Resampler(resampler) => {
                upscaled_to(picture, size, |picture, factor| Ok(resampler.enlarge(picture, factor)))
            }
            HiresUpscaler::Net(path) => {
                let net = Upscaler::open(path, WeightDtype::F32)?;
                upscaled_to(picture, size, |picture, _| self.upscaled_by_net(&net, picture))
            }
        }
    }
}
