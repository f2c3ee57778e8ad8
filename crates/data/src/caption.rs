//! Captions: reading the file beside an image, and making the prompt of one use of it.
//!
//! Source: sd-scripts `read_caption` and `process_caption`, whose order [`compose`] keeps. Three things are kinder: a
//! byte order mark is removed, a file holding nothing else is empty, and with wildcards prefix and suffix go to every
//! line of a caption, not to the first and the last.

use std::path::Path;

use lorabake_recipe::data::captions::{CaptionRules, TokenWarmup};
use lorabake_recipe::seed::Seed;
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use crate::problem::Error;

/// The lines of a caption file that are used, stripped: the first one, which may be blank, or with wildcards all that
/// are not blank, joined by line breaks. Not UTF-8 and empty files are errors.
pub fn read(path: &Path, rules: &CaptionRules) -> Result<String, Error> {
    let fail = |cause: &str| Error::Caption { path: path.into(), cause: cause.into() };
    let bytes = std::fs::read(path).map_err(|error| fail(&format!("the caption cannot be read ({error})")))?;
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(fail("the caption is UTF-16; save it as UTF-8"));
    }
    let text = str::from_utf8(&bytes).map_err(|_| fail("the caption is not UTF-8; save it as UTF-8"))?;
    let text = text.trim_start_matches('\u{feff}');
    if text.is_empty() {
        return Err(fail("the caption file is empty; write a caption, or delete it to use the folder's words"));
    }
    let mut lines = text.split(['\n', '\r']).map(str::trim);
    if rules.wildcards {
        return Ok(lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n"));
    }
    Ok(lines.next().unwrap_or_default().to_owned())
}

/// When a caption is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// Epoch, from 0.
    pub epoch: u64,
    /// Running number within the epoch.
    pub position: u64,
    /// Updates made before.
    pub step: u64,
    /// Updates of the whole run.
    pub steps: u64,
}

/// The prompt of one use: the same for the same seed, whatever was drawn before.
pub fn draw(caption: &str, rules: &CaptionRules, seed: Seed, at: Use) -> String {
    compose(caption, rules, at, &mut seed.stream("caption", &[at.epoch, at.position]))
}

/// The prompt of an image that is held out, number `index` of them: the whole caption, with nothing shuffled or left
/// out, and wildcards drawn once for all.
pub fn fixed(caption: &str, rules: &CaptionRules, seed: Seed, index: u64) -> String {
    // A warmup that is over from the start lets all tags in, written as those of the training images are.
    let warmup = rules.edits_tags().then_some(TokenWarmup { min: 0, until: 0.0 });
    let (dropout_rate, dropout_every_n_epochs, tag_dropout_rate) = (0.0, 0, 0.0);
    let rules = CaptionRules {
        dropout_rate,
        dropout_every_n_epochs,
        tag_dropout_rate,
        warmup,
        shuffle: false,
        ..rules.clone()
    };
    draw(caption, &rules, seed, Use { epoch: 0, position: index, step: 0, steps: 0 })
}

/// The longest form of each line that may become a prompt, choices of wildcards not yet made.
pub fn lines<'a>(caption: &'a str, rules: &'a CaptionRules) -> impl Iterator<Item = String> + 'a {
    caption.split('\n').take(if rules.wildcards { usize::MAX } else { 1 }).map(|line| framed(line, rules))
}

/// Runs a caption through the rules.
pub fn compose(caption: &str, rules: &CaptionRules, at: Use, rng: &mut impl Rng) -> String {
    // sd-scripts counts epochs from 1.
    let every = u64::from(rules.dropout_every_n_epochs);
    let dropped_epoch = every > 0 && (at.epoch + 1).is_multiple_of(every);
    if rules.dropout_rate > 0.0 && rng.random_bool(rules.dropout_rate) || dropped_epoch {
        return String::new();
    }
    let mut lines = caption.split('\n');
    let mut text = if rules.wildcards {
        let lines: Vec<&str> = lines.collect();
        wildcards(&framed(lines.choose(rng).copied().unwrap_or_default(), rules), rng)
    } else {
        framed(lines.next().unwrap_or_default(), rules)
    };
    // Otherwise the text stays as it was typed, odd spaces included.
    if rules.edits_tags() {
        text = edited(&text, rules, at, rng);
    }
    match &rules.secondary_separator {
        Some(secondary) => text.replace(secondary, &rules.separator),
        None => text,
    }
}

