//! Options of the commands that paint that begin with a picture: img2img and inpainting.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lorabake_diffusion::StepRule;
use lorabake_generate::from_settings::Originals;
use lorabake_generate::inpaint::mask;
use lorabake_generate::inpaint::soft::SoftInpainting;
use lorabake_generate::png_text::PictureSettings;
use lorabake_generate::resize_mode::ResizeMode;
use lorabake_pixels::decode::decode_rgba;
use lorabake_pixels::pillow::flattened;

use super::values::there;
use crate::terminal;

/// The picture to begin with.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "Img2img and inpainting")]
pub struct InitArgs {
    /// Picture to begin with (img2img).
    #[arg(long, value_name = "FILE")]
    pub init_image: Option<PathBuf>,
    /// How much of it is changed, from 0 to 1; also of the second pass of --hr_scale. [default: 0.75, for --hr_scale 0.7]
    #[arg(long, value_name = "SHARE", value_parser = super::values::share)]
    pub denoising_strength: Option<f64>,
    /// How the picture comes to the wanted size: just_resize, crop_and_resize, resize_and_fill or latent.
    /// [default: just_resize]
    #[arg(long, value_name = "MODE")]
    pub resize_mode: Option<ResizeMode>,
    /// Does all steps whatever the strength; by default 20 steps at strength 0.5 are 10.
    #[arg(long, requires = "init_image")]
    pub exact_steps: bool,
    /// Scales the initial noise of img2img. [default: 1]
    #[arg(long, value_name = "NUMBER", value_parser = super::values::number)]
    initial_noise_multiplier: Option<f64>,
    /// Noise that is added to the picture beforehand. [default: 0]
    #[arg(long, value_name = "NUMBER", value_parser = super::values::number)]
    extra_noise: Option<f64>,
    /// Matches the colours of the result to the picture's.
    #[arg(long, requires = "init_image")]
    pub color_correction: bool,
    /// Picture of what is painted anew (inpainting): the white or opaque parts of it.
    #[arg(long, value_name = "FILE", requires = "init_image")]
    pub mask: Option<PathBuf>,
    /// Paints everything but the mask.
    #[arg(long, requires = "mask")]
    inpainting_mask_invert: bool,
    /// Blur of the mask's edge in pixels. [default: 4]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u8).range(0..=64))]
    mask_blur: Option<u8>,
    /// What lies under the mask at the beginning: original, fill, latent_noise or latent_nothing. [default: original]
    #[arg(long, value_name = "CONTENT", value_parser = ["original", "fill", "latent_noise", "latent_nothing"])]
    inpainting_fill: Option<String>,
    /// Paints the mask's surroundings at full size and puts them back ("only masked").
    #[arg(long, requires = "mask")]
    inpaint_only_masked: bool,
    /// Pixels around the mask that are painted with it. [default: 32]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(0..=256))]
    inpaint_padding: Option<u16>,
    /// How much an inpainting checkpoint sees of what the mask hides, from 0 (all) to 1 (nothing). [default: 1]
    #[arg(long, value_name = "SHARE", value_parser = super::values::share)]
    conditional_mask_weight: Option<f64>,
    /// Blends softly at the mask's edge, at every step (soft inpainting).
    #[arg(long, requires = "mask")]
    pub soft_inpainting: bool,
}

impl InitArgs {
    /// Puts what was typed into `settings`.
    pub fn put(&self, settings: &mut PictureSettings) {
        settings.denoising_strength = self.denoising_strength;
        settings.sampling.noise_multiplier = self.initial_noise_multiplier;
        settings.sampling.extra_noise = self.extra_noise;
        let mask = &mut settings.mask;
        mask.blur = self.mask_blur.map(f64::from);
        mask.inverted = self.inpainting_mask_invert.then_some(true);
        mask.content = self.inpainting_fill.as_ref().map(|content| content.replace('_', " "));
        mask.only_masked = self.inpaint_only_masked.then_some(true);
        mask.padding = self.inpaint_padding.map(usize::from);
        mask.conditional_weight = self.conditional_mask_weight;
    }

    /// Whether noise is wanted on the picture that a pass begins with.
    pub fn has_extra_noise(&self) -> bool {
        self.extra_noise.is_some()
    }

    /// Options that were typed and need a picture to begin with.
    pub fn typed_for_image(&self) -> Vec<&'static str> {
        let mut typed = Vec::new();
        for (option, is_typed) in [
            ("--resize_mode", self.resize_mode.is_some()),
            ("--initial_noise_multiplier", self.initial_noise_multiplier.is_some()),
            ("--conditional_mask_weight", self.conditional_mask_weight.is_some()),
        ] {
            if is_typed {
                typed.push(option);
            }
        }
        typed
    }

    /// Options that were typed and need a mask.
    pub fn typed_for_mask(&self) -> Vec<&'static str> {
        let mut typed = Vec::new();
        for (option, is_typed) in [
            ("--mask_blur", self.mask_blur.is_some()),
            ("--inpainting_fill", self.inpainting_fill.is_some()),
            ("--inpaint_padding", self.inpaint_padding.is_some()),
        ] {
            if is_typed {
                typed.push(option);
            }
        }
        typed
    }

    /// The picture and its mask.
    ///
    /// # Errors
    /// When a file cannot be read, or they differ in size.
    pub fn originals(&self) -> Result<Originals> {
        let mut originals = Originals {
            resize_mode: self.resize_mode.unwrap_or_default(),
            step_rule: if self.exact_steps { StepRule::Exactly } else { StepRule::Share },
            color_correction: self.color_correction,
            soft: self.soft_inpainting.then(SoftInpainting::default),
            ..Originals::default()
        };
        let Some(path) = &self.init_image else { return Ok(originals) };
        let image = decode_rgba(there("--init_image", path)?).context("--init_image")?;
        let size = image.size();
        // The web UI puts what is transparent on white.
        originals.image = Some(flattened(&image, [255; 3]));
        if let Some(path) = &self.mask {
            let picture = decode_rgba(there("--mask", path)?).context("--mask")?;
            if picture.size() != size {
                bail!(
                    "--mask {}: it is {} × {} pixels and --init_image {} × {}; make both alike",
                    path.display(),
                    picture.width,
                    picture.height,
                    size.0,
                    size.1
                );
            }
            let mask = mask::read(&picture, self.soft_inpainting);
            let kept = if self.inpainting_mask_invert { 255 } else { 0 };
            if mask.data.iter().all(|shade| *shade == kept) {
                let what =
                    if self.inpaint_only_masked { "all of it is painted" } else { "nothing of it is painted anew" };
                terminal::say(&format!("note: --mask: no part of the picture is masked, so {what}"));
            }
            originals.mask = Some(mask);
        }
        Ok(originals)
    }
}
