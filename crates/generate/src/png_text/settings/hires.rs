//! Settings of the second pass.

use super::super::python::Value;
use super::{count, set, text};

/// The hires pass; there is one if [`HiresSettings::acts`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HiresSettings {
    /// By how much the picture is enlarged.
    pub upscale: Option<f64>,
    /// Pixels of the result instead; 0 = as the other side asks.
    pub width: Option<usize>,
    /// Pixels of the result instead; 0 = as the other side asks.
    pub height: Option<usize>,
    /// Sampling steps; 0 = those of the first pass.
    pub steps: Option<usize>,
    /// What enlarges.
    pub upscaler: Option<String>,
    /// Another checkpoint.
    pub checkpoint: Option<String>,
    /// Another sampler.
    pub sampler: Option<String>,
    /// Another scheduler.
    pub scheduler: Option<String>,
    /// Another prompt.
    pub prompt: Option<String>,
    /// Another negative prompt.
    pub negative_prompt: Option<String>,
    /// Another guidance scale, which Forge has.
    pub cfg_scale: Option<f64>,
}

impl HiresSettings {
    /// Whether the text tells of a second pass.
    pub fn acts(&self) -> bool {
        self.upscale.is_some() || self.width.is_some() || self.height.is_some() || self.upscaler.is_some()
    }

    /// Takes over a setting; `false` if it is none of these, or its value is not what it needs.
    pub(super) fn take(&mut self, key: &str, value: &Value) -> bool {
        match key {
            "Hires upscale" => set(&mut self.upscale, value.number()),
            "Hires resize-1" => set(&mut self.width, count(value)),
            "Hires resize-2" => set(&mut self.height, count(value)),
            "Hires steps" => set(&mut self.steps, count(value)),
            "Hires upscaler" => set(&mut self.upscaler, text(value)),
            "Hires checkpoint" => own(&mut self.checkpoint, value),
            "Hires sampler" => own(&mut self.sampler, value),
            "Hires schedule type" => own(&mut self.scheduler, value),
            "Hires prompt" => own(&mut self.prompt, value),
            "Hires negative prompt" => own(&mut self.negative_prompt, value),
            "Hires CFG Scale" => set(&mut self.cfg_scale, value.number()),
            _ => false,
        }
    }
}

/// Sets what differs from the first pass.
fn own(place: &mut Option<String>, value: &Value) -> bool {
    let name = value.to_string();
    *place = if name.starts_with("Use same ") { None } else { Some(name) };
    true
}
