//! Presets for families of models that lorabake does not train: nothing of them would serve.

use serde_json::{Map, Value};

use super::Source;
use super::ledger::text;

/// How other programs begin the names of families, in small letters without signs between them, with plain names.
const OTHERS: [(&str, &str); 20] = [
    ("flux", "Flux"),
    ("sd3", "Stable Diffusion 3"),
    ("stablediffusion3", "Stable Diffusion 3"),
    ("stablecascade", "Stable Cascade"),
    ("wuerstchen", "Würstchen"),
    ("lumina", "Lumina"),
    ("hunyuan", "Hunyuan"),
    ("pixart", "PixArt"),
    ("sana", "Sana"),
    ("hidream", "HiDream"),
    ("chroma", "Chroma"),
    ("qwen", "Qwen-Image"),
    ("zimage", "Z-Image"),
    ("kolors", "Kolors"),
    ("auraflow", "AuraFlow"),
    ("anima", "Anima"),
    ("ernie", "ERNIE-Image"),
    ("wan", "Wan"),
    ("framepack", "FramePack"),
    ("ltx", "LTX-Video"),
];

/// Switches of the kohya GUI that choose a family, with its plain name.
const SWITCHES: [(&str, &str); 3] =
    [("flux1_checkbox", "Flux"), ("sd3_checkbox", "Stable Diffusion 3"), ("lumina_checkbox", "Lumina")];

/// The family of models that a preset is for, if lorabake does not train it.
pub(super) fn of_preset(source: &Source, settings: &Map<String, Value>) -> Option<&'static str> {
    let named = |key: &str| settings.get(key).and_then(|value| named(&text(value)));
    match source {
        Source::OneTrainer => named("model_type"),
        Source::Gui => {
            let switched = SWITCHES.iter().find(|(key, _)| settings.get(*key) == Some(&Value::Bool(true)));
            switched.map(|(_, family)| *family).or_else(|| named("LoRA_type"))
        }
    }
}

/// The family that a name stands for, if lorabake does not train it.
pub(super) fn named(name: &str) -> Option<&'static str> {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let plain: String = letters.take(40).collect::<String>().to_ascii_lowercase();
    let is_inpainting = plain.starts_with("stablediffusion") && plain.ends_with("inpainting");
    if is_inpainting {
        return Some("inpainting");
    }
    if plain.starts_with("stablediffusion") && plain.ends_with("depth") {
        return Some("Stable Diffusion 2 depth");
    }
    OTHERS.iter().find(|(begin, _)| plain.starts_with(begin)).map(|(_, family)| *family)
}