/// A line with prefix and suffix.
fn framed(line: &str, rules: &CaptionRules) -> String {
    let parts = [rules.prefix.as_deref(), Some(line), rules.suffix.as_deref()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// One of the choices of each `{a|b}`; `{{` and `}}` become single braces.
fn wildcards(text: &str, rng: &mut impl Rng) -> String {
    let [open, close] = unused(text);
    let text = text.replace("{{", &open.to_string()).replace("}}", &close.to_string());
    let (mut drawn, mut rest) = (String::new(), text.as_str());
    while let Some(start) = rest.find('{') {
        let (before, after) = rest.split_at(start);
        drawn += before;
        // Braces with nothing inside, or that are never closed, are text.
        match after[1..].find('}') {
            Some(end) if end > 0 => {
                let choices: Vec<&str> = after[1..=end].split('|').collect();
                drawn += choices.choose(rng).copied().unwrap_or_default();
                rest = &after[end + 2..];
            }
            _ => {
                drawn.push('{');
                rest = &after[1..];
            }
        }
    }
    drawn += rest;
    drawn.replace(open, "{").replace(close, "}")
}

/// Two characters that the text does not hold, to stand for braces meanwhile.
fn unused(text: &str) -> [char; 2] {
    let mut free = ('\u{e000}'..='\u{f8ff}').filter(|mark| !text.contains(*mark));
    std::array::from_fn(|_| free.next().unwrap_or('\u{fffd}'))
}

/// Splits into tags, lets the first in, shuffles, drops and joins them.
fn edited(text: &str, rules: &CaptionRules, at: Use, rng: &mut impl Rng) -> String {
    let (head, mut tags, tail) = parts(text, rules);
    if let Some(warmup) = rules.warmup {
        tags.truncate(let_in(warmup, at, tags.len()));
    }
    if rules.shuffle {
        tags.shuffle(rng);
    }
    if rules.tag_dropout_rate > 0.0 {
        tags.retain(|_| !rng.random_bool(rules.tag_dropout_rate));
    }
    [head, tags, tail].concat().join(", ")
}

/// The tags that stay in place, those that do not, and those at the end that stay in place again.
fn parts<'a>(text: &'a str, rules: &'a CaptionRules) -> (Vec<&'a str>, Vec<&'a str>, Vec<&'a str>) {
    let tags = |part: &'a str| split(part, &rules.separator).map(str::trim);
    let filled = |part: &'a str| tags(part).filter(|tag| !tag.is_empty()).collect();
    if let Some((head, rest)) = rules.keep_separator.as_ref().and_then(|mark| text.split_once(mark.as_str())) {
        let mark = rules.keep_separator.as_deref().unwrap_or_default();
        let (middle, tail) = rest.split_once(mark).unwrap_or((rest, ""));
        return (filled(head), filled(middle), filled(tail));
    }
    let mut head: Vec<&str> = tags(text.trim()).collect();
    let rest = head.split_off(rules.keep_tokens.min(head.len()));
    (head, rest, Vec::new())
}

/// A caption without its trigger `words`, wherever they stand as whole words (of whatever case), or with `class` in
/// their place; `None` if they are not in it.
pub fn without(caption: &str, words: &str, class: Option<&str>, separator: &str) -> Option<String> {
    let (low, words) = (caption.to_ascii_lowercase(), words.to_ascii_lowercase());
    let joins = |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    let whole =
        |at: usize| !joins(caption[..at].chars().next_back()) && !joins(caption[at + words.len()..].chars().next());
    let (mut text, mut end) = (String::new(), 0);
    for (at, _) in low.match_indices(&words).filter(|(at, _)| whole(*at)) {
        text.extend([&caption[end..at], class.unwrap_or_default()]);
        end = at + words.len();
    }
    if end == 0 {
        return None;
    }
    text += &caption[end..];
    let tags = split(&text, separator).map(|tag| tag.split_whitespace().collect::<Vec<_>>().join(" "));
    Some(tags.filter(|tag| !tag.is_empty()).collect::<Vec<_>>().join(&format!("{separator} ")))
}

/// How many of `count` tags are used.
fn let_in(warmup: TokenWarmup, at: Use, count: usize) -> usize {
    let until = if warmup.until < 1.0 { (warmup.until * at.steps as f64).floor() } else { warmup.until };
    let step = at.step as f64;
    if step >= until {
        return count;
    }
    let min = f64::from(warmup.min);
    ((step * ((count as f64 - min) / until)).floor() + min) as usize
}

/// An empty separator leaves the caption whole (Python refuses it).
fn split<'a>(caption: &'a str, separator: &'a str) -> impl Iterator<Item = &'a str> {
    let whole = separator.is_empty().then_some(caption);
    let parts = (!separator.is_empty()).then(|| caption.split(separator));
    whole.into_iter().chain(parts.into_iter().flatten())
}
