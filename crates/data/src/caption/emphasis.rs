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
    let (mut round, mut square) = (Vec::new(), Vec::new());
    let mut rest = prompt;
    while let Some(token) = Token::next(&mut rest) {
        match token {
            Token::Escaped(text) => parts.push(plain(text)),
            Token::Open('(') => round.push(parts.len()),
            Token::Open(_) => square.push(parts.len()),
            Token::Number(_, weight) if !round.is_empty() => multiply(&mut parts, round.pop(), weight),
            Token::Close(")") if !round.is_empty() => multiply(&mut parts, round.pop(), ROUND),
            Token::Close("]") if !square.is_empty() => multiply(&mut parts, square.pop(), SQUARE),
            Token::Number(text, _) | Token::Close(text) | Token::Text(text) => parts.push(plain(text)),
        }
    }
    round.into_iter().for_each(|start| multiply(&mut parts, Some(start), ROUND));
    square.into_iter().for_each(|start| multiply(&mut parts, Some(start), SQUARE));
    if parts.is_empty() {
        return vec![plain("")];
    }
    parts.into_iter().fold(Vec::new(), |mut merged: Vec<Weighted>, part| {
        match merged.last_mut().filter(|last| last.weight == part.weight) {
            Some(last) => last.text += &part.text,
            None => merged.push(part),
        }
        merged
    })
}

fn plain(text: &str) -> Weighted {
    Weighted { text: text.to_owned(), weight: 1.0 }
}

fn multiply(parts: &mut [Weighted], start: Option<usize>, by: f64) {
    parts.iter_mut().skip(start.unwrap_or(usize::MAX)).for_each(|part| part.weight *= by);
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
        let text = *rest;
        let first = text.chars().next()?;
        let (length, token) = match first {
            '\\' => {
                let escaped = text[1..].chars().next().filter(|next| "()[]\\".contains(*next));
                let length = 1 + escaped.map_or(0, char::len_utf8);
                (length, Self::Escaped(&text[1..length]))
            }
            '(' | '[' => (1, Self::Open(first)),
            ')' | ']' => (1, Self::Close(&text[..1])),
            ':' => match number(text) {
                Some((length, weight)) => (length, Self::Number(&text[..length], weight)),
                None => (1, Self::Text(&text[..1])),
            },
            _ => {
                let length = text.find(['\\', '(', ')', '[', ']', ':']).unwrap_or(text.len());
                (length, Self::Text(&text[..length]))
            }
        };
        *rest = &text[length..];
        Some(token)
    }
}

/// Length and value of a `:1.2)` at the beginning. What has the form and is no number, such as `:1.2.3)`, is text here;
/// sd-scripts stops at it.
fn number(text: &str) -> Option<(usize, f64)> {
    let end = text.find(')')?;
    let digits = &text[1..end];
    let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    let is_number = !unsigned.is_empty() && unsigned.chars().all(|c| c == '.' || c.is_ascii_digit());
    Some((end + 1, digits.parse().ok().filter(|_| is_number)?))
}
