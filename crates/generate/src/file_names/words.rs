//! What the patterns of a name stand for.

use chrono::format::{Item, StrftimeItems};
use sha2::{Digest, Sha256};

use super::facts::Facts;
use super::sanitize::{Spaces, sanitize};
use crate::png_text::Value;

/// The patterns, without those that only old versions had.
pub(super) const NAMES: [&str; 31] = [
    "seed",
    "seed_first",
    "seed_last",
    "steps",
    "cfg",
    "sampler",
    "scheduler",
    "sampler_scheduler",
    "model_name",
    "model_hash",
    "date",
    "datetime",
    "prompt",
    "prompt_spaces",
    "prompt_no_styles",
    "prompt_words",
    "prompt_hash",
    "negative_prompt_hash",
    "full_prompt_hash",
    "width",
    "height",
    "batch_number",
    "batch_size",
    "generation_number",
    "clip_skip",
    "denoising",
    "image_hash",
    "vae_filename",
    "hasprompt",
    "none",
    "user",
];

/// Words of a prompt that a name has.
const MOST_WORDS: usize = 8;

/// The text for the pattern `name` with what stands in its `<…>`; `None` drops the text before it, too.
pub(super) fn word(name: &str, arguments: &[String], facts: &Facts<'_>) -> Option<String> {
    let fields = facts.fields;
    let kept = |text: &str| Some(sanitize(text, Spaces::Kept));
    match name {
        "seed" | "seed_first" | "seed_last" => Some(fields.seed.to_string()),
        "steps" => Some(fields.steps.to_string()),
        "cfg" => Some(fields.cfg_scale.to_string()),
        "sampler" => kept(&fields.sampler),
        "scheduler" => kept(fields.scheduler.as_deref().unwrap_or("Automatic")),
        "sampler_scheduler" => match fields.scheduler.as_deref() {
            None | Some("Automatic") => kept(&fields.sampler),
            Some(scheduler) => kept(&format!("{} {scheduler}", fields.sampler)),
        },
        "model_name" => kept(fields.model.as_deref()?),
        "model_hash" => fields.model_hash.clone(),
        "width" => Some(fields.size[0].to_string()),
        "height" => Some(fields.size[1].to_string()),
        "clip_skip" => Some(fields.clip_skip.to_string()),
        "denoising" => fields.denoising_strength.as_ref().map(Value::to_string),
        "vae_filename" => kept(fields.vae.as_deref().map_or("NoneType", |name| name.split('.').next().unwrap_or(name))),
        "batch_number" => facts.batch_number.map(|number| number.to_string()),
        "batch_size" => Some(facts.batch_size.to_string()),
        "generation_number" => facts.generation_number.map(|number| number.to_string()),
        "none" | "user" => Some(String::new()),
        _ => long_word(name, arguments, facts),
    }
}

fn long_word(name: &str, arguments: &[String], facts: &Facts<'_>) -> Option<String> {
    let prompt = facts.fields.prompt.as_str();
    let negative = facts.fields.negative_prompt.as_str();
    let length = arguments.first().and_then(|digits| digits.parse().ok());
    match name {
        "date" => Some(facts.time.format("%Y-%m-%d").to_string()),
        "datetime" => {
            let format = arguments.first().map_or("%Y%m%d%H%M%S", String::as_str);
            Some(sanitize(&facts.time.format(format).to_string(), Spaces::Kept))
        }
        "prompt" | "prompt_no_styles" => Some(sanitize(prompt, Spaces::Replaced)),
        "prompt_spaces" => Some(sanitize(prompt, Spaces::Kept)),
        "prompt_words" => Some(first_words(prompt)),
        "prompt_hash" => Some(hash(prompt.as_bytes(), length.unwrap_or(8))),
        "negative_prompt_hash" => Some(hash(negative.as_bytes(), length.unwrap_or(8))),
        "full_prompt_hash" => Some(hash(format!("{prompt} {negative}").as_bytes(), length.unwrap_or(8))),
        "image_hash" => Some(hash(facts.rgb, length.unwrap_or(64))),
        "hasprompt" => Some(found_words(prompt, arguments)),
        _ => None,
    }
}

/// What is wrong with a format of `[datetime<…>]`, if anything.
pub(super) fn is_time_format(format: &str) -> bool {
    !StrftimeItems::new(format).any(|item| item == Item::Error)
}

fn first_words(prompt: &str) -> String {
    let words = prompt.split(|c: char| c.is_whitespace() || c.is_ascii_punctuation());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).take(MOST_WORDS).collect();
    if words.is_empty() { "empty".to_owned() } else { sanitize(&words.join(" "), Spaces::Kept) }
}

/// Of each `word|otherwise` the word if the prompt has it.
fn found_words(prompt: &str, arguments: &[String]) -> String {
    let prompt = prompt.to_lowercase();
    let mut found = String::new();
    for argument in arguments {
        let mut parts = argument.split('|');
        let word = parts.next().unwrap_or_default().to_lowercase();
        if argument.is_empty() {
            continue;
        }
        if prompt.contains(&word) {
            found.push_str(&word);
        } else {
            found.push_str(parts.next().unwrap_or_default());
        }
    }
    sanitize(&found, Spaces::Replaced)
}

fn hash(bytes: &[u8], digits: usize) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    hex[..digits.min(hex.len())].to_owned()
}
