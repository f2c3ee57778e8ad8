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

impl Conditions {
    /// Encodes prompt and negative prompt for a pass of `size` [width, height] pixels.
    ///
    /// # Errors
    /// When a text cannot be read as the web UI reads it.
    pub fn of(encoders: &Encoders<'_>, texts: [&str; 2], timeline: Timeline, size: [usize; 2]) -> Result<Self> {
        let [prompt, negative] = texts;
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
        Ok(Self { parts, negative: encoded(negative, 1.0, true)? })
    }
}
