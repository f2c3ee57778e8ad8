//! Emphasis: `(word)`, `[word]`, `(word:1.2)`, and `BREAK` (the web UI's `prompt_parser.py` and `sd_emphasis.py`).
//!
//! Brackets do not nest by a grammar: each closing one multiplies everything since the innermost open one of its form.
//! So `BREAK` inside brackets has another weight than its own afterwards, and is the plain word then.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};

use super::characters::{decimal, digit, is_space};

/// What weights do; the web UI's option `Emphasis`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Emphasis {
    /// Brackets are plain text.
    None,
    /// Brackets are read, and their weights are not used.
    Ignore,
    /// Vectors are multiplied, and all of a chunk brought back to its mean.
    #[default]
    Original,
    /// Vectors are multiplied.
    NoNorm,
}

/// All modes, in the web UI's order.
impl Emphasis {
    /// The weight that acts of one that is written.
    pub fn acting(self, written: f64) -> f64 {
        match self {
            Self::Ignore => 1.0,
            Self::None | Self::Original | Self::NoNorm => written,
        }
    }
}

const MODES: [Emphasis; 4] = [Emphasis::None, Emphasis::Ignore, Emphasis::Original, Emphasis::NoNorm];

impl fmt::Display for Emphasis {
    /// The web UI's label, which stands in the text of a picture too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Ignore => "Ignore",
            Self::Original => "Original",
            Self::NoNorm => "No norm",
        })
    }
}

impl FromStr for Emphasis {
    type Err = String;

    /// Reads the web UI's label; small letters, `_` and `-` for spaces are understood too.
    fn from_str(text: &str) -> Result<Self, String> {
        let typed = text.replace(['_', '-'], " ");
        let known = MODES.into_iter().find(|mode| mode.to_string().eq_ignore_ascii_case(&typed));
        known.ok_or_else(|| format!("`{text}` is no way of emphasis; use Original, No norm, Ignore or None"))
    }
}

/// A piece of a prompt, tokenized apart from the others.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// Text of one weight; may be empty.
    Text {
        /// The text, brackets and escapes gone.
        text: String,
        /// What its vectors are multiplied by; may be 0 or negative.
        weight: f64,
    },
    /// `BREAK`: the chunk of tokens ends here.
    Break,
}

/// Cuts `text`, which may be the text of a schedule, into pieces. There is at least one.
///
/// With [`Emphasis::None`] all is one piece, `BREAK` included.
///
/// ```
/// use lorabake_generate::prompt::emphasis::{Emphasis, Piece, parse};
///
/// let pieces = parse("a (red:1.5) hat", Emphasis::Original).unwrap();
/// assert_eq!(pieces[1], Piece::Text { text: "red".to_owned(), weight: 1.5 });
/// ```
///
/// # Errors
/// Names a weight that is not a number, as in `(a:1.2.3)`, or brackets whose weight is not finite.
pub fn parse(text: &str, mode: Emphasis) -> Result<Vec<Piece>> {
    if mode == Emphasis::None {
        return Ok(vec![Piece::Text { text: text.to_owned(), weight: 1.0 }]);
    }
    let mut weighing = Weighing::default();
    let mut rest = text;
    while !rest.is_empty() {
        rest = &rest[weighing.read(rest)?..];
    }
    weighing.finish()
}

/// A piece before its brackets are closed. `BREAK` is the word with weight −1, and what else comes to that is one too.
struct Weighed {
    text: String,
    weight: f64,
}

/// What has been read so far.
#[derive(Default)]
struct Weighing {
    pieces: Vec<Weighed>,
    /// For each open bracket, the first piece inside.
    round: Vec<usize>,
    square: Vec<usize>,
}

/// `(a)`.
const ROUND: f64 = 1.1;
/// `[a]`.
const SQUARE: f64 = 1.0 / 1.1;

impl Weighing {
    /// Reads what `rest` begins with, and says how many bytes that is.
    fn read(&mut self, rest: &str) -> Result<usize> {
        let mut characters = rest.chars();
        match characters.next() {
            Some('\\') => {
                let escaped = characters.next().filter(|c| "()[]\\".contains(*c));
                let text = escaped.map(String::from).unwrap_or_default();
                let length = 1 + text.len();
                self.pieces.push(Weighed { text, weight: 1.0 });
                return Ok(length);
            }
            Some('(') => open(&mut self.round, self.pieces.len())?,
            Some('[') => open(&mut self.square, self.pieces.len())?,
            Some(')') => match self.round.pop() {
                Some(from) => self.multiply(from, ROUND),
                None => self.text(")"),
            },
            Some(']') => match self.square.pop() {
                Some(from) => self.multiply(from, SQUARE),
                None => self.text("]"),
            },
            Some(':') => return self.colon(rest),
            _ => {
                let end = rest.find(['\\', '(', ')', '[', ']', ':']).unwrap_or(rest.len());
                self.text(&rest[..end]);
                return Ok(end);
            }
        }
        Ok(1)
    }

    /// `:NUMBER)`, or a plain colon.
    fn colon(&mut self, rest: &str) -> Result<usize> {
        let Some(closing) = Closing::of(rest) else {
            self.text(":");
            return Ok(1);
        };
        let Some(from) = self.round.pop() else {
            self.text(&rest[..closing.length]);
            return Ok(closing.length);
        };
        match decimal(closing.number) {
            Some(weight) => self.multiply(from, weight),
            None => {
                let number: String = closing.number.chars().take(20).collect();
                bail!("the prompt's weight :{number}) is not a number; write for instance (word:1.2)");
            }
        }
        Ok(closing.length)
    }

