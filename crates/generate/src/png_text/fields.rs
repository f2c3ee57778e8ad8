//! What the web UI says of a picture it made, in its order.
//!
//! Source: the order and the conditions of `create_infotext` (1.10).

use super::entries::Entries;
use super::python::Value;
use super::quote::quote;

/// What our pictures say of the program. It is no version number on purpose: the web UI takes a small number for an old
/// version of its own and changes settings when it reads the text.
pub const OUR_VERSION: &str = concat!("lorabake-", env!("CARGO_PKG_VERSION"));

/// Samplers that the web UI marks `uses_ensd`: the others do not mention the seed delta, though it acts.
const WITH_SEED_DELTA: [&str; 5] = ["DPM++ 2S a", "Euler a", "DPM2 a", "DPM fast", "DPM adaptive"];

/// What a picture was made with. `None`, and what has no effect, is not mentioned.
#[derive(Debug, Clone, PartialEq)]
pub struct Fields {
    /// The prompt as typed, with its tags.
    pub prompt: String,
    /// The negative prompt as typed.
    pub negative_prompt: String,
    /// Sampling steps.
    pub steps: i64,
    /// The sampler's label.
    pub sampler: String,
    /// The scheduler's label; none for samplers that have no schedule.
    pub scheduler: Option<String>,
    /// Guidance scale; [`Value::short`] writes it as the web UI's page does.
    pub cfg_scale: Value,
    /// Guidance scale of models that edit pictures.
    pub image_cfg_scale: Option<Value>,
    /// The seed of this picture.
    pub seed: u64,
    /// The model that mended faces.
    pub face_restoration: Option<String>,
    /// Width and height of the first pass, in pixels.
    pub size: [usize; 2],
    /// First 10 hex digits of the SHA-256 of the checkpoint's file.
    pub model_hash: Option<String>,
    /// The checkpoint's file name without suffix.
    pub model: Option<String>,
    /// First 10 hex digits of the SHA-256 of the VAE's file.
    pub vae_hash: Option<String>,
    /// File name of a VAE of its own.
    pub vae: Option<String>,
    /// A second seed that is mixed in.
    pub variation: Option<Variation>,
    /// Width and height whose noise is resized.
    pub seed_resize_from: Option<[usize; 2]>,
    /// How much of the picture is painted anew.
    pub denoising_strength: Option<Value>,
    /// How much an inpainting checkpoint sees of the mask.
    pub conditional_mask_weight: Option<Value>,
    /// 1 = the text encoder's last layer.
    pub clip_skip: i64,
    /// Eta noise seed delta; 0 = none.
    pub seed_delta: i64,
    /// Share of tokens that are merged; 0 = none.
    pub token_merging: Option<Value>,
    /// The same of the hires pass, if there is one.
    pub hires_token_merging: Option<Value>,
    /// Hash of the picture that was begun with.
    pub init_image_hash: Option<String>,
    /// Where noise comes from: `GPU`, `CPU` or `NV`.
    pub rng: String,
    /// Whether the picture continues at its other side.
    pub tiling: bool,
    /// What else acted, in its order; a key of the above replaces its value in its place.
    pub extra: Entries,
    /// The program; ours is [`OUR_VERSION`].
    pub version: Option<String>,
}

/// A second seed that is mixed in.
#[derive(Debug, Clone, PartialEq)]
pub struct Variation {
    /// The seed.
    pub seed: u64,
    /// How much of it; 0 = nothing.
    pub strength: Value,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            prompt: String::new(),
            negative_prompt: String::new(),
            steps: 20,
            sampler: "DPM++ 2M".to_owned(),
            scheduler: None,
            cfg_scale: Value::Whole(7),
            image_cfg_scale: None,
            seed: 0,
            face_restoration: None,
            size: [512, 512],
            model_hash: None,
            model: None,
            vae_hash: None,
            vae: None,
            variation: None,
            seed_resize_from: None,
            denoising_strength: None,
            conditional_mask_weight: None,
            clip_skip: 1,
            seed_delta: 0,
            token_merging: None,
            hires_token_merging: None,
            init_image_hash: None,
            rng: "GPU".to_owned(),
            tiling: false,
            extra: Entries::default(),
            version: Some(OUR_VERSION.to_owned()),
        }
    }
}

impl Fields {
    /// The whole text, as it stands in a picture.
    pub fn text(&self) -> String {
        let mut text = self.prompt.clone();
        if !self.negative_prompt.is_empty() {
            text += &format!("\nNegative prompt: {}", self.negative_prompt);
        }
        text.push('\n');
        for (index, item) in self.items().into_iter().filter_map(Item::text).enumerate() {
            if index > 0 {
                text += ", ";
            }
            text += &item;
        }
        text.trim().to_owned()
    }

