//! Which brackets of a prompt are schedules.
//!
//! A bracket counts if all inside it can be read: brackets in pairs of one form, `(…)` with one colon at most, `[…]`
//! that is emphasis, a switch or an alternation. One that does not count is text, and so are those around it, but not
//! those inside. `\` takes the next character for text. Where a `|` belongs to no alternation, or a `\` stands before
//! nothing or a newline, the whole prompt cannot be read. The web UI's parser for the same grammar knows all readings; where
//! a bracket that fits stands beside one that does not, it takes one of them by chance, from one start of the program to
//! the next (`[a:b:0.5])` is a schedule or text). Here all that fits counts.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::prompt::characters::trim;

/// A bracket that changes with time; ranges are bytes of the prompt.
#[derive(Debug)]
pub(super) enum Edit<'a> {
    /// `[before:after:when]`, `[after:when]`.
    Switch {
        /// Empty if it is not there.
        before: Range<usize>,
        after: Range<usize>,
        /// A decimal number with or without sign, point and exponent.
        when: &'a str,
    },
    /// `[a|b|…]`; two options at least.
    Alternation { options: Vec<Range<usize>> },
}

/// All brackets of a prompt that change with time.
#[derive(Debug)]
pub(super) struct Edits<'a> {
    text: &'a str,
    /// By where they begin.
    by_start: BTreeMap<usize, Placed<'a>>,
    /// What stands in the place of numbers in `[a:b:when]`, so that these are text.
    no_numbers: Vec<&'a str>,
}

#[derive(Debug)]
struct Placed<'a> {
    edit: Edit<'a>,
    /// Behind the closing bracket.
    end: usize,
}

/// A bracket that is not closed yet.
struct Open {
    bracket: u8,
    start: usize,
    colons: Vec<usize>,
    pipes: Vec<usize>,
}

/// What a pair of brackets is.
enum Kind<'a> {
    Emphasis,
    Edit(Edit<'a>),
    /// A switch but for this, which should be a number.
    NoNumber(&'a str),
    Nothing,
}

impl<'a> Edits<'a> {
    /// Those of `text`; `None` if it cannot be read.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let mut edits = Self { text, by_start: BTreeMap::new(), no_numbers: Vec::new() };
        let mut open: Vec<Open> = Vec::new();
        // Those that no alternation has claimed.
        let mut pipes = 0;
        let mut characters = text.bytes().enumerate();
        while let Some((at, byte)) = characters.next() {
            match byte {
                b'\\' => {
                    // The bytes of a longer character are none of those that matter here.
                    let (_, escaped) = characters.next()?;
                    if escaped == b'\n' {
                        return None;
                    }
                }
                b'(' | b'[' => open.push(Open { bracket: byte, start: at, colons: Vec::new(), pipes: Vec::new() }),
                b')' | b']' => {
                    let kind = match open.last() {
                        Some(innermost) if innermost.bracket == opening(byte) => innermost.kind(text, at),
                        _ => Kind::Nothing,
                    };
                    let Some(closed) = open.pop() else { continue };
                    match kind {
                        Kind::Emphasis => {}
                        Kind::Edit(edit) => {
                            pipes -= closed.pipes.len();
                            edits.by_start.insert(closed.start, Placed { edit, end: at + 1 });
                        }
                        Kind::NoNumber(when) => {
                            edits.no_numbers.push(when);
                            open.clear();
                        }
                        Kind::Nothing => open.clear(),
                    }
                }
                b':' => {
                    if let Some(innermost) = open.last_mut() {
                        innermost.colons.push(at);
                    }
                }
                b'|' => {
                    open.last_mut()?.pipes.push(at);
                    pipes += 1;
                }
                _ => {}
            }
        }
        if pipes == 0 { Some(edits) } else { None }
    }

    /// What stands in the place of numbers in `[a:b:when]`.
    pub(super) fn no_numbers(self) -> Vec<&'a str> {
        self.no_numbers
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Edit<'a>> {
        self.by_start.values().map(|placed| &placed.edit)
    }

    /// The prompt with what `choose` takes of each edit in its place.
    pub(super) fn text(&self, choose: impl Fn(&Edit<'a>) -> Range<usize>) -> String {
        let mut out = String::new();
        let mut range = 0..self.text.len();
        // What is left to do outside of the edits around `range`.
        let mut outside: Vec<Range<usize>> = Vec::new();
        loop {
            if let Some((start, placed)) = self.by_start.range(range.clone()).next() {
                out.push_str(&self.text[range.start..*start]);
                outside.push(placed.end..range.end);
                range = choose(&placed.edit);
                continue;
            }
            out.push_str(&self.text[range]);
            match outside.pop() {
                Some(rest) => range = rest,
                None => return out,
            }
        }
    }
}

impl Open {
    /// What this bracket and the closing one at `end` are, if all between can be read.
    fn kind<'a>(&self, text: &'a str, end: usize) -> Kind<'a> {
        let inner = self.start + 1;
        if !self.pipes.is_empty() {
            if self.bracket == b'(' || !self.colons.is_empty() {
                return Kind::Nothing;
            }
            let mut options = Vec::with_capacity(self.pipes.len() + 1);
            let mut start = inner;
            for pipe in &self.pipes {
                options.push(start..*pipe);
                start = *pipe + 1;
            }
            options.push(start..end);
            return Kind::Edit(Edit::Alternation { options });
        }
        match (self.bracket, self.colons.as_slice()) {
            (_, []) | (b'(', [_]) => Kind::Emphasis,
            (b'[', [last]) => switch(inner..inner, inner..*last, &text[last + 1..end]),
            (b'[', [first, last]) => switch(inner..*first, first + 1..*last, &text[last + 1..end]),
            _ => Kind::Nothing,
        }
    }
}

fn switch(before: Range<usize>, after: Range<usize>, when: &str) -> Kind<'_> {
    let when = trim(when);
    if is_number(when) {
        return Kind::Edit(Edit::Switch { before, after, when });
    }
    // `[a:b]` is meant for the brackets of emphasis.
    if before.end < after.start { Kind::NoNumber(when) } else { Kind::Nothing }
}

fn opening(closing: u8) -> u8 {
    if closing == b')' { b'(' } else { b'[' }
}

/// Whether all of `text` is a number: sign, digits with a point among or beside them, exponent.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
        return false;
    }
    let Some(exponent) = exponent else { return true };
    let power = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    !power.is_empty() && digits(power)
}
