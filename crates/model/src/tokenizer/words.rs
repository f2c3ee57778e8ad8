//! Splits cleaned, lowercase text into the words that byte-pair encoding works on, as CLIP's pattern does:
//! special tokens, the seven English contractions, runs of letters, single digits, runs of anything else but space.
//!
//! Written out rather than with a regular expression, which would bring megabytes of tables for one pattern.

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// Contractions, in the order in which they are tried, after special tokens and before letters and symbols.
const CONTRACTIONS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

#[derive(PartialEq, Clone, Copy)]
enum Class {
    Space,
    Letter,
    Number,
    Other,
}

fn class(c: char) -> Class {
    // U+0345 folds to a letter, so the pattern, which ignores case, takes it neither for a letter nor for a symbol.
    if c.is_whitespace() || c == '\u{345}' {
        return Class::Space;
    }
    match c.general_category_group() {
        GeneralCategoryGroup::Letter => Class::Letter,
        GeneralCategoryGroup::Number => Class::Number,
        _ => Class::Other,
    }
}

/// The words of `text`, in order; spaces are dropped. `special` are words whatever they are made of.
pub fn split<'a>(text: &'a str, special: [&'static str; 2]) -> impl Iterator<Item = &'a str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c| class(c) == Class::Space);
        let first = class(rest.chars().next()?);
        let length = match fixed(rest, special) {
            Some(length) => length,
            None if first == Class::Number => rest.chars().next()?.len_utf8(),
            None => rest.find(|c| class(c) != first).unwrap_or(rest.len()),
        };
        let (word, after) = rest.split_at(length);
        rest = after;
        Some(word)
    })
}

/// Length of the special token or contraction that `text` starts with.
fn fixed(text: &str, special: [&str; 2]) -> Option<usize> {
    special.iter().chain(&CONTRACTIONS).find_map(|word| length_at_start(word, text))
}

/// Length of `word` at the start of `text`, if it is there.
fn length_at_start(word: &str, text: &str) -> Option<usize> {
    let mut chars = text.chars();
    let mut length = 0;
    for expected in word.chars() {
        let c = chars.next()?;
        // The pattern ignores case, so it takes the long s, which has no lowercase form, for an s.
        if c != expected && !(c == 'ſ' && expected == 's') {
            return None;
        }
        length += c.len_utf8();
    }
    Some(length)
}
