//! Prompts and pictures that have nothing to do with a LoRA: what the checkpoint draws for them should stay as it is.

use std::path::Path;

use anyhow::Result;
use burn::tensor::Tensor;
use lorabake_generate::easel::{Easel, Order};
use lorabake_generate::from_settings::{Library, Originals};
use lorabake_generate::png_text::PictureSettings;
use lorabake_pixels::Rgb;
use sha2::{Digest, Sha256};

use crate::loss_size::LossSize;
use crate::progress::{News, Tell};
use crate::shelf::{Kept, Shelf};
use crate::told::Caption;

/// A picture that the checkpoint alone has painted.
#[derive(Debug, Clone)]
pub struct PlainPicture {
    /// Its prompt.
    pub prompt: String,
    /// Its seed.
    pub seed: u64,
    /// Its pixels.
    pub image: Rgb,
    /// Its latents, [1, 4, H, W], at the size at which errors are measured.
    pub latents: Tensor<4>,
    /// The number by which its noise is drawn.
    pub key: u64,
}

impl PlainPicture {
    /// Its prompt, and its size.
    pub fn told(&self) -> Caption<'_> {
        Caption { text: &self.prompt, size: [self.image.width as usize, self.image.height as usize] }
    }
}

/// A picture before it is looked at.
#[derive(Debug, Clone)]
pub struct Raw {
    /// Its prompt.
    pub prompt: String,
    /// Its seed.
    pub seed: u64,
    /// Its pixels.
    pub image: Rgb,
    /// Its last latents, row-major.
    pub latents: Vec<f32>,
}

/// What is to be painted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The prompt.
    pub prompt: &'a str,
    /// The seed.
    pub seed: u64,
    /// With which LoRA.
    pub lora: Option<Applied<'a>>,
    /// A hash of the LoRA's content; nothing without one.
    pub content: &'a str,
}

/// A LoRA that is painted with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Applied<'a> {
    /// Its file.
    pub path: &'a Path,
    /// How strong it is, 1 = as it was trained.
    pub strength: f64,
}

/// How pictures are painted for judging.
#[derive(Debug, Clone, PartialEq)]
pub struct PaintPlan {
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// Sampling steps.
    pub steps: usize,
    /// Guidance; low, so that it does not hide what the LoRA does.
    pub cfg_scale: f64,
    /// As in training.
    pub clip_skip: usize,
    /// At which size errors on its pictures are measured.
    pub loss_size: LossSize,
}

/// What kind of texts a model is used to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextKind {
    /// Names of emoji, as the model inside the program knows them.
    Emoji,
    /// Tags with commas.
    Tags,
    /// Sentences.
    Prose,
}

/// Prompts for things that anime models draw without any LoRA.
const TAGS: [&str; 8] = [
    "scenery, mountain, sky, cloud, no humans",
    "cat, sitting, windowsill, no humans",
    "1boy, solo, armor, sword, standing, castle",
    "still life, apple, table, no humans",
    "city, night, rain, street, no humans",
    "dog, running, grass, no humans",
    "old man, beard, hat, portrait",
    "ocean, ship, sunset, no humans",
];
/// Prompts for things that every model draws.
const PROSE: [&str; 8] = [
    "a mountain lake under a cloudy sky",
    "a cat on a windowsill",
    "an old man with a beard, portrait",
    "a bowl of apples on a wooden table",
    "a rainy street in a city at night",
    "a dog running through high grass",
    "a knight in armor in front of a castle",
    "a sailing ship at sunset",
];
/// Prompts for the model inside the program.
const EMOJI: [&str; 8] = [
    "fox, purple background, noto style",
    "red apple, pink background, noto style",
    "penguin, black background, twemoji style",
    "rocket, white background, noto style",
    "top hat, green background, twemoji style",
    "automobile, grey background, noto style",
    "cat face, yellow background, twemoji style",
    "tulip, blue background, noto style",
];

impl TextKind {
    /// The kind of `captions`: tags have more commas than one in eight words.
    pub fn of(captions: &[String], is_embedded: bool) -> Self {
        if is_embedded {
            return Self::Emoji;
        }
        let commas: usize = captions.iter().map(|caption| caption.matches(',').count()).sum();
        let words: usize = captions.iter().map(|caption| caption.split_whitespace().count()).sum();
        if commas * 8 > words { Self::Tags } else { Self::Prose }
    }

    /// Prompts that hold none of `words`, which are the trigger and the class.
    pub fn prompts(self, words: &[&str]) -> Vec<&'static str> {
        let all = match self {
            Self::Emoji => EMOJI,
            Self::Tags => TAGS,
            Self::Prose => PROSE,
        };
        let holds = |prompt: &str| words.iter().any(|word| !word.is_empty() && prompt.contains(word));
        all.into_iter().filter(|prompt| !holds(prompt)).collect()
    }
}

