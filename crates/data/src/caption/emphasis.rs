//! `--weighted_captions`: `(word)`, `(word:1.2)` and `[word]` in a prompt.
//!
//! Source: sd-scripts `TokenizeStrategy.parse_prompt_attention` (`library/strategy_base.py`), which has it from
//! AUTOMATIC1111's web UI. Round brackets multiply by 1.1 or by the number in them, square ones divide by 1.1, a
//! backslash takes a bracket's meaning, and what is never closed acts until the end.

/// A part of a prompt that is weighted alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighted {
    /// The text, without brackets and numbers.
    pub text: String,
    /// What its text states are multiplied by; 1 where nothing is said.
    pub weight: f64,
}

const ROUND: f64 = 1.1;
const SQUARE: f64 = 1.0 / 1.1;

/// The parts of a prompt in their order; neighbours of the same weight are one part, and there is at least one.
pub fn parse(prompt: &str) -> Vec<Weighted> {
    let mut parts: Vec<Weighted> = Vec::new();
    // For each bracket that is open, the number of parts before it.
    let mut round = Vec::new();
    let mut square = Vec::new();
    let mut rest = prompt;
    while let Some(token) = Token::next(&mut rest) {
        match token {
            Token::Open('(') => round.push(parts.len()),
            Token::Open(_) => square.push(parts.len()),
            Token::Number(text, weight) => match round.pop() {
                Some(start) => multiply(&mut parts[start..], weight),
                None => parts.push(plain(text)),
            },
            Token::Close(text) => {
                let (open, weight) = if text == ")" { (&mut round, ROUND) } else { (&mut square, SQUARE) };
                match open.pop() {
                    Some(start) => multiply(&mut parts[start..], weight),
                    None => parts.push(plain(text)),
                }
            }
            Token::Escaped(text) | Token::Text(text) => parts.push(plain(text)),
        }
    }
    for start in round {
        multiply(&mut parts[start..], ROUND);
    }
    for start in square {
        multiply(&mut parts[start..], SQUARE);
    }
    if parts.is_empty() {
        parts.push(plain(""));
    }
    merged(parts)
}

/// Parts of which neighbours have different weights.
fn merged(parts: Vec<Weighted>) -> Vec<Weighted> {
    let mut merged: Vec<Weighted> = Vec::new();
    for part in parts {
        match merged.last_mut() {
            Some(last) if last.weight == part.weight => last.text += &part.text,
            _ => merged.push(part),
        }
    }
    merged
}

fn plain(text: &str) -> Weighted {
    Weighted { text: text.to_owned(), weight: 1.0 }
}

fn multiply(parts: &mut [Weighted], by: f64) {
    for part in parts {
        part.weight *= by;
    }
}

/// What a prompt is made of.
enum Token<'a> {
    /// What stands behind a backslash: a bracket, another backslash, or nothing.
    Escaped(&'a str),
    Open(char),
    Close(&'a str),
    /// `:1.2)`, with its number.
    Number(&'a str, f64),
    Text(&'a str),
}

impl<'a> Token<'a> {
    /// Takes the first token off `rest`.
    fn next(rest: &mut &'a str) -> Option<Self> {
        const SPECIAL: [char; 6] = ['\\', '(', ')', '[', ']', ':'];
        let text = *rest;
        let first = text.chars().next()?;
        let mut length = 1;
        let token = match first {
            '\\' => {
                // A backslash before anything else, or at the end, is dropped.
                if text[1..].starts_with(['(', ')', '[', ']', '\\']) {
                    length = 2;
                }
                Self::Escaped(&text[1..length])
            }
            '(' | '[' => Self::Open(first),
            ')' | ']' => Self::Close(&text[..1]),
            ':' => match number(text) {
                Some(number) => {
                    length = number.length;
                    Self::Number(&text[..length], number.weight)
                }
                None => Self::Text(&text[..1]),
            },
            _ => {
                length = text.find(SPECIAL).unwrap_or(text.len());
                Self::Text(&text[..length])
            }
        };
        *rest = &text[length..];
        Some(token)
    }
}

/// A `:1.2)`.
struct Number {
    /// Bytes of it, colon and bracket included.
    length: usize,
    weight: f64,
}

/// The `:1.2)` at the beginning. What has the form and is no number, such as `:1.2.3)`, is text here; sd-scripts stops
/// at it.
fn number(text: &str) -> Option<Number> {
    let end = text.find(')')?;
    let digits = &text[1..end];
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.chars().all(|c| c == '.' || c.is_ascii_digit()) {
        return None;
    }
    Some(Number { length: end + 1, weight: digits.parse().ok()? })
}
