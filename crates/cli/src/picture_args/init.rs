//! Options of the commands that paint that begin with a picture: img2img and inpainting.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lorabake_diffusion::StepRule;
use lorabake_generate::from_settings::Originals;
use lorabake_generate::inpaint::soft::SoftInpainting;
use lorabake_generate::inpaint::{Inpaint, mask, sketch};
use lorabake_generate::png_text::PictureSettings;
use lorabake_generate::resize_mode::ResizeMode;
use lorabake_pixels::decode::decode_rgba;
use lorabake_pixels::pillow::flattened;
use lorabake_pixels::{Gray, Rgba, Size};

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
    #[arg(long, value_name = "FILE", requires = "init_image", group = "masked")]
    pub mask: Option<PathBuf>,
    /// The picture with colours drawn over it, or a transparent layer with them (inpaint sketch): what was drawn upon is the
    /// mask, and painting begins with the colours.
    #[arg(long, value_name = "FILE", requires = "init_image", group = "masked")]
    pub sketch: Option<PathBuf>,
    /// How much of the sketch is not seen, in percent. [default: 0]
    #[arg(long, value_name = "PERCENT", requires = "sketch", value_parser = clap::value_parser!(u8).range(0..=100))]
    mask_transparency: Option<u8>,
    /// Paints everything but the mask.
    #[arg(long, requires = "masked")]
    inpainting_mask_invert: bool,
    /// Blur of the mask's edge in pixels. [default: 4]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u8).range(0..=64))]
    mask_blur: Option<u8>,
    /// What lies under the mask at the beginning: original, fill, latent_noise or latent_nothing. [default: original]
    #[arg(long, value_name = "CONTENT", value_parser = ["original", "fill", "latent_noise", "latent_nothing"])]
    inpainting_fill: Option<String>,
    /// Paints the mask's surroundings at full size and puts them back ("only masked").
    #[arg(long, requires = "masked")]
    inpaint_only_masked: bool,
    /// Pixels around the mask that are painted with it. [default: 32]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(0..=256))]
    inpaint_padding: Option<u16>,
    /// How much an inpainting checkpoint sees of what the mask hides, from 0 (all) to 1 (nothing). [default: 1]
    #[arg(long, value_name = "SHARE", value_parser = super::values::share)]
    conditional_mask_weight: Option<f64>,
    /// Blends softly at the mask's edge, at every step (soft inpainting).
    #[arg(long, requires = "masked")]
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

    /// Whether only a part of the picture is painted anew.
    pub fn has_mask(&self) -> bool {
        self.mask.is_some() || self.sketch.is_some()
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

    /// The picture and its mask; `mask_blur` in pixels is that of the settings.
    ///
    /// # Errors
    /// When a file cannot be read, or they differ in size.
    pub fn originals(&self, mask_blur: Option<f64>) -> Result<Originals> {
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
            let mask = mask::read(&self.drawn("--mask", path, size)?, self.soft_inpainting);
            self.tell_empty("--mask", &mask);
            originals.mask = Some(mask);
        }
        if let (Some(path), Some(original)) = (&self.sketch, &originals.image) {
            let drawn = sketch::on_original(original, &self.drawn("--sketch", path, size)?);
            let transparency = f32::from(self.mask_transparency.unwrap_or(0)) / 100.0;
            let sketched = sketch::sketched(original, &drawn, sketch_blur(mask_blur), transparency);
            self.tell_empty("--sketch", &sketched.mask);
            tell_redrawn(&sketched.mask);
            originals.image = Some(sketched.picture);
            originals.mask = Some(sketched.mask);
        }
        Ok(originals)
    }

    /// The file of a mask or sketch, which is of the picture's size.
    fn drawn(&self, option: &str, path: &Path, size: Size) -> Result<Rgba> {
        let picture = decode_rgba(there(option, path)?).context(option.to_owned())?;
        if picture.size() != size {
            bail!(
                "{option} {}: it is {} × {} pixels and --init_image {} × {}; make both alike",
                path.display(),
                picture.width,
                picture.height,
                size.0,
                size.1
            );
        }
        Ok(picture)
    }

    fn tell_empty(&self, option: &str, mask: &Gray) {
        let kept = if self.inpainting_mask_invert { 255 } else { 0 };
        if mask.data.iter().all(|shade| *shade == kept) {
            let what = if self.inpaint_only_masked { "all of it is painted" } else { "nothing of it is painted anew" };
            terminal::say(&format!("note: {option}: no part of the picture is masked, so {what}"));
        }
    }
}

/// Standard deviation of a sketch's edge in pixels. A wider one than the options take comes from a picture's text, and is refused
/// with the other settings.
fn sketch_blur(mask_blur: Option<f64>) -> f32 {
    mask_blur.unwrap_or(Inpaint::default().blur.0).clamp(0.0, 64.0) as f32
}

/// JPEG changes every pixel a little, so that a drawing saved as such is a mask of the whole picture.
fn tell_redrawn(mask: &Gray) {
    let drawn = mask.data.iter().filter(|shade| **shade > 0).count();
    if drawn * 10 > mask.data.len() * 9 {
        let percent = drawn * 100 / mask.data.len();
        terminal::say(&format!(
            "note: --sketch: {percent} % of its pixels differ from --init_image, so nearly all is painted anew; if less was \
             drawn upon, save it as PNG"
        ));
    }
}
