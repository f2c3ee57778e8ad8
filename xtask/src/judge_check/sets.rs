//! The images of the bakes: the demonstrations', and copies of them that are spoilt.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// A demonstration's images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Set {
    /// A character, 16 images.
    Penny,
    /// A style, 60 images.
    Style,
    /// A concept, 30 images.
    Sticker,
}

/// What all bakes have in common.
const BASE: &str = r#"caption_extension = ".txt"
resolution = 128
shuffle_caption = true
keep_tokens = 1
cache_latents = true
train_batch_size = 4
network_module = "networks.lora"
network_dim = 16
network_alpha = 16
lr_scheduler = "cosine"
debiased_estimation_loss = true
min_timestep = 200
mixed_precision = "bf16"
validation_split = 0.2
validate_every_n_epochs = 100
save_every_n_epochs = 2
save_precision = "fp16"
"#;

impl Set {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Penny, Self::Style, Self::Sticker];

    /// Its folder under `examples`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Penny => "penny",
            Self::Style => "style",
            Self::Sticker => "sticker",
        }
    }

    fn concept(self) -> &'static str {
        match self {
            Self::Penny => "10_penny",
            Self::Style => "4_inked",
            Self::Sticker => "8_sticker",
        }
    }

    fn trigger(self) -> &'static str {
        match self {
            Self::Penny => "penny",
            Self::Style => "inked style",
            Self::Sticker => "sticker border",
        }
    }

    /// Rates of UNet and text encoder of a good bake.
    pub fn rates(self) -> [f64; 2] {
        match self {
            Self::Penny => [3e-3, 1e-3],
            Self::Style => [4e-3, 2e-3],
            Self::Sticker => [3e-3, 1.5e-3],
        }
    }

    /// Epochs of a good bake.
    pub fn epochs(self) -> u32 {
        match self {
            Self::Penny => 6,
            Self::Style | Self::Sticker => 4,
        }
    }
}

/// Writes all sets and the recipe into `folder`.
///
/// # Errors
/// When examples are missing, or something cannot be written.
pub fn prepare(examples: &Path, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("base.toml"), BASE)?;
    for set in Set::ALL {
        let source = examples.join(set.name()).join(set.concept());
        let images = images(&source)?;
        let captions: Vec<String> = images
            .iter()
            .map(|image| std::fs::read_to_string(image.with_extension("txt")))
            .collect::<Result<_, _>>()
            .with_context(|| source.display().to_string())?;
        let place = |more: &str, concept: &str| folder.join("sets").join(format!("{}{more}", set.name())).join(concept);
        write(&place("", set.concept()), &images, &captions)?;
        // As many uses as a good bake has.
        let repeats: usize = set.concept().split('_').next().unwrap_or("1").parse()?;
        let name = set.concept().split('_').nth(1).unwrap_or("one");
        let uses = images.len() * repeats * 8 / 10;
        write(&place("-one", &format!("{uses}_{name}")), &images[..1], &captions[..1])?;
        let mut shuffled = captions.clone();
        shuffled.shuffle(&mut ChaCha8Rng::seed_from_u64(7));
        write(&place("-badtags", set.concept()), &images, &shuffled)?;
        let bare: Vec<String> = captions.iter().map(|caption| without(caption, set.trigger())).collect();
        write(&place("-notrigger", set.concept()), &images, &bare)?;
    }
    Ok(())
}

fn images(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|suffix| suffix == "png") {
            images.push(path);
        }
    }
    images.sort();
    Ok(images)
}

fn without(caption: &str, trigger: &str) -> String {
    let tags: Vec<&str> = caption.trim().split(", ").filter(|tag| *tag != trigger).collect();
    tags.join(", ")
}

fn write(folder: &Path, images: &[PathBuf], captions: &[String]) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    for (image, caption) in images.iter().zip(captions) {
        let to = folder.join(image.file_name().unwrap_or_default());
        if !to.exists() {
            std::fs::copy(image, &to)?;
            std::fs::write(to.with_extension("txt"), caption)?;
        }
    }
    Ok(())
}
