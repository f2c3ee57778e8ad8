//! A picture from a picture, and inpainting: what the mask keeps is laid over the result.

use anyhow::{Result, anyhow, bail};
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Tensor, TensorData};
use lorabake_diffusion::{Img2ImgSteps, KeptLatents};
use lorabake_pixels::{Gray, Rgb, Rgba, Size};

use crate::color_correction::ColorTarget;
use crate::control::{MapFor, PaintedPart};
use crate::inpaint::soft::{self, SoftInpainting};
use crate::inpaint::{self, Masked, MaskedContent, Prepared, condition, latent, mask, overlay};
use crate::latent_shape::latent_shape;
use crate::nets::Nets;
use crate::paint::{PassPlan, to_f32_vec};
use crate::painter::Painter;
use crate::pass::{Kept, PictureStart, Start, Watch};
use crate::prompt::networks;
use crate::request::{Init, Painted, Request};
use crate::resize_mode::ResizeMode;
use crate::soft_blend::SoftBlend;

/// Pixels of a side of a picture whose latents are resized.
const SMALLEST: u32 = 64;

impl Painter {
    /// Paints from the picture of `init`.
    pub(crate) fn img2img(
        &self,
        request: &Request,
        init: &Init,
        nets: &Nets,
        watch: &mut Watch<'_>,
    ) -> Result<Painted> {
        let painted: Size = (request.size[0] as u32, request.size[1] as u32);
        let prepared = match &init.inpaint {
            Some(wanted) => inpaint::prepare(&init.image, &wanted.mask, &wanted.settings, painted)
                .map_err(|why| anyhow!("{why}"))?,
            None => Prepared { image: brought(&init.image, init.resize_mode, painted), masked: None },
        };
        let latents = self.latents_of(&prepared.image, request.size)?;
        let mut randomness = self.randomness(request, request.size)?;
        let kept = match &prepared.masked {
            Some(masked) => Some(self.kept(&latents, masked, init, request)?),
            None => None,
        };
        // Other content under the mask is what sampling begins with, too.
        let latents = match &kept {
            Some(Kept::Masked(kept)) => kept.original.clone(),
            Some(Kept::Soft(soft)) => self.latent_tensor(soft.original.clone(), request.size)?,
            None => latents,
        };
        let start = PictureStart {
            latents,
            steps: Img2ImgSteps::new(request.sampling.steps, init.denoising_strength, init.step_rule),
            noise_multiplier: init.noise_multiplier,
            extra_noise: request.sampling.extra_noise,
        };
        let plan = PassPlan {
            texts: [&request.prompt, &request.negative_prompt],
            nets,
            which: networks::Pass::First,
            size: request.size,
            sampler: request.sampling.sampler,
            scheduler: request.sampling.scheduler,
            steps: request.sampling.steps,
            start: Start::Picture(Box::new(start)),
            kept: kept.clone(),
            masked: self.masked_condition(&prepared, init, request.size)?,
            control: self.controls(&request.control, request.size, map_for(&prepared, init))?,
        };
        let latents = self.run(request, plan, &mut randomness, watch)?;
        let mut painted = self.finish(latents)?;
        if init.color_correction {
            painted.image = ColorTarget::of(&prepared.image).apply(&painted.image);
        }
        if let Some(masked) = &prepared.masked {
            let overlay = match kept {
                Some(Kept::Soft(soft)) => soft_overlay(&soft, init, masked, &painted, request.size)?,
                _ => masked.overlay.clone(),
            };
            painted.image = overlay::laid_over(&painted.image, &overlay, masked.paste_to);
        }
        Ok(painted)
    }

    /// The latents of the picture at the painted size.
    ///
    /// # Shapes
    /// - output: [1, 4, height / 8, width / 8]
    fn latents_of(&self, image: &Rgb, size: [usize; 2]) -> Result<Tensor<4>> {
        if image.width < SMALLEST || image.height < SMALLEST {
            bail!(
                "--resize_mode latent: the picture is {} × {} pixels; {SMALLEST} a side are the least",
                image.width,
                image.height
            );
        }
        // The VAE takes whole cells of 8 pixels.
        let whole = (image.width / 8 * 8, image.height / 8 * 8);
        let latents = if whole == image.size() { self.encode(image) } else { self.encode(&image.crop(whole, (0, 0))) };
        let shape = latent_shape(size)?;
        let [_, _, rows, columns] = latents.dims();
        if [rows, columns] == shape {
            return Ok(latents);
        }
        let options =
            InterpolateOptions::new(InterpolateMode::Bilinear).with_output_size(shape).with_align_corners(false);
        Ok(interpolate(latents, options))
    }

