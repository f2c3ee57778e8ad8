//! Captions: reading the file beside an image, and making the prompt of one use of it.
//!
//! Source: sd-scripts `read_caption` and `process_caption`, whose order [`compose`] keeps. Three things are kinder: a
//! byte order mark is removed, a file holding nothing else is empty, and with wildcards prefix and suffix go to every
//! line of a caption, not to the first and the last.

pub mod emphasis;

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use lorabake_recipe::data::captions::{CaptionRules, TokenWarmup};
use lorabake_recipe::seed::Seed;
use lorabake_recipe::text_file::decode;
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use crate::error::Error;
use lorabake_recipe::seed::UseId;

/// Most bytes of a caption file. What a caption costs is bounded by it.
const MOST_BYTES: u64 = 64 << 10;

/// What is used of a caption file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptionText {
    /// The caption.
    pub text: String,
    /// The file has lines that are neither blank nor used.
    pub has_unread_lines: bool,
}

/// The lines of a caption file that are used, stripped: the first one, which may be blank, or with wildcards all that
/// are not blank, joined by line breaks.
///
/// # Errors
/// If the file cannot be read, is empty, longer than 64 kB or not UTF-8.
pub fn read(path: &Path, rules: &CaptionRules) -> Result<CaptionText, Error> {
    let text = read_text(path).map_err(|cause| Error::Caption { path: path.to_owned(), cause })?;
    let mut lines = text.split(['\n', '\r']).map(str::trim);
    if rules.wildcards {
        let filled: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        return Ok(CaptionText { text: filled.join("\n"), has_unread_lines: false });
    }
    let text = lines.next().unwrap_or_default().to_owned();
    Ok(CaptionText { text, has_unread_lines: lines.any(|line| !line.is_empty()) })
}

/// The text of a caption file without its byte order mark; an error is the cause in the user's words.
fn read_text(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|error| format!("the caption cannot be read ({error})"))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err("the caption is longer than 64 kB, and at most 225 tokens of one are used; shorten it".to_owned());
    }
    let text = decode(bytes).map_err(|encoding| format!("the caption is {encoding}; save it as UTF-8"))?;
    if text.is_empty() {
        return Err("the caption file is empty; write a caption, or delete it to use the folder's words".to_owned());
    }
    Ok(text)
}

/// One use of a caption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptionUse {
    /// Which use of an image it goes with.
    pub id: UseId,
    /// Updates made before; a token warmup goes by them.
    pub step: u64,
    /// Updates of the whole run.
    pub steps: u64,
}

/// The prompt of one use: the same for the same seed, whatever was drawn before.
pub fn draw(caption: &str, rules: &CaptionRules, seed: Seed, at: CaptionUse) -> String {
    compose(caption, rules, at, &mut seed.stream("caption", &[at.id.epoch, at.id.position]))
}

/// The prompt of an image that is held out, number `index` of them: the whole caption, with nothing shuffled or left
/// out, and wildcards drawn once for all.
pub fn unaugmented(caption: &str, rules: &CaptionRules, seed: Seed, index: u64) -> String {
    let mut rules = rules.clone();
    if rules.edits_tags() {
        // A warmup that is over from the start lets all tags in, written as those of the training images are.
        rules.warmup = Some(TokenWarmup { min: 0, until: 0.0 });
    }
    rules.dropout_rate = 0.0;
    rules.dropout_every_n_epochs = 0;
    rules.tag_dropout_rate = 0.0;
    rules.shuffle = false;
    let id = UseId { epoch: 0, position: index };
    draw(caption, &rules, seed, CaptionUse { id, step: 0, steps: 0 })
}

/// The longest form of each line that may become a prompt, choices of wildcards not yet made.
pub fn lines<'a>(caption: &'a str, rules: &'a CaptionRules) -> impl Iterator<Item = String> + 'a {
    let used = if rules.wildcards { usize::MAX } else { 1 };
    caption.split('\n').take(used).map(|line| framed(line, rules))
}

