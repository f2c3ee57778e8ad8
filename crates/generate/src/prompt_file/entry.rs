//! A prompt as it stands in a file: its settings as text with their lines, whatever the format. One reading of the text
//! serves all formats, so that a setting means the same in each and has the same limits.

use std::fmt;

use lorabake_diffusion::StepCount;
use lorabake_recipe::Problem;

use super::{SamplePrompt, sampler};
use crate::prompt::MOST_BYTES;
use crate::sample::{LARGEST_SCALE, SIDES};

/// What a prompt says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Entry {
    pub settings: Vec<Setting>,
}

/// A setting as it is typed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Setting {
    /// `--w` in a line of text, `width` elsewhere.
    pub key: String,
    pub value: String,
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is = if self.key.starts_with("--") { " " } else { " = " };
        write!(f, "{}{is}{}", self.key, self.value)
    }
}

/// The settings that a reader of prompts takes.
pub(super) struct Known {
    /// Those of a line of text.
    pub short: &'static str,
    /// Those of TOML and JSON.
    pub long: &'static str,
}

/// Those of pictures during training.
const OF_SAMPLES: Known = Known {
    short: "--n, --w, --h, --d, --s, --l and --ss",
    long: "prompt, negative_prompt, width, height, seed, sample_steps, scale and sample_sampler",
};

/// What is wrong with a setting.
pub(super) enum Fault {
    Unknown,
    ControlNet,
    /// It asks for what is not there.
    Missing(&'static str),
    /// It is about networks, and the prompt has none.
    NoNetwork,
    TooLong,
    /// A seed below 0, which elsewhere stands for a random one.
    Negative,
    /// Its value is not this, which ends in an example.
    Not(String),
}

impl Entry {
    /// `defaults` with what the prompt says of itself; what is wrong goes to `problems`, which begin with `label`.
    pub(super) fn over(&self, defaults: &SamplePrompt, label: &str, problems: &mut Vec<Problem>) -> SamplePrompt {
        let mut prompt = defaults.clone();
        for setting in &self.settings {
            if let Err(fault) = setting.put_into(&mut prompt) {
                problems.push(setting.problem(label, fault, &OF_SAMPLES));
            }
        }
        prompt
    }
}

impl Setting {
    fn put_into(&self, prompt: &mut SamplePrompt) -> Result<(), Fault> {
        let value = self.value.as_str();
        match self.key.as_str() {
            "prompt" => prompt.prompt = short(value)?,
            "--n" | "negative_prompt" => prompt.negative_prompt = Some(short(value)?),
            "--w" | "width" => prompt.width = Some(side(value)?),
            "--h" | "height" => prompt.height = Some(side(value)?),
            "--d" | "seed" => prompt.seed = Some(seed(value)?),
            "--s" | "sample_steps" => prompt.sample_steps = Some(steps(value)?),
            "--l" | "scale" => prompt.scale = Some(scale(value)?),
            "--ss" | "sample_sampler" => {
                sampler(value).map_err(|_| Fault::Not("the name of a sampler; use ddim or euler_a".to_owned()))?;
                prompt.sample_sampler = Some(value.to_owned());
            }
            "--cn" | "controlnet_image" => return Err(Fault::ControlNet),
            _ => return Err(Fault::Unknown),
        }
        Ok(())
    }

    /// What is wrong in words, which begin with `label`.
    pub(super) fn problem(&self, label: &str, fault: Fault, known: &Known) -> Problem {
        let Self { key, line, .. } = self;
        let (what, remedy) = match fault {
            Fault::Unknown if key.starts_with("--") => (format!("{key} is not known"), format!("use {}", known.short)),
            Fault::Unknown => (format!("{key} is not known"), format!("use {}", known.long)),
            Fault::ControlNet => (format!("{key}: ControlNet is not built in"), "leave it out".to_owned()),
            Fault::Missing(what) => (format!("{key}: {what} is not built in"), "leave it out".to_owned()),
            Fault::NoNetwork => {
                (format!("{self}: the prompt has no network"), "write one in it, for instance <lora:NAME:1>".to_owned())
            }
            Fault::TooLong => {
                let bytes = self.value.len();
                (format!("{key}: a text of {bytes} bytes"), "225 tokens are seen, so shorten it".to_owned())
            }
            Fault::Negative => (format!("{self}: it is not a seed"), format!("leave {key} out for a random one")),
            Fault::Not(expected) => {
                let (expected, remedy) = expected.split_once("; ").unwrap_or((&expected, "put it right"));
                (format!("{self}: it is not {expected}"), remedy.to_owned())
            }
        };
        Problem { option: None, what: format!("{label}: line {line}: {what}"), remedy, file: None }
    }
}

pub(super) fn short(value: &str) -> Result<String, Fault> {
    if value.len() > MOST_BYTES { Err(Fault::TooLong) } else { Ok(value.to_owned()) }
}

pub(super) fn side(value: &str) -> Result<usize, Fault> {
    match value.parse() {
        Ok(pixels) if SIDES.contains(&pixels) => Ok(pixels as usize),
        _ => Err(Fault::Not(format!("a size that can be painted; use {} to {} pixels", SIDES.start(), SIDES.end()))),
    }
}

pub(super) fn seed(value: &str) -> Result<u64, Fault> {
    if value.trim().starts_with('-') {
        return Err(Fault::Negative);
    }
    value.parse().map_err(|_| Fault::Not("a whole number; use one that is 0 or more, such as 42".to_owned()))
}

fn steps(value: &str) -> Result<usize, Fault> {
    match value.parse() {
        Ok(count) if StepCount::RANGE.contains(&count) => Ok(count),
        _ => {
            let (least, most) = (StepCount::RANGE.start(), StepCount::RANGE.end());
            Err(Fault::Not(format!("a number of steps; use {least} to {most}")))
        }
    }
}

pub(super) fn scale(value: &str) -> Result<f64, Fault> {
    match value.parse() {
        Ok(scale) if (0.0..=LARGEST_SCALE).contains(&scale) => Ok(scale),
        _ => Err(Fault::Not(format!("a scale of guidance; use a number from 0 to {LARGEST_SCALE}"))),
    }
}
