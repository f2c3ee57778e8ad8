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
    let mut parts = Parts::default();
    // For each bracket that is open, the number of parts before it.
    let mut round = Vec::new();
    let mut square = Vec::new();
    let mut rest = prompt;
    while let Some(token) = Token::next(&mut rest) {
        match token {
            Token::Open('(') => round.push(parts.texts.len()),
            Token::Open(_) => square.push(parts.texts.len()),
            Token::Number(text, weight) => match round.pop() {
                Some(start) => parts.multiply(start, weight),
                None => parts.push(text),
            },
            Token::Close(text) => {
                let (open, weight) = if text == ")" { (&mut round, ROUND) } else { (&mut square, SQUARE) };
                match open.pop() {
                    Some(start) => parts.multiply(start, weight),
                    None => parts.push(text),
                }
            }
            Token::Escaped(text) | Token::Text(text) => parts.push(text),
        }
    }
    for start in round {
        parts.multiply(start, ROUND);
    }
    for start in square {
        parts.multiply(start, SQUARE);
    }
    if parts.texts.is_empty() {
        parts.push("");
    }
    parts.merged()
}

/// Parts of a prompt. The weights stand by themselves, so that many are multiplied at once: each bracket changes all
/// parts in it.
#[derive(Default)]
struct Parts<'a> {
    texts: Vec<&'a str>,
    weights: Vec<f64>,
}

impl<'a> Parts<'a> {
    fn push(&mut self, text: &'a str) {
        self.texts.push(text);
        self.weights.push(1.0);
    }

    /// Multiplies the weights of all parts from `start` on.
    fn multiply(&mut self, start: usize, by: f64) {
        for weight in &mut self.weights[start..] {
            *weight *= by;
        }
    }

    /// Parts of which neighbours have different weights.
    fn merged(&self) -> Vec<Weighted> {
        let mut merged: Vec<Weighted> = Vec::new();
        for (text, weight) in self.texts.iter().zip(&self.weights) {
            match merged.last_mut() {
                Some(last) if last.weight == *weight => last.text += text,
                _ => merged.push(Weighted { text: (*text).to_owned(), weight: *weight }),
            }
        }
        merged
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
    let unsigned = text[1..].strip_prefix(['+', '-']).unwrap_or(&text[1..]);
    let end = text.len() - unsigned.len() + unsigned.find(|c: char| c != '.' && !c.is_ascii_digit())?;
    if !text[end..].starts_with(')') {
        return None;
    }
    Some(Number { length: end + 1, weight: text[1..end].parse().ok()? })
}
