//! Reads the text back: prompt, negative prompt, settings, and what the web UI takes for granted where it says nothing.
//!
//! Source: the behaviour of `parse_generation_parameters` (1.10).

use super::entries::Entries;
use super::python::Value;
use super::quote::unquote;
use super::version::Version;
use crate::prompt::emphasis::{self, Emphasis, Piece};

/// Settings of a last line that are too few to be taken for settings.
const FEWEST: usize = 3;

/// A text taken apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parsed {
    /// The prompt with its tags.
    pub prompt: String,
    /// The negative prompt.
    pub negative_prompt: String,
    /// The settings that the text names. `512x768` becomes two, `Size-1` and `Size-2`.
    pub said: Entries,
    /// The same with what the web UI fills in: prompts, defaults and what an old version means. It is what the web UI
    /// would set.
    pub all: Entries,
}

/// Reads `text`; where it has no line of settings, all of it is prompts.
pub fn parse(text: &str) -> Parsed {
    let text = text.trim();
    let (mut above, last) = text.rsplit_once('\n').map_or(("", text), |(above, last)| (above, last));
    let mut pairs = pairs(last);
    if pairs.len() < FEWEST {
        above = text;
        pairs = Vec::new();
    }
    let mut parsed = Parsed::default();
    for pair in pairs {
        put(&mut parsed.said, pair);
    }
    if !above.is_empty() {
        split_prompts(above, &mut parsed);
    }
    parsed.all = parsed.said.clone();
    complete(&parsed.prompt, &parsed.negative_prompt, &mut parsed.all);
    parsed
}

/// A key and what stands behind its colon.
#[derive(Debug, PartialEq)]
struct Pair<'a> {
    key: &'a str,
    value: &'a str,
}

/// All `key: value` of a line. A key has a letter or digit and then at least one more, or a space, `-` or `/`.
fn pairs(line: &str) -> Vec<Pair<'_>> {
    let mut pairs = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find(is_word) {
        let name = &rest[start..];
        let end = name.find(|c| !is_word(c) && !matches!(c, ' ' | '-' | '/')).unwrap_or(name.len());
        let key = &name[..end];
        rest = &name[end..];
        if key.chars().nth(1).is_none() {
            continue;
        }
        let Some(behind) = rest.strip_prefix(':') else { continue };
        let behind = behind.trim_start();
        let length = quoted(behind).unwrap_or_else(|| behind.find(',').unwrap_or(behind.len()));
        pairs.push(Pair { key, value: &behind[..length] });
        rest = behind[length..].strip_prefix(',').unwrap_or_default();
    }
    pairs
}

fn is_word(symbol: char) -> bool {
    symbol.is_alphanumeric() || symbol == '_'
}

/// Bytes of the quoted text at the beginning, if there is one and a comma or the end follows.
fn quoted(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, symbol) in inner.char_indices() {
        match symbol {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => {
                let end = at + 2;
                let ends = text[end..].is_empty() || text[end..].starts_with(',');
                return if at > 0 && ends { Some(end) } else { None };
            }
            _ => {}
        }
    }
    None
}

fn put(said: &mut Entries, pair: Pair<'_>) {
    let Pair { key, value } = pair;
    // The web UI stumbles over an empty value and leaves it out.
    if value.is_empty() {
        return;
    }
    let value = unquote(value);
    let digits = |side: &str| !side.is_empty() && side.bytes().all(|byte| byte.is_ascii_digit());
    match value.split_once('x') {
        Some((width, height)) if digits(width) && digits(height) => {
            said.put(&format!("{key}-1"), width);
            said.put(&format!("{key}-2"), height);
        }
        _ => said.put(key, value),
    }
}

fn split_prompts(text: &str, parsed: &mut Parsed) {
    let mut negative = false;
    for line in text.split('\n') {
        let mut line = line.trim();
        if let Some(rest) = line.strip_prefix("Negative prompt:") {
            negative = true;
            line = rest.trim();
        }
        let prompt = if negative { &mut parsed.negative_prompt } else { &mut parsed.prompt };
        if !prompt.is_empty() {
            prompt.push('\n');
        }
        prompt.push_str(line);
    }
}

/// Adds to the settings what the web UI fills in.
fn complete(prompt: &str, negative_prompt: &str, all: &mut Entries) {
    let mut prompt = prompt.to_owned();
    let weighted = is_weighted(&prompt) || is_weighted(negative_prompt);
    if let Some(name) = all.get("Hypernet") {
        let strength = all.text("Hypernet strength").unwrap_or_else(|| "1.0".to_owned());
        prompt += &format!("<hypernet:{name}:{strength}>");
    }
    all.put("Prompt", prompt.as_str());
    all.put("Negative prompt", negative_prompt);
    if all.get("Hires resize-1").is_none() {
        all.put("Hires resize-1", 0_i64);
        all.put("Hires resize-2", 0_i64);
    }
    old_first_pass(all);
    for (key, value) in DEFAULTS {
        all.put_default(key, *value);
    }
    for key in ["Schedule max sigma", "Schedule min sigma", "Schedule rho"] {
        all.put_default(key, 0_i64);
    }
    all.put_default("Masked area padding", 32_i64);
    if all.text("FP8 weight").is_some_and(|weight| weight != "Disable") {
        all.put_default("Cache FP16 weight for LoRA", false);
    }
    if weighted {
        all.put_default("Emphasis", "Original");
    }
    all.put_default("Refiner switch by sampling steps", false);
    old_versions(&prompt, all);
}

