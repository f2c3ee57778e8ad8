//! What a picture's text says, by meaning: [`Parsed`] → [`PictureSettings`], for making another one like it.

mod hires;
mod masking;
mod over;
mod sampling;
mod sizes;

pub use hires::HiresSettings;
pub use masking::MaskSettings;
pub use sampling::SamplingSettings;

use super::entries::Entry;
use super::python::Value;
use super::read::Parsed;
use super::version::Version;
use crate::conditioning::ToldSizes;
use sampling::is_plain;

/// What a picture was made with, as far as its text says so. Nothing is checked but that numbers are numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PictureSettings {
    /// The prompt with its tags.
    pub prompt: Option<String>,
    /// The negative prompt.
    pub negative_prompt: Option<String>,
    /// Pixels of the first pass.
    pub width: Option<usize>,
    /// Pixels of the first pass.
    pub height: Option<usize>,
    /// File name without suffix.
    pub model: Option<String>,
    /// First hex digits of the SHA-256 of the checkpoint's file.
    pub model_hash: Option<String>,
    /// File name of the VAE.
    pub vae: Option<String>,
    /// First hex digits of the SHA-256 of the VAE's file.
    pub vae_hash: Option<String>,
    /// Steps, sampler, seed, and all that acts on the way from noise to latents.
    pub sampling: SamplingSettings,
    /// What SDXL is told of sizes.
    pub sizes: ToldSizes,
    /// 1 = the text encoder's last layer.
    pub clip_skip: Option<usize>,
    /// The mode of emphasis, such as `No norm`.
    pub emphasis: Option<String>,
    /// Whether prompt editing counts steps as versions before 1.6 did.
    pub old_prompt_editing: Option<bool>,
    /// Whether the shorter of the two prompts is padded.
    pub pad_conds: Option<bool>,
    /// The same, as in versions before 1.6.
    pub pad_conds_v0: Option<bool>,
    /// Whether the picture continues at its other side.
    pub tiling: Option<bool>,
    /// How much of a picture is painted anew, in img2img and in the hires pass.
    pub denoising_strength: Option<f64>,
    /// The second pass.
    pub hires: HiresSettings,
    /// What is painted anew of a picture.
    pub mask: MaskSettings,
    /// Hashes of LoRAs.
    pub loras: Vec<NamedHash>,
    /// Hashes of embeddings.
    pub embeddings: Vec<NamedHash>,
    /// Texts of ControlNet's units, in order.
    pub control: Vec<String>,
    /// ADetailer's settings, with their keys.
    pub detailer: Vec<Entry>,
    /// What a plot varied, if the picture is the sheet of one: `X Type`, `X Values` and so on.
    pub plot: Vec<Entry>,
    /// The program.
    pub version: Option<String>,
    /// Keys that are not known, and values that are not what their key needs.
    pub not_understood: Vec<Entry>,
}

/// A file's name and the beginning of its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedHash {
    /// File name without suffix.
    pub name: String,
    /// Hex digits.
    pub hash: String,
}

impl PictureSettings {
    /// The settings that `parsed` names, and what its version means by them.
    pub fn of(parsed: &Parsed) -> Self {
        let mut settings = Self::default();
        if !parsed.prompt.is_empty() {
            settings.prompt = parsed.all.text("Prompt");
        }
        if !parsed.negative_prompt.is_empty() {
            settings.negative_prompt = Some(parsed.negative_prompt.clone());
        }
        for entry in &parsed.said {
            if !settings.take(entry) {
                settings.not_understood.push(entry.clone());
            }
        }
        let found = |key: &str| parsed.all.get(key);
        settings.old_prompt_editing = found("Old prompt editing timelines").and_then(Value::flag);
        settings.pad_conds_v0 = found("Pad conds v0").and_then(Value::flag);
        settings.sampling.downcast_alphas = found("Downcast alphas_cumprod").and_then(Value::flag);
        // A text of old times tells the first pass and the result the other way round.
        if found("First pass size-1").is_some() {
            settings.width = found("Size-1").and_then(count);
            settings.height = found("Size-2").and_then(count);
            settings.hires.width = found("Hires resize-1").and_then(count);
            settings.hires.height = found("Hires resize-2").and_then(count);
        }
        let version = settings.version.as_deref();
        let old = version.is_none_or(|text| Version::parse(text).is_some_and(|version| version.is_before("1.9")));
        if old && settings.sampling.has_no_schedule() {
            settings.sampling.scheduler = Some("Uniform".to_owned());
        }
        if old && settings.hires.scheduler.is_none() && settings.hires.sampler.as_deref().is_some_and(is_plain) {
            settings.hires.scheduler = Some("Uniform".to_owned());
        }
        settings
    }