/// The seed of the prompt without trigger with the number `index`.
pub(crate) fn plain_seed(index: usize) -> u64 {
    1 + index as u64
}

impl PaintPlan {
    /// The picture of a prompt and a seed, with a LoRA.
    ///
    /// # Errors
    /// When the prompt cannot be read, or there is no such LoRA.
    pub fn order(&self, prompt: &str, seed: u64, lora: Option<Applied<'_>>) -> Result<Order> {
        let mut folders = Vec::new();
        let mut text = prompt.to_owned();
        if let Some(Applied { path, strength }) = lora {
            folders.extend(path.parent().map(Path::to_owned));
            text += &format!(" <lora:{}:{strength}>", path.file_stem().unwrap_or_default().to_string_lossy());
        }
        let mut settings = PictureSettings {
            prompt: Some(text),
            width: Some(self.size[0]),
            height: Some(self.size[1]),
            clip_skip: Some(self.clip_skip),
            emphasis: Some("None".to_owned()),
            ..PictureSettings::default()
        };
        settings.sampling.seed = Some(seed);
        settings.sampling.steps = Some(self.steps);
        settings.sampling.cfg_scale = Some(self.cfg_scale);
        let library = Library::of_loras(folders);
        Ok(Order::of(&settings, &library, &Originals::default(), self.size[0])?.order)
    }

    /// Passes through the UNet that a step counts as: with the prompt and without, at the size of pictures.
    pub fn step_passes(&self) -> u64 {
        let [width, height] = self.size.map(|side| side as u64);
        let (small_width, small_height) = self.loss_size.of((width as u32, height as u32));
        2 * (width * height / u64::from(small_width * small_height)).max(1)
    }

    /// Paints one picture, or takes it from the shelf; `tell` is told after each step.
    ///
    /// # Errors
    /// As [`Easel::paint`], and what `tell` returns.
    pub fn paint(&self, easel: &mut Easel, wanted: Wanted<'_>, shelf: &Shelf, tell: &mut Tell<'_>) -> Result<Raw> {
        let Wanted { prompt, seed, lora, content } = wanted;
        let strength = lora.map_or(0.0, |lora| lora.strength);
        let what = format!("{self:?} {seed} {content} {strength} {prompt}");
        let step = News::Did(self.step_passes());
        if let Some(Kept { image, latents }) = shelf.picture(&what) {
            for _ in 0..self.steps {
                tell(step)?;
            }
            return Ok(Raw { prompt: prompt.to_owned(), seed, image, latents });
        }
        let order = self.order(prompt, seed, lora)?;
        let painted = easel.paint(&order, &mut |_| tell(step))?.painted;
        let kept = Kept { image: painted.image, latents: painted.latent };
        shelf.keep_picture(&what, &kept);
        let Kept { image, latents } = kept;
        Ok(Raw { prompt: prompt.to_owned(), seed, image, latents })
    }

    /// Paints `prompts` with the checkpoint alone, each with the next seed; `tell` is told after each step.
    ///
    /// # Errors
    /// As [`Easel::paint`], and what `tell` returns.
    pub fn paint_plain(
        &self,
        easel: &mut Easel,
        prompts: &[&str],
        shelf: &Shelf,
        tell: &mut Tell<'_>,
    ) -> Result<Vec<PlainPicture>> {
        let mut pictures = Vec::new();
        for (index, prompt) in prompts.iter().enumerate() {
            let wanted = Wanted { prompt, seed: plain_seed(index), lora: None, content: "" };
            let Raw { prompt, seed, image, latents } = self.paint(easel, wanted, shelf, tell)?;
            let digest = Sha256::digest(&image.data);
            let mut key = [0; 8];
            key.copy_from_slice(&digest[..8]);
            let latents = match self.loss_size {
                LossSize::Whole => {
                    let [columns, rows] = self.size.map(|side| side / 8);
                    easel.painter.tensor(latents, [1, 4, rows, columns])
                }
                LossSize::Half => easel.painter.encode(&self.loss_size.shrink(&image)),
            };
            pictures.push(PlainPicture { prompt, seed, image, latents, key: u64::from_le_bytes(key) });
        }
        Ok(pictures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_texts_is_seen_from_captions() {
        let captions = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(TextKind::of(&captions(&["1girl, solo, blue hair"]), false), TextKind::Tags);
        assert_eq!(
            TextKind::of(&captions(&["a woman in a red coat who walks a dog, in snow"]), false),
            TextKind::Prose
        );
        assert_eq!(TextKind::of(&[], true), TextKind::Emoji);
        assert_eq!(TextKind::Emoji.prompts(&["fox", ""]).len(), EMOJI.len() - 1);
    }
}
