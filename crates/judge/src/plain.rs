//! Prompts and pictures that have nothing to do with a LoRA: what the checkpoint draws for them should stay as it is.

use std::path::Path;

use anyhow::Result;
use burn::tensor::Tensor;
use lorabake_generate::easel::{Easel, Order};
use lorabake_generate::from_settings::{Library, Originals};
use lorabake_generate::png_text::PictureSettings;
use lorabake_pixels::Rgb;
use sha2::{Digest, Sha256};

/// A picture that the checkpoint alone has painted.
#[derive(Debug, Clone)]
pub struct PlainPicture {
    /// Its prompt.
    pub prompt: String,
    /// Its seed.
    pub seed: u64,
    /// Its pixels.
    pub image: Rgb,
    /// Its last latents, [1, 4, H, W].
    pub latents: Tensor<4>,
    /// The number by which its noise is drawn.
    pub key: u64,
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

impl PaintPlan {
    /// The picture of a prompt and a seed, with the LoRA at `lora` at strength 1.
    ///
    /// # Errors
    /// When the prompt cannot be read, or there is no such LoRA.
    pub fn order(&self, prompt: &str, seed: u64, lora: Option<&Path>) -> Result<Order> {
        let mut folders = Vec::new();
        let mut text = prompt.to_owned();
        if let Some(path) = lora {
            folders.extend(path.parent().map(Path::to_owned));
            text += &format!(" <lora:{}:1>", path.file_stem().unwrap_or_default().to_string_lossy());
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

    /// Paints `prompts` with the checkpoint alone, each with the next seed; `done` is told after each.
    ///
    /// # Errors
    /// As [`Easel::paint`], and what `done` returns.
    pub fn paint_plain(
        &self,
        easel: &mut Easel,
        prompts: &[&str],
        done: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Vec<PlainPicture>> {
        let mut pictures = Vec::new();
        for (index, prompt) in prompts.iter().enumerate() {
            let seed = 1 + index as u64;
            let order = self.order(prompt, seed, None)?;
            let painted = easel.paint(&order, &mut |_| Ok(()))?.painted;
            let digest = Sha256::digest(&painted.image.data);
            let mut key = [0; 8];
            key.copy_from_slice(&digest[..8]);
            let [width, height] = order.request.size;
            pictures.push(PlainPicture {
                prompt: (*prompt).to_owned(),
                seed,
                image: painted.image,
                latents: easel.painter.tensor(painted.latent, [1, 4, height / 8, width / 8]),
                key: u64::from_le_bytes(key),
            });
            done(index + 1)?;
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