    /// Takes over a setting; `false` if it is not understood.
    fn take(&mut self, entry: &Entry) -> bool {
        let value = &entry.value;
        match entry.key.as_str() {
            "Size-1" => set(&mut self.width, count(value)),
            "Size-2" => set(&mut self.height, count(value)),
            "Model" => set(&mut self.model, text(value)),
            "Model hash" => set(&mut self.model_hash, text(value)),
            "VAE" => set(&mut self.vae, text(value)),
            "VAE hash" => set(&mut self.vae_hash, text(value)),
            "Clip skip" => set(&mut self.clip_skip, count(value)),
            "Emphasis" => set(&mut self.emphasis, text(value)),
            "Old prompt editing timelines" => value.flag().is_some(),
            "Pad conds" => set(&mut self.pad_conds, value.flag()),
            "Pad conds v0" | "Downcast alphas_cumprod" => value.flag().is_some(),
            "Tiling" => set(&mut self.tiling, value.flag()),
            "Denoising strength" => set(&mut self.denoising_strength, value.number()),
            "Lora hashes" => set_hashes(&mut self.loras, value),
            "TI hashes" | "TI" => set_hashes(&mut self.embeddings, value),
            "Version" => set(&mut self.version, text(value)),
            // Of whom the picture is, and where the first pass of old times was: both are of no effect here.
            "User" | "First pass size-1" | "First pass size-2" | "Hypernet" | "Hypernet strength" => true,
            key if key.starts_with("ControlNet") => {
                self.control.push(value.to_string());
                true
            }
            "Script" | "X Type" | "X Values" | "Y Type" | "Y Values" | "Z Type" | "Z Values" => {
                self.plot.push(entry.clone());
                true
            }
            // The same values without their ranges.
            "Fixed X Values" | "Fixed Y Values" | "Fixed Z Values" => true,
            key if key.starts_with("ADetailer ") => {
                self.detailer.push(entry.clone());
                true
            }
            key => {
                self.sampling.take(key, value)
                    || self.hires.take(key, value)
                    || self.mask.take(key, value)
                    || sizes::take(&mut self.sizes, key, value)
            }
        }
    }
}

/// Puts a value into its place; `false` if there is none.
fn set<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let is_there = value.is_some();
    *place = value;
    is_there
}

fn text(value: &Value) -> Option<String> {
    Some(value.to_string())
}

fn count(value: &Value) -> Option<usize> {
    value.whole().and_then(|whole| usize::try_from(whole).ok())
}

fn seed(value: &Value) -> Option<u64> {
    value.to_string().trim().parse().ok()
}

/// Reads `name: 0123456789ab, other: …`.
fn set_hashes(hashes: &mut Vec<NamedHash>, value: &Value) -> bool {
    for pair in value.to_string().split(',') {
        if let Some((name, hash)) = pair.rsplit_once(':') {
            hashes.push(NamedHash { name: name.trim().to_owned(), hash: hash.trim().to_owned() });
        }
    }
    !hashes.is_empty()
}

#[cfg(test)]
mod tests {
    use super::super::read::parse;
    use super::*;

    #[test]
    fn a_text_becomes_settings_and_the_rest_is_listed() {
        let text = "a cat <lora:x:0.5>\nNegative prompt: bad\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, \
            CFG scale: 7.0, Seed: 4294967295, Size: 512x768, Model hash: 6ce0161689, Model: v1-5, Denoising strength: 0.4, \
            Clip skip: 2, ENSD: 31337, RNG: NV, Hires upscale: 2, Hires steps: 10, Hires upscaler: Latent, Mask blur: 4, \
            Inpaint area: Only masked, Lora hashes: \"x: 0123456789ab, y: 1\", Eta: 0.5, Weird: 1, Mood: good, \
            Sigma churn: much, ADetailer model: f.pt, Version: v1.10.1";
        let settings = PictureSettings::of(&parse(text));
        assert_eq!(settings.prompt.as_deref(), Some("a cat <lora:x:0.5>"));
        assert_eq!((settings.width, settings.height), (Some(512), Some(768)));
        assert_eq!(settings.sampling.steps, Some(20));
        assert_eq!(settings.sampling.seed, Some(4_294_967_295));
        assert_eq!(settings.sampling.scheduler.as_deref(), Some("Karras"));
        assert_eq!(settings.sampling.eta, Some(0.5));
        assert_eq!(settings.hires.upscale, Some(2.0));
        assert_eq!(settings.mask.only_masked, Some(true));
        assert_eq!(settings.loras[1], NamedHash { name: "y".into(), hash: "1".into() });
        assert_eq!(settings.detailer.len(), 1);
        let left: Vec<&str> = settings.not_understood.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(left, ["Weird", "Mood", "Sigma churn"]);
    }

    #[test]
    fn an_old_version_means_what_it_did() {
        let of = |text: &str| PictureSettings::of(&parse(text));
        let old = of("[a:b:5]\nSteps: 20, Sampler: DPM++ 2M, Seed: 1, Version: v1.5.1");
        assert_eq!(old.sampling.scheduler.as_deref(), Some("Uniform"));
        assert_eq!((old.old_prompt_editing, old.sampling.downcast_alphas), (Some(true), Some(true)));
        let karras = of("a\nSteps: 20, Sampler: DPM++ 2M Karras, Seed: 1, Version: v1.8.0");
        assert_eq!(karras.sampling.scheduler, None);
        let first = of("a\nSteps: 20, Sampler: Euler, Size: 1024x768, First pass size: 512x384");
        assert_eq!((first.width, first.hires.width), (Some(512), Some(1024)));
        assert!(first.not_understood.is_empty(), "{:?}", first.not_understood);
    }
}
