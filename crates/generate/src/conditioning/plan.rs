//! What the UNet is told at each call.

use anyhow::Result;
use lorabake_model::Conditioning;

use super::encode::Encoders;
use crate::prompt::composition;
use crate::prompt::schedule::{Schedule, Timeline, schedule};

/// A text of a schedule, encoded.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The step after which the next one's turn comes.
    pub end_at_step: usize,
    /// The text.
    pub text: String,
    /// What the UNet is told, of one prompt.
    pub conditioning: Conditioning,
}

/// One part of a prompt that is composed with `AND`.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its weight.
    pub weight: f64,
    /// When which text counts.
    pub schedule: Schedule,
    /// The texts of the schedule.
    pub entries: Vec<Entry>,
}

/// A prompt and a negative prompt, encoded for one pass.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// Of the prompt; at least one.
    pub parts: Vec<Part>,
    /// Of the negative prompt.
    pub negative: Part,
}

impl Conditions {
    /// Encodes both texts for a pass of `size` [width, height] pixels.
    ///
    /// # Errors
    /// When a text cannot be read as the web UI reads it.
    pub fn of(encoders: &Encoders<'_>, texts: [&str; 2], timeline: &Timeline, size: [usize; 2]) -> Result<Self> {
        let [prompt, negative] = texts;
        let mut parts = Vec::new();
        for part in composition::parts(prompt) {
            parts.push(part_of(encoders, &part.text, part.weight, timeline, size, false)?);
        }
        let negative = part_of(encoders, negative, 1.0, timeline, size, true)?;
        Ok(Self { parts, negative })
    }
}