/// Whether brackets of a prompt weigh any of its words.
fn is_weighted(prompt: &str) -> bool {
    let Ok(pieces) = emphasis::parse(prompt, Emphasis::Original) else { return true };
    pieces.iter().any(|piece| matches!(piece, Piece::Text { weight, .. } if *weight != 1.0))
}

/// What a text that does not say it means.
const DEFAULTS: &[(&str, &str)] = &[
    ("Clip skip", "1"),
    ("Hires sampler", "Use same sampler"),
    ("Hires schedule type", "Use same scheduler"),
    ("Hires checkpoint", "Use same checkpoint"),
    ("Hires prompt", ""),
    ("Hires negative prompt", ""),
    ("Mask mode", "Inpaint masked"),
    ("Masked content", "original"),
    ("Inpaint area", "Whole picture"),
    ("RNG", "GPU"),
    ("Schedule type", "Automatic"),
    ("VAE Encoder", "Full"),
    ("VAE Decoder", "Full"),
    ("FP8 weight", "Disable"),
];

/// Until 2023 `Size` was that of the result, and `First pass size` that of the first pass; 0x0 meant an area of 512².
fn old_first_pass(all: &mut Entries) {
    let side = |all: &Entries, key: &str| all.get(key).and_then(Value::whole);
    let (Some(mut width), Some(mut height)) = (side(all, "First pass size-1"), side(all, "First pass size-2")) else {
        return;
    };
    let target = [side(all, "Size-1").unwrap_or(512), side(all, "Size-2").unwrap_or(512)];
    if target.iter().any(|side| *side <= 0) {
        return;
    }
    if width == 0 || height == 0 {
        let scale = (512.0 * 512.0 / (target[0] as f64 * target[1] as f64)).sqrt();
        let first = |side: i64| ((scale * side as f64 / 64.0).ceil() * 64.0) as i64;
        width = first(target[0]);
        height = first(target[1]);
    }
    all.put("Size-1", width);
    all.put("Size-2", height);
    all.put("Hires resize-1", target[0]);
    all.put("Hires resize-2", target[1]);
}

/// What older versions of the web UI did otherwise.
fn old_versions(prompt: &str, all: &mut Entries) {
    let Some(version) = all.text("Version").as_deref().and_then(Version::parse) else { return };
    if version.is_before("1.6.0") {
        if prompt.contains('[') {
            all.put("Old prompt editing timelines", true);
        }
        if all.text("Sampler").is_some_and(|name| name == "DDIM" || name == "PLMS") {
            all.put("Pad conds v0", true);
        }
    }
    if version.is_before("1.7.0-225") {
        all.put("Downcast alphas_cumprod", true);
    }
    if version.is_before("1.8.0") && all.text("Refiner").is_some_and(|name| !name.is_empty()) {
        all.put("Refiner switch by sampling steps", true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_hostile_size_is_read_in_time() {
        let many: Vec<String> = (0..20_000).map(|index| format!("k{index}: \"v, \\\", {index}")).collect();
        for text in [
            many.join(", "),
            "(".repeat(1 << 18),
            "(a".repeat(1 << 16),
            "[a]:1)".repeat(1 << 16),
            "a ".repeat(1 << 18),
            "\"aa: \\".repeat(1 << 16),
            "aa:\"".repeat(1 << 16),
        ] {
            let began = std::time::Instant::now();
            parse(&text);
            assert!(began.elapsed().as_secs() < 20, "{}", &text[..20]);
        }
    }

    #[test]
    fn emphasis_is_told_where_brackets_weigh_words() {
        let of = |prompt: &str| parse(&format!("{prompt}\nSteps: 1, Sampler: Euler, Seed: 1")).all.text("Emphasis");
        for prompt in ["(a)", "[a]", "x (a:1.2)", "(a", "[a:1.3]", "(a: 0 )"] {
            assert_eq!(of(prompt).as_deref(), Some("Original"), "{prompt}");
        }
        for prompt in ["a", r"\(a\)", "()", "a)", "(a:1)", "a ]:1.2)"] {
            assert_eq!(of(prompt), None, "{prompt}");
        }
    }

    #[test]
    fn the_old_hires_rule_has_an_area_of_512_squared_where_no_first_pass_is_named() {
        let parsed = parse("a\nSteps: 20, Sampler: Euler, Size: 1024x1536, First pass size: 0x0");
        assert_eq!(parsed.all.get("Size-1"), Some(&Value::Whole(448)));
        assert_eq!(parsed.all.get("Size-2"), Some(&Value::Whole(640)));
        assert_eq!(parsed.all.get("Hires resize-2"), Some(&Value::Whole(1536)));
        let odd = parse("a\nSteps: 20, Size: 0x99999999999999999999, First pass size: 0x0, Seed: 1");
        assert_eq!(odd.all.text("Size-1").as_deref(), Some("0"));
    }

    #[test]
    fn our_own_version_changes_nothing() {
        let text = "[a:b:0.5]\nSteps: 20, Sampler: DDIM, CFG scale: 7, Version: ";
        assert_eq!(parse(&format!("{text}{}", super::super::OUR_VERSION)).all.get("Downcast alphas_cumprod"), None);
        assert_eq!(parse(&format!("{text}v1.5.2")).all.get("Pad conds v0"), Some(&Value::Flag(true)));
        assert_eq!(parse(&format!("{text}v1.5.2")).all.get("Old prompt editing timelines"), Some(&Value::Flag(true)));
    }
}