    /// Plain text, cut at each `BREAK`.
    fn text(&mut self, text: &str) {
        let parts = super::composition::split(text, "BREAK");
        let last = parts.len() - 1;
        for (index, part) in parts.into_iter().enumerate() {
            let mut part = part;
            if index > 0 {
                self.pieces.push(Weighed { text: "BREAK".to_owned(), weight: -1.0 });
                part = part.trim_start_matches(is_space);
            }
            if index < last {
                part = part.trim_end_matches(is_space);
            }
            self.pieces.push(Weighed { text: part.to_owned(), weight: 1.0 });
        }
    }

    fn multiply(&mut self, from: usize, factor: f64) {
        for piece in &mut self.pieces[from..] {
            piece.weight *= factor;
        }
    }

    /// Closes what is open, and joins neighbours of one weight.
    fn finish(mut self) -> Result<Vec<Piece>> {
        for from in std::mem::take(&mut self.round) {
            self.multiply(from, ROUND);
        }
        for from in std::mem::take(&mut self.square) {
            self.multiply(from, SQUARE);
        }
        if self.pieces.is_empty() {
            self.pieces.push(Weighed { text: String::new(), weight: 1.0 });
        }
        let mut joined: Vec<Weighed> = Vec::new();
        for piece in self.pieces {
            if !piece.weight.is_finite() {
                let text: String = piece.text.chars().take(20).collect();
                bail!("the prompt's brackets around \"{text}\" make a weight beyond all numbers; use fewer");
            }
            match joined.last_mut() {
                Some(last) if last.weight == piece.weight => last.text.push_str(&piece.text),
                _ => joined.push(piece),
            }
        }
        Ok(joined.into_iter().map(Weighed::piece).collect())
    }
}

/// Most brackets that may be open, since each costs time on all that follows.
const MOST_OPEN: usize = 1000;

fn open(brackets: &mut Vec<usize>, from: usize) -> Result<()> {
    if brackets.len() == MOST_OPEN {
        bail!("the prompt opens more than {MOST_OPEN} brackets without closing them; use fewer");
    }
    brackets.push(from);
    Ok(())
}

impl Weighed {
    fn piece(self) -> Piece {
        if self.text == "BREAK" && self.weight == -1.0 {
            return Piece::Break;
        }
        Piece::Text { text: self.text, weight: self.weight }
    }
}

/// `:NUMBER)` with white space around the number.
struct Closing<'a> {
    number: &'a str,
    /// In bytes, from the colon to the bracket.
    length: usize,
}

impl<'a> Closing<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let number = text.strip_prefix(':')?.trim_start_matches(is_space);
        let unsigned = number.strip_prefix(['+', '-']).unwrap_or(number);
        let after = unsigned.trim_start_matches(|c| c == '.' || digit(c).is_some());
        if after.len() == unsigned.len() {
            return None;
        }
        let behind = after.trim_start_matches(is_space).strip_prefix(')')?;
        Some(Self { number: &number[..number.len() - after.len()], length: text.len() - behind.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(String, f64)> {
        let pieces = parse(text, Emphasis::Original).unwrap().into_iter();
        let texts = pieces.map(|piece| match piece {
            Piece::Text { text, weight } => (text, weight),
            Piece::Break => ("|".to_owned(), -1.0),
        });
        texts.collect()
    }

    #[test]
    fn a_break_is_one_by_its_final_weight() {
        assert_eq!(texts("(a BREAK b:-1)"), [("a".into(), -1.0), ("BREAK".into(), 1.0), ("b".into(), -1.0)]);
        assert_eq!(texts("[(a BREAK b)]"), [("a".into(), 1.0), ("|".into(), -1.0), ("b".into(), 1.0)]);
        assert_eq!(texts("(a BREAK b:0)"), [("aBREAKb".into(), 0.0)]);
        assert_eq!(texts("(BRE\\AK:-1)"), [("|".into(), -1.0)]);
    }

    #[test]
    fn without_emphasis_all_is_text() {
        let text = "(a:1.2.3) BREAK \\(";
        let whole = Piece::Text { text: text.to_owned(), weight: 1.0 };
        assert_eq!(parse(text, Emphasis::None).unwrap(), [whole]);
    }

    #[test]
    fn weights_that_are_none_are_refused() {
        for (text, said) in [
            ("(a:1.2.3)", "the prompt's weight :1.2.3) is not a number; write for instance (word:1.2)"),
            (&"(".repeat(8000), "the prompt opens more than 1000 brackets without closing them; use fewer"),
            (&format!("(a:{})", "9".repeat(400)), "around \"a\" make a weight beyond all numbers; use fewer"),
        ] {
            let error = parse(text, Emphasis::Original).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert!(parse("a:1.2.3)", Emphasis::Original).is_ok());
    }

    #[test]
    fn labels_are_read_as_they_are_written() {
        for mode in MODES {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert_eq!("no_norm".parse(), Ok(Emphasis::NoNorm));
        assert!(Emphasis::from_str("norm").unwrap_err().contains("use Original, No norm, Ignore or None"));
    }

    #[test]
    fn a_prompt_of_brackets_is_read() {
        assert_eq!(parse(&"[a(b".repeat(1000), Emphasis::Original).unwrap().len(), 2000);
        assert_eq!(parse(&"()".repeat(1 << 15), Emphasis::Original).unwrap().len(), 1);
        assert_eq!(parse(&":".repeat(1 << 16), Emphasis::Original).unwrap().len(), 1);
    }
}