    /// All settings in order; those without a value only keep a place.
    fn items(&self) -> Vec<Item> {
        let mut items = Items(Vec::new());
        items.put("Steps", Some(Value::Whole(self.steps)));
        items.put("Sampler", Some(self.sampler.as_str().into()));
        items.put("Schedule type", text(&self.scheduler));
        items.put("CFG scale", Some(self.cfg_scale.clone()));
        items.put("Image CFG scale", self.image_cfg_scale.clone());
        items.put("Seed", Some(self.seed.to_string().into()));
        items.put("Face restoration", text(&self.face_restoration));
        items.put("Size", sides(Some(self.size)));
        items.put("Model hash", text(&self.model_hash));
        items.put("Model", text(&self.model));
        items.put("FP8 weight", None);
        items.put("Cache FP16 weight for LoRA", None);
        items.put("VAE hash", text(&self.vae_hash));
        items.put("VAE", text(&self.vae));
        let variation = self.variation.as_ref().filter(|variation| variation.strength.number() != Some(0.0));
        items.put("Variation seed", variation.map(|variation| variation.seed.to_string().into()));
        items.put("Variation seed strength", variation.map(|variation| variation.strength.clone()));
        items.put("Seed resize from", sides(self.seed_resize_from.filter(|size| !size.contains(&0))));
        items.put("Denoising strength", self.denoising_strength.clone());
        items.put("Conditional mask weight", self.conditional_mask_weight.clone());
        items.put("Clip skip", if self.clip_skip > 1 { Some(Value::Whole(self.clip_skip)) } else { None });
        items.put("ENSD", if self.mentions_seed_delta() { Some(Value::Whole(self.seed_delta)) } else { None });
        items.put("Token merging ratio", share(&self.token_merging));
        items.put("Token merging ratio hr", share(&self.hires_token_merging));
        items.put("Init image hash", text(&self.init_image_hash));
        items.put("RNG", if self.rng == "GPU" { None } else { Some(self.rng.as_str().into()) });
        items.put("Tiling", if self.tiling { Some(Value::Flag(true)) } else { None });
        for entry in &self.extra {
            items.put(&entry.key, Some(entry.value.clone()));
        }
        items.put("Version", text(&self.version));
        items.0
    }

    fn mentions_seed_delta(&self) -> bool {
        let still = self.extra.get("Eta").is_some_and(|eta| eta.number() == Some(0.0));
        self.seed_delta != 0 && !still && WITH_SEED_DELTA.contains(&self.sampler.as_str())
    }
}

/// A place in the line of settings.
struct Item {
    key: String,
    value: Option<Value>,
}

impl Item {
    fn text(self) -> Option<String> {
        let value = self.value?.to_string();
        if value == self.key { Some(value) } else { Some(format!("{}: {}", self.key, quote(&value))) }
    }
}

struct Items(Vec<Item>);

impl Items {
    /// A key that is there already gets the new value and keeps its place.
    fn put(&mut self, key: &str, value: Option<Value>) {
        match self.0.iter_mut().find(|item| item.key == key) {
            Some(item) => item.value = value,
            None => self.0.push(Item { key: key.to_owned(), value }),
        }
    }
}

fn text(words: &Option<String>) -> Option<Value> {
    words.clone().map(Value::Text)
}

fn sides(size: Option<[usize; 2]>) -> Option<Value> {
    size.map(|[width, height]| format!("{width}x{height}").into())
}

fn share(share: &Option<Value>) -> Option<Value> {
    share.clone().filter(|share| share.number() != Some(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_written_again_keeps_its_place() {
        let mut fields = Fields { prompt: "a".into(), scheduler: Some("Automatic".into()), ..Fields::default() };
        fields.extra.put("Schedule type", "Karras");
        fields.extra.put("Script", "Script");
        fields.version = None;
        let expected =
            "a\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 0, Size: 512x512, Script";
        assert_eq!(fields.text(), expected);
    }

    #[test]
    fn the_seed_delta_is_told_where_the_web_ui_tells_it() {
        let mut fields = Fields { seed_delta: 31337, sampler: "Euler a".into(), ..Fields::default() };
        assert!(fields.text().contains("ENSD: 31337"));
        fields.extra.put("Eta", 0.0);
        assert!(!fields.text().contains("ENSD"));
    }
}
