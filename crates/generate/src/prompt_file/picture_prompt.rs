//! Prompts of sd-scripts' `gen_img.py`: what its lines may ask for beyond those of pictures during training.
//!
//! In TOML and JSON the settings have long names, and lists may be lists. Deep Shrink, gradual latents and guidance by CLIP
//! (which `gen_img.py` reads and no longer has) are refused.

use lorabake_diffusion::SamplerChoice;
use lorabake_recipe::Problem;

use super::entry::{Entry, Fault, Known, Setting, scale, seed, short, side};
use super::file_prompt::FilePrompt;
use crate::conditioning::ToldSizes;
use crate::png_text::PictureSettings;
use crate::prompt::with_strengths;

/// Steps that sd-scripts takes.
const STEPS: std::ops::RangeInclusive<usize> = 1..=1000;
/// Most pixels of a size that is only told to the network.
const LARGEST_TOLD: usize = 65_536;

const KNOWN: Known = Known {
    short: "--n, --w, --h, --s, --d, --l, --nl, --t, --am, --ow, --oh, --nw, --nh, --ct, --cl, --f and --ss",
    long: "prompt, negative_prompt, width, height, sample_steps, seed, scale, negative_scale, strength, \
        network_multipliers, original_width, original_height, negative_original_width, negative_original_height, \
        crop_top, crop_left, file_name and sample_sampler",
};

/// A prompt and how it is painted; what the file leaves open is `None` or empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PicturePrompt {
    /// What the picture should show; [`super::variants::expand`] makes its choices.
    pub prompt: String,
    /// What it should not show.
    pub negative_prompt: Option<String>,
    /// Pixels.
    pub width: Option<usize>,
    /// Pixels.
    pub height: Option<usize>,
    /// Seeds, one for each picture of this prompt.
    pub seeds: Vec<u64>,
    /// Sampling steps.
    pub steps: Option<usize>,
    /// Guidance scale.
    pub scale: Option<f64>,
    /// Guidance scale of the negative prompt.
    pub negative_scale: NegativeScale,
    /// How much of the picture that is begun with is painted anew, 0 to 1.
    pub strength: Option<f64>,
    /// Name of the sampler, which nobody has looked at.
    pub sampler: Option<String>,
    /// Strengths of the networks of the prompt, in their order; the last holds for all that follow.
    pub network_multipliers: Vec<f64>,
    /// What SDXL is told of sizes.
    pub sizes: ToldSizes,
    /// Name of the file, without folders.
    pub file_name: Option<String>,
}

/// Guidance scale of the negative prompt, as a prompt asks for it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum NegativeScale {
    /// Nothing is said.
    #[default]
    Open,
    /// That of the prompt, whatever holds elsewhere.
    AsPrompt,
    /// One of its own.
    Own(f64),
}

impl PicturePrompt {
    /// The picture that it asks for; sides are rounded down to multiples of 8. What is wrong goes to `problems`, as for
    /// [`Self::of`] with the same `entry`.
    pub(super) fn asked(mut self, entry: &Entry, label: &str, problems: &mut Vec<Problem>) -> FilePrompt {
        if !self.network_multipliers.is_empty() {
            match with_strengths(&self.prompt, &self.network_multipliers) {
                Some(prompt) => self.prompt = prompt,
                None => {
                    let of_networks =
                        |setting: &&Setting| matches!(setting.key.as_str(), "--am" | "network_multipliers");
                    let setting = entry.settings.iter().find(of_networks).cloned().unwrap_or_default();
                    problems.push(setting.problem(label, Fault::NoNetwork, &KNOWN));
                }
            }
        }
        let mut settings = PictureSettings {
            prompt: Some(self.prompt),
            negative_prompt: self.negative_prompt,
            width: self.width.map(|side| side / 8 * 8),
            height: self.height.map(|side| side / 8 * 8),
            denoising_strength: self.strength,
            sizes: self.sizes,
            ..PictureSettings::default()
        };
        settings.sampling.steps = self.steps;
        settings.sampling.cfg_scale = self.scale;
        settings.sampling.sampler = self.sampler;
        if let NegativeScale::Own(scale) = self.negative_scale {
            settings.sampling.negative_scale = Some(scale);
        }
        FilePrompt {
            settings,
            seeds: self.seeds,
            file_name: self.file_name,
            negative_scale_as_prompt: self.negative_scale == NegativeScale::AsPrompt,
            ..FilePrompt::default()
        }
    }