/// Runs a caption through the rules.
pub fn compose(caption: &str, rules: &CaptionRules, at: CaptionUse, rng: &mut impl Rng) -> String {
    // sd-scripts counts epochs from 1.
    let every = u64::from(rules.dropout_every_n_epochs);
    let dropped_epoch = every > 0 && (at.id.epoch + 1).is_multiple_of(every);
    if rules.dropout_rate > 0.0 && rng.random_bool(rules.dropout_rate) || dropped_epoch {
        return String::new();
    }
    let mut text = if rules.wildcards {
        let lines: Vec<&str> = caption.split('\n').collect();
        let line = lines.choose(rng).copied().unwrap_or_default();
        wildcards(&framed(line, rules), rng)
    } else {
        let first = caption.split('\n').next().unwrap_or_default();
        framed(first, rules)
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
    let mut text = String::new();
    if let Some(prefix) = &rules.prefix {
        text += prefix;
        text += " ";
    }
    text += line;
    if let Some(suffix) = &rules.suffix {
        text += " ";
        text += suffix;
    }
    text
}

/// One of the choices of each `{a|b}`; `{{` and `}}` become single braces.
fn wildcards(text: &str, rng: &mut impl Rng) -> String {
    let [open, close] = unused_characters(text);
    let text = text.replace("{{", &open.to_string()).replace("}}", &close.to_string());
    let mut drawn = String::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find('{') {
        let (before, after) = rest.split_at(start);
        drawn += before;
        // Braces with nothing inside, or that are never closed, are text.
        match after[1..].find('}') {
            Some(0) => {
                drawn.push('{');
                rest = &after[1..];
            }
            Some(end) => {
                let choices: Vec<&str> = after[1..=end].split('|').collect();
                drawn += choices.choose(rng).copied().unwrap_or_default();
                rest = &after[end + 2..];
            }
            None => {
                drawn += after;
                rest = "";
            }
        }
    }
    drawn += rest;
    drawn.replace(open, "{").replace(close, "}")
}

/// Two characters that the text does not hold, to stand for braces meanwhile.
fn unused_characters(text: &str) -> [char; 2] {
    let private = '\u{e000}'..='\u{f8ff}';
    let used: HashSet<char> = text.chars().filter(|c| private.contains(c)).collect();
    let mut free = private.filter(|mark| !used.contains(mark));
    std::array::from_fn(|_| free.next().unwrap_or('\u{fffd}'))
}

/// Splits into tags, lets the first in, shuffles, drops and joins them.
fn edited(text: &str, rules: &CaptionRules, at: CaptionUse, rng: &mut impl Rng) -> String {
    let Tags { head, mut movable, tail } = Tags::of(text, rules);
    if let Some(warmup) = rules.warmup {
        movable.truncate(let_in(warmup, at, movable.len()));
    }
    if rules.shuffle {
        movable.shuffle(rng);
    }
    if rules.tag_dropout_rate > 0.0 {
        movable.retain(|_| !rng.random_bool(rules.tag_dropout_rate));
    }
    [head, movable, tail].concat().join(", ")
}

/// The tags of a caption.
struct Tags<'a> {
    /// Tags at the beginning that stay in place.
    head: Vec<&'a str>,
    /// Tags that may be shuffled and dropped.
    movable: Vec<&'a str>,
    /// Tags at the end that stay in place.
    tail: Vec<&'a str>,
}

impl<'a> Tags<'a> {
    fn of(text: &'a str, rules: &'a CaptionRules) -> Self {
        let separator = rules.separator.as_str();
        if let Some(mark) = &rules.keep_separator
            && let Some((head, rest)) = text.split_once(mark.as_str())
        {
            let (movable, tail) = rest.split_once(mark.as_str()).unwrap_or((rest, ""));
            return Self {
                head: filled(head, separator),
                movable: filled(movable, separator),
                tail: filled(tail, separator),
            };
        }
        // Empty tags count here, in sd-scripts too.
        let mut head: Vec<&str> = split(text.trim(), separator).into_iter().map(str::trim).collect();
        let movable = head.split_off(rules.keep_tokens.min(head.len()));
        Self { head, movable, tail: Vec::new() }
    }
}

/// The tags of a part of a caption that are not empty.
fn filled<'a>(part: &'a str, separator: &str) -> Vec<&'a str> {
    split(part, separator).into_iter().map(str::trim).filter(|tag| !tag.is_empty()).collect()
}

/// A caption without its trigger `words`, wherever they stand as whole words (of whatever case), or with `class` in
/// their place; `None` if they are not in it.
pub fn without_trigger(caption: &str, words: &str, class: Option<&str>, separator: &str) -> Option<String> {
    let lower = caption.to_ascii_lowercase();
    let words = words.to_ascii_lowercase();
    let mut text = String::new();
    let mut end = 0;
    for (start, _) in lower.match_indices(&words) {
        let before = caption[..start].chars().next_back();
        let after = caption[start + words.len()..].chars().next();
        if is_of_word(before) || is_of_word(after) {
            continue;
        }
        text += &caption[end..start];
        text += class.unwrap_or_default();
        end = start + words.len();
    }
    if end == 0 {
        return None;
    }
    text += &caption[end..];
    let mut tags = Vec::new();
    for tag in split(&text, separator) {
        // What was around the words may have left two spaces together.
        let tag = tag.split_whitespace().collect::<Vec<_>>().join(" ");
        if !tag.is_empty() {
            tags.push(tag);
        }
    }
    Some(tags.join(&format!("{separator} ")))
}

/// Whether a character beside the trigger makes it a part of a longer word.
fn is_of_word(letter: Option<char>) -> bool {
    letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
}

/// How many of `count` tags are used.
fn let_in(warmup: TokenWarmup, at: CaptionUse, count: usize) -> usize {
    let until = if warmup.until < 1.0 { (warmup.until * at.steps as f64).floor() } else { warmup.until };
    let step = at.step as f64;
    if step >= until {
        return count;
    }
    let min = f64::from(warmup.min);
    ((step * ((count as f64 - min) / until)).floor() + min) as usize
}

/// The parts of a caption between separators. An empty separator leaves the caption whole (Python refuses it).
fn split<'a>(caption: &'a str, separator: &str) -> Vec<&'a str> {
    if separator.is_empty() { vec![caption] } else { caption.split(separator).collect() }
}
