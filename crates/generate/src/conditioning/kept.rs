//! Encoded texts that are kept from one picture to the next: the cells of a plot and the pictures of a batch share them, and
//! the text encoders need not be read for each.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::Result;

use super::{Conditions, PassTexts, TextOptions};
use crate::prompt::schedule::Timeline;

/// How many pairs of prompt and negative prompt are kept. One of 75 tokens takes 0.5 MB for SD1.x, 1.3 MB for SDXL.
const MOST: usize = 32;

/// All that a pair of encoded texts depends on, within one checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptKey {
    nets: String,
    texts: [String; 2],
    timeline: Timeline,
    size: [usize; 2],
    negative_weight: Option<f64>,
    options: TextOptions,
}

impl KeptKey {
    /// Of the texts of `pass`; `nets` says what acts on the text encoders.
    pub fn new(nets: &str, pass: PassTexts<'_>, options: TextOptions) -> Self {
        let PassTexts { texts, timeline, size, negative_weight } = pass;
        Self { nets: nets.to_owned(), texts: texts.map(str::to_owned), timeline, size, negative_weight, options }
    }
}

/// The texts that were encoded last.
#[derive(Debug, Default)]
pub struct KeptTexts {
    entries: VecDeque<(KeptKey, Arc<Conditions>)>,
    made: usize,
}

impl KeptTexts {
    /// The conditions of `key`: those that are kept, or what `make` makes.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get_or_make(&mut self, key: KeptKey, make: impl FnOnce() -> Result<Conditions>) -> Result<Arc<Conditions>> {
        if let Some((_, kept)) = self.entries.iter().find(|(known, _)| *known == key) {
            return Ok(Arc::clone(kept));
        }
        let made = Arc::new(make()?);
        self.made += 1;
        if self.entries.len() == MOST {
            self.entries.pop_front();
        }
        self.entries.push_back((key, Arc::clone(&made)));
        Ok(made)
    }

    /// How many pairs were made so far.
    pub fn made(&self) -> usize {
        self.made
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Part, ToldSizes};
    use super::*;
    use crate::conditioning::chunks::COMMA_BACKTRACK;
    use crate::prompt::emphasis::Emphasis;
    use crate::prompt::schedule::schedule;

    fn key(nets: &str, prompt: &str, side: usize) -> KeptKey {
        let options = TextOptions {
            clip_skip: 1,
            emphasis: Emphasis::default(),
            comma_backtrack: COMMA_BACKTRACK,
            sizes: ToldSizes::default(),
        };
        let timeline = Timeline { steps: 20, hires_steps: None, old: false };
        let pass = PassTexts { texts: [prompt, ""], timeline, size: [side, side], negative_weight: None };
        KeptKey::new(nets, pass, options)
    }

    #[test]
    fn texts_are_encoded_once_and_the_oldest_go() {
        let mut kept = KeptTexts::default();
        let mut made = 0;
        let mut ask = |key: KeptKey| {
            let make = || {
                made += 1;
                let timeline = Timeline { steps: 20, hires_steps: None, old: false };
                let negative = Part { weight: 1.0, schedule: schedule("", timeline), conditions: Vec::new() };
                Ok(Conditions { parts: Vec::new(), negative })
            };
            kept.get_or_make(key, make).unwrap();
            made
        };
        assert_eq!(ask(key("", "a fox", 512)), 1);
        assert_eq!(ask(key("", "a fox", 512)), 1);
        assert_eq!(ask(key("lora", "a fox", 512)), 2);
        assert_eq!(ask(key("", "a cat", 512)), 3);
        assert_eq!(ask(key("", "a fox", 768)), 4);
        for side in 0..MOST {
            ask(key("", "others", side));
        }
        let before = 4 + MOST;
        assert_eq!(ask(key("", "a fox", 512)), before + 1);
    }
}
