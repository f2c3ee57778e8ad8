//! Settings of what is painted anew of a picture.

use super::super::python::Value;
use super::{count, set, text};

/// Inpainting.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MaskSettings {
    /// Radius by which the mask is blurred, in pixels.
    pub blur: Option<f64>,
    /// Whether what is *not* masked is painted anew.
    pub inverted: Option<bool>,
    /// What is under the mask at first: fill, original, latent noise or latent nothing.
    pub content: Option<String>,
    /// Whether only the masked area is painted, enlarged to the picture's size.
    pub only_masked: Option<bool>,
    /// Pixels around the masked area that are painted with it.
    pub padding: Option<usize>,
    /// How much an inpainting checkpoint sees of the mask.
    pub conditional_weight: Option<f64>,
    /// Whether the mask's edge is blended softly.
    pub soft: Option<bool>,
    /// Soft inpainting's numbers, in the order of the web UI's text.
    pub soft_numbers: [Option<f64>; 6],
}

/// The keys of soft inpainting's numbers, behind its name.
const SOFT_KEYS: [&str; 6] = [
    "schedule bias",
    "preservation strength",
    "transition contrast boost",
    "mask influence",
    "difference threshold",
    "difference contrast",
];

impl MaskSettings {
    /// Takes over a setting; `false` if it is none of these, or its value is not what it needs.
    pub(super) fn take(&mut self, key: &str, value: &Value) -> bool {
        match key {
            "Mask blur" => set(&mut self.blur, value.number()),
            "Mask mode" => set(&mut self.inverted, choice(value, "Inpaint not masked", "Inpaint masked")),
            "Masked content" => set(&mut self.content, text(value)),
            "Inpaint area" => set(&mut self.only_masked, choice(value, "Only masked", "Whole picture")),
            "Masked area padding" => set(&mut self.padding, count(value)),
            "Conditional mask weight" => set(&mut self.conditional_weight, value.number()),
            "Soft inpainting enabled" => set(&mut self.soft, value.flag()),
            _ => {
                match key.strip_prefix("Soft inpainting ").and_then(|key| SOFT_KEYS.iter().position(|own| *own == key))
                {
                    Some(number) => set(&mut self.soft_numbers[number], value.number()),
                    None => false,
                }
            }
        }
    }
}

fn choice(value: &Value, yes: &str, no: &str) -> Option<bool> {
    let name = value.to_string();
    if name == yes {
        Some(true)
    } else if name == no {
        Some(false)
    } else {
        None
    }
}