    /// `defaults` with what `entry` says; what is wrong goes to `problems`, which begin with `label`.
    pub(super) fn of(entry: &Entry, defaults: &Self, label: &str, problems: &mut Vec<Problem>) -> Self {
        let mut prompt = defaults.clone();
        for setting in &entry.settings {
            if let Err(fault) = prompt.take(setting) {
                problems.push(setting.problem(label, fault, &KNOWN));
            }
        }
        prompt
    }

    fn take(&mut self, setting: &Setting) -> Result<(), Fault> {
        let value = setting.value.as_str();
        match setting.key.as_str() {
            "prompt" => self.prompt = short(value)?,
            "--n" | "negative_prompt" => self.negative_prompt = Some(short(value)?),
            "--w" | "width" => self.width = Some(side(value)?),
            "--h" | "height" => self.height = Some(side(value)?),
            "--d" | "seed" => self.seeds = listed(value, seed)?,
            "--s" | "sample_steps" => self.steps = Some(steps(value)?),
            "--l" | "scale" => self.scale = Some(scale(value)?),
            "--nl" | "negative_scale" if value.eq_ignore_ascii_case("none") => {
                self.negative_scale = NegativeScale::AsPrompt;
            }
            "--nl" | "negative_scale" => self.negative_scale = NegativeScale::Own(scale(value)?),
            "--t" | "strength" => self.strength = Some(strength(value)?),
            "--ss" | "sample_sampler" => self.sampler = Some(sampler(value)?),
            "--am" | "network_multipliers" => self.network_multipliers = listed(value, multiplier)?,
            "--c" | "clip_prompt" => return Err(Fault::Missing("guidance by CLIP")),
            "--f" | "file_name" => self.file_name = Some(file_name(value)?),
            _ => return self.take_told(setting),
        }
        Ok(())
    }

    /// What only SDXL is told.
    fn take_told(&mut self, setting: &Setting) -> Result<(), Fault> {
        let sizes = &mut self.sizes;
        let place = match setting.key.as_str() {
            "--ow" | "original_width" => &mut sizes.original_width,
            "--oh" | "original_height" => &mut sizes.original_height,
            "--nw" | "negative_original_width" => &mut sizes.negative_original_width,
            "--nh" | "negative_original_height" => &mut sizes.negative_original_height,
            "--ct" | "crop_top" => &mut sizes.crop_top,
            "--cl" | "crop_left" => &mut sizes.crop_left,
            "--dsd1" | "--dst1" | "--dsd2" | "--dst2" | "--dsr" => return Err(Fault::Missing("Deep Shrink")),
            "--glt" | "--glr" | "--gle" | "--gls" | "--glsn" | "--glus" => {
                return Err(Fault::Missing("a gradual latent"));
            }
            "--cn" | "controlnet_image" => return Err(Fault::ControlNet),
            _ => return Err(Fault::Unknown),
        };
        *place = match setting.value.parse() {
            Ok(pixels) if pixels <= LARGEST_TOLD => Some(pixels),
            _ => return Err(Fault::Not(format!("a number of pixels; use 0 to {LARGEST_TOLD}"))),
        };
        Ok(())
    }
}

/// The values of a list, separated by commas.
fn listed<T>(value: &str, read: fn(&str) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
    value.split(',').map(|part| read(part.trim())).collect()
}

fn steps(value: &str) -> Result<usize, Fault> {
    match value.parse() {
        Ok(count) if STEPS.contains(&count) => Ok(count),
        _ => Err(Fault::Not(format!("a number of steps; use {} to {}", STEPS.start(), STEPS.end()))),
    }
}

fn strength(value: &str) -> Result<f64, Fault> {
    match value.parse() {
        Ok(strength) if (0.0..=1.0).contains(&strength) => Ok(strength),
        _ => Err(Fault::Not("a strength; use a number from 0 to 1".to_owned())),
    }
}

/// The name of a sampler, in quotes or without.
fn sampler(value: &str) -> Result<String, Fault> {
    let name = value.trim_matches('"');
    match name.parse::<SamplerChoice>() {
        Ok(_) => Ok(name.to_owned()),
        Err(_) => Err(Fault::Not("the name of a sampler; use for instance Euler a or DPM++ 2M".to_owned())),
    }
}

fn multiplier(value: &str) -> Result<f64, Fault> {
    match value.parse::<f64>() {
        Ok(multiplier) if multiplier.is_finite() => Ok(multiplier),
        _ => Err(Fault::Not("a list of strengths; write for instance 0.8,1".to_owned())),
    }
}

fn file_name(value: &str) -> Result<String, Fault> {
    if value.is_empty() || value.len() > 200 || value.starts_with('.') || value.contains(['/', '\\', ':', '\0']) {
        return Err(Fault::Not("the name of a file; use one of up to 200 bytes without folders".to_owned()));
    }
    Ok(value.to_owned())
}
