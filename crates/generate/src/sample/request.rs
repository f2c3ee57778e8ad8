//! What a picture is asked to be, and what it is.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use lorabake_diffusion::{Sampler, StepCount};
use lorabake_lora::Strength;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Pixels that a picture may have on a side.
pub const SIDES: RangeInclusive<u32> = 64..=4096;
/// The strongest guidance.
pub const LARGEST_SCALE: f64 = 100.0;

/// What a picture is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// What it should show, without tags.
    pub prompt: String,
    /// What it should not show; may be empty.
    pub negative_prompt: String,
    /// LoRAs that act together.
    pub loras: Vec<LoraUse>,
    /// Pixels, a multiple of 8.
    pub width: usize,
    /// Pixels, a multiple of 8.
    pub height: usize,
    /// Sampling steps.
    #[serde(serialize_with = "number_of_steps", deserialize_with = "steps_of_number")]
    pub steps: StepCount,
    /// Guidance scale; 1 = no guidance, the negative prompt is not used then.
    pub cfg_scale: f64,
    /// Seed of the initial noise, and of the noise that the sampler adds on its way.
    pub seed: u64,
    /// The sampler.
    #[serde(serialize_with = "name_of_sampler", deserialize_with = "sampler_of_name")]
    pub sampler: Sampler,
    /// 1 = the text encoder's last layer, 2 = the one before, and so on.
    pub clip_skip: usize,
    /// Unit normal initial noise, (1, 4, height / 8, width / 8) row-major, instead of the seed's.
    pub noise: Option<Vec<f32>>,
}

/// A LoRA file and how strongly it acts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoraUse {
    /// The file, in kohya's format.
    pub path: PathBuf,
    /// In each network.
    pub strength: Strength,
}

/// A finished picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// Red, green and blue of every pixel, row by row.
    pub rgb: Vec<u8>,
    /// As decoded, before clamping to −1..=1: (3, height, width) row-major.
    pub image: Vec<f32>,
    /// The last latents, as the UNet sees them: (4, height / 8, width / 8) row-major.
    pub latent: Vec<f32>,
}

fn number_of_steps<S: Serializer>(steps: &StepCount, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(steps.get() as u64)
}

fn steps_of_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StepCount, D::Error> {
    StepCount::try_from(usize::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn name_of_sampler<S: Serializer>(sampler: &Sampler, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(sampler)
}

fn sampler_of_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sampler, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}