    /// What is kept of the latents, with the wanted content under the mask.
    fn kept(&self, latents: &Tensor<4>, masked: &Masked, init: &Init, request: &Request) -> Result<Kept> {
        let [rows, columns] = latent_shape(request.size)?;
        let settings: Option<SoftInpainting> = init.inpaint.as_ref().and_then(|wanted| wanted.soft);
        let repaint = mask::of_latent(&masked.mask, (columns as u32, rows as u32), settings.is_some());
        let content = init.inpaint.as_ref().map_or(MaskedContent::Original, |wanted| wanted.settings.content);
        let mut values = to_f32_vec(latents.clone());
        // The first draw of the seed, whatever variation the sampling noise has.
        let noise = self.plain_noise(request)?;
        latent::start(&mut values, &noise, &repaint, content);
        if let Some(settings) = settings {
            return Ok(Kept::Soft(Box::new(SoftBlend { settings, original: values, mask: repaint })));
        }
        let original = self.latent_tensor(values, request.size)?;
        let repaint = Tensor::from_data(TensorData::new(repaint, [1, 1, rows, columns]), &self.device);
        Ok(Kept::Masked(Box::new(KeptLatents { original, repaint })))
    }

    fn latent_tensor(&self, values: Vec<f32>, size: [usize; 2]) -> Result<Tensor<4>> {
        let [rows, columns] = latent_shape(size)?;
        Ok(Tensor::from_data(TensorData::new(values, [1, 4, rows, columns]), &self.device))
    }

    /// What an inpainting model is given beside latents.
    ///
    /// # Shapes
    /// - output: [1, 5, height / 8, width / 8]
    fn masked_condition(&self, prepared: &Prepared, init: &Init, size: [usize; 2]) -> Result<Option<Tensor<4>>> {
        if !self.is_inpainting_model() {
            return Ok(None);
        }
        let [rows, columns] = latent_shape(size)?;
        let image = &prepared.image;
        let everything = Gray::filled(image.size(), [255]);
        let mask = prepared.masked.as_ref().map_or(&everything, |masked| &masked.mask);
        let is_soft = init.inpaint.as_ref().is_some_and(|wanted| wanted.soft.is_some());
        let weight = init.conditional_mask_weight as f32;
        let chw = to_f32_vec(self.image_tensor(image, -1.0));
        let hidden = condition::masked_picture(&chw, mask, weight, is_soft);
        let [width, height] = [image.width as usize, image.height as usize];
        let hidden = Tensor::from_data(TensorData::new(hidden, [1, 3, height, width]), &self.device);
        let channel = condition::mask_channel(mask, (columns as u32, rows as u32), is_soft);
        let channel = Tensor::from_data(TensorData::new(channel, [1, 1, rows, columns]), &self.device);
        Ok(Some(Tensor::cat(vec![channel, self.encode_values(hidden)], 1)))
    }
}

/// What a control picture is a map of: the picture, or the part of it that is painted.
fn map_for(prepared: &Prepared, init: &Init) -> MapFor {
    match prepared.masked.as_ref().and_then(|masked| masked.paste_to) {
        Some(region) => MapFor::Part(PaintedPart { region, picture: init.image.size() }),
        None => MapFor::Whole,
    }
}

/// The picture at the size that is painted.
fn brought(image: &Rgb, mode: ResizeMode, painted: Size) -> Rgb {
    if mode == ResizeMode::Latent { image.clone() } else { mode.apply(image, painted) }
}

/// What is laid over the result of soft inpainting: by how much the result differs.
fn soft_overlay(soft: &SoftBlend, init: &Init, masked: &Masked, painted: &Painted, size: [usize; 2]) -> Result<Rgba> {
    let [rows, columns] = latent_shape(size)?;
    let seen = soft.settings.seen(&soft.mask, &soft.original, &painted.latent, (columns as u32, rows as u32));
    let size: Size = (size[0] as u32, size[1] as u32);
    let original = match masked.paste_to {
        Some(_) => init.image.clone(),
        None => init.resize_mode.apply(&init.image, size),
    };
    Ok(soft::overlay_image(&original, &seen, size, masked.paste_to))
}
