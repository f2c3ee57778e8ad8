//! What the UNet is told at each call.

use anyhow::{Result, bail};
use lorabake_model::Conditioning;

use super::encode::Encoders;
use crate::prompt::composition;
use crate::prompt::schedule::{Schedule, Timeline, schedule};

/// Most parts of a prompt, each of which is a pass through the UNet at every step.
const MOST_PARTS: usize = 64;

/// One part of a prompt that is composed with `AND`.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its weight.
    pub weight: f64,
    /// When which text counts.
    pub schedule: Schedule,
    /// What the UNet is told of each of them.
    pub conditions: Vec<Conditioning>,
}

/// A prompt and a negative prompt, encoded for one pass.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// Of the prompt; at least one.
    pub parts: Vec<Part>,
    /// Of the negative prompt.
    pub negative: Part,
}

impl Part {
    /// What the UNet is told at a call.
    pub fn at_call(&self, call: usize) -> &Conditioning {
        &self.conditions[self.schedule.at_call(call)]
    }
}

/// The texts of a pass.
#[derive(Debug, Clone, Copy)]
pub struct PassTexts<'a> {
    /// Prompt and negative prompt.
    pub texts: [&'a str; 2],
    /// The steps over which they are laid out.
    pub timeline: Timeline,
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// The weight of the negative prompt as a part beside those of the prompt, if guidance starts from the empty prompt in
    /// its place.
    pub negative_weight: Option<f64>,
}

impl Conditions {
    /// Encodes prompt and negative prompt for a pass.
    ///
    /// # Errors
    /// When a text cannot be read as the web UI reads it.
    pub fn of(encoders: &Encoders<'_>, pass: PassTexts<'_>) -> Result<Self> {
        let PassTexts { texts: [prompt, negative], timeline, size, negative_weight } = pass;
        let encoded = |text: &str, weight: f64, is_negative: bool| -> Result<Part> {
            let schedule = schedule(text, timeline);
            let texts: Vec<&str> = schedule.entries.iter().map(|entry| entry.text.as_str()).collect();
            let conditions = encoders.encode(&texts, size, is_negative)?;
            Ok(Part { weight, schedule, conditions })
        };
        let composed = composition::parts(prompt);
        if composed.len() > MOST_PARTS {
            bail!("the prompt has {} parts with AND between them; {MOST_PARTS} are the most", composed.len());
        }
        let mut parts = Vec::new();
        for part in composed {
            parts.push(encoded(&part.text, part.weight, false)?);
        }
        let mut start = encoded(negative, 1.0, true)?;
        if let Some(weight) = negative_weight {
            parts.push(Part { weight, ..start });
            start = encoded("", 1.0, true)?;
        }
        Ok(Self { parts, negative: start })
    }
}
