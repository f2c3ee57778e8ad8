//! From the text of a filter to a [`Filter`].

use std::iter::Peekable;
use std::vec::IntoIter;

use super::{Amount, Comparison, Field, Filter, Pattern, State};

/// Brackets within brackets.
const DEEPEST: usize = 64;

const FIELDS: [(&str, Field); 6] = [
    ("tag", Field::Tag),
    ("caption", Field::Caption),
    ("name", Field::Name),
    ("path", Field::Path),
    ("folder", Field::Folder),
    ("issue", Field::Issue),
];

const AMOUNTS: [(&str, Amount); 6] = [
    ("tags", Amount::Tags),
    ("chars", Amount::Chars),
    ("tokens", Amount::Tokens),
    ("width", Amount::Width),
    ("height", Amount::Height),
    ("size", Amount::Size),
];

const STATES: [(&str, State); 5] = [
    ("empty", State::Empty),
    ("missing", State::Missing),
    ("prose", State::Prose),
    ("tags", State::Tags),
    ("unmarked", State::Unmarked),
];

/// Reads a filter.
///
/// # Errors
/// What is wrong with it and what to write instead, without a full stop.
pub fn parse(text: &str) -> Result<Filter, String> {
    let mut reader = Reader { words: words(text)?.into_iter().peekable(), depth: 0 };
    let filter = reader.any()?;
    match reader.words.next() {
        None => Ok(filter),
        Some(word) => Err(format!("{} has no bracket that it closes; remove it", word.shown())),
    }
}

/// A piece of the text.
#[derive(Debug, Clone, PartialEq)]
enum Word {
    Open,
    Close,
    And,
    Or,
    Not,
    /// A condition, quotes removed; `name` is what stands before the first colon outside of quotes.
    Term {
        name: Option<String>,
        value: String,
    },
}

impl Word {
    fn shown(&self) -> String {
        match self {
            Self::Open => "(".to_owned(),
            Self::Close => ")".to_owned(),
            Self::And => "AND".to_owned(),
            Self::Or => "OR".to_owned(),
            Self::Not => "NOT".to_owned(),
            Self::Term { name: None, value } => value.clone(),
            Self::Term { name: Some(name), value } => format!("{name}:{value}"),
        }
    }
}

fn words(text: &str) -> Result<Vec<Word>, String> {
    let letters: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        match letters[at] {
            letter if letter.is_whitespace() => at += 1,
            '(' => {
                words.push(Word::Open);
                at += 1;
            }
            ')' => {
                words.push(Word::Close);
                at += 1;
            }
            _ => {
                let (word, end) = word(&letters, at)?;
                words.push(word);
                at = end;
            }
        }
    }
    Ok(words)
}

/// The word that begins at `start`, and where it ends.
fn word(letters: &[char], start: usize) -> Result<(Word, usize), String> {
    let mut at = start;
    let mut text = String::new();
    let mut name = None;
    let mut was_quoted = false;
    let mut open = 0;
    while let Some(letter) = letters.get(at) {
        match letter {
            '"' | '\'' if text.is_empty() => {
                let length = letters[at + 1..].iter().position(|other| other == letter);
                let Some(length) = length else {
                    return Err(format!("a {letter} is not closed; write another one behind the text"));
                };
                text.extend(&letters[at + 1..at + 1 + length]);
                was_quoted = true;
                at += length + 2;
                continue;
            }
            ':' if name.is_none() && !was_quoted && is_name(&text) => name = Some(std::mem::take(&mut text)),
            // The brackets of `poster_(object)` belong to the tag.
            '(' => {
                open += 1;
                text.push('(');
            }
            ')' if open == 0 => break,
            ')' => {
                open -= 1;
                text.push(')');
            }
            letter if letter.is_whitespace() => break,
            letter => text.push(*letter),
        }
        at += 1;
    }
    // "tag:red boots" in quotes as a whole, as taggui has it.
    if was_quoted
        && name.is_none()
        && let Some((before, after)) = text.split_once(':')
        && is_name(before)
    {
        return Ok((Word::Term { name: Some(before.to_owned()), value: after.to_owned() }, at));
    }
    let word = match (text.as_str(), was_quoted || name.is_some()) {
        ("AND", false) => Word::And,
        ("OR", false) => Word::Or,
        ("NOT", false) => Word::Not,
        _ => Word::Term { name, value: text },
    };
    Ok((word, at))
}

/// Whether a text before a colon is a name of this language and no part of a text.
fn is_name(text: &str) -> bool {
    text.len() > 1 && text.chars().all(|letter| letter.is_ascii_lowercase())
}

struct Reader {
    words: Peekable<IntoIter<Word>>,
    depth: usize,
}

impl Reader {
    fn any(&mut self) -> Result<Filter, String> {
        let mut parts = vec![self.all()?];
        while self.words.next_if_eq(&Word::Or).is_some() {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::Any(parts) })
    }

    fn all(&mut self) -> Result<Filter, String> {
        let mut parts = vec![self.one()?];
        loop {
            match self.words.peek() {
                Some(Word::And) => {
                    self.words.next();
                }
                None | Some(Word::Or | Word::Close) => break,
                Some(_) => {}
            }
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::All(parts) })
    }

    fn one(&mut self) -> Result<Filter, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("more than {DEEPEST} brackets within each other; write it with fewer"));
        }
        let filter = match self.words.next() {
            Some(Word::Not) => Filter::Not(Box::new(self.one()?)),
            Some(Word::Open) => {
                let inner = self.any()?;
                if self.words.next_if_eq(&Word::Close).is_none() {
                    return Err("a ( is not closed; write ) behind the condition".to_owned());
                }
                inner
            }
            Some(Word::Term { name, value }) => term(name.as_deref(), &value)?,
            Some(word) => {
                return Err(format!("a condition is missing before {}; write one, such as tag:hat", word.shown()));
            }
            None => return Err("a condition is missing at the end; write one, such as tag:hat".to_owned()),
        };
        self.depth -= 1;
        Ok(filter)
    }
}

fn term(name: Option<&str>, value: &str) -> Result<Filter, String> {
    let Some(name) = name else {
        return Ok(Filter::Text(Field::Anything, Pattern::new(value)));
    };
    if let Some((_, field)) = FIELDS.iter().find(|(known, _)| *known == name) {
        if value.trim().is_empty() {
            return Err(format!("{name}: has nothing behind it; write {name}:\"some words\""));
        }
        return Ok(Filter::Text(*field, Pattern::new(value)));
    }
    if let Some((_, amount)) = AMOUNTS.iter().find(|(known, _)| *known == name) {
        return Ok(Filter::Number(*amount, comparison(name, value)?));
    }
    if name == "is" {
        let found = STATES.iter().find(|(known, _)| *known == value);
        let names: Vec<&str> = STATES.iter().map(|(known, _)| *known).collect();
        let problem = || format!("is:{value} is unknown; write is: and one of {}", names.join(", "));
        return found.map(|(_, state)| Filter::Is(*state)).ok_or_else(problem);
    }
    let known = FIELDS.iter().map(|(known, _)| *known).chain(AMOUNTS.iter().map(|(known, _)| *known));
    let known = known.chain(["is"]).collect::<Vec<_>>().join(", ");
    Err(format!("{name}: is unknown; write one of {known}, or quotes around a text with a colon"))
}

fn comparison(name: &str, value: &str) -> Result<Comparison, String> {
    let signs: [(&str, [bool; 3]); 7] = [
        ("<=", [true, true, false]),
        (">=", [false, true, true]),
        ("!=", [true, false, true]),
        ("==", [false, true, false]),
        ("<", [true, false, false]),
        (">", [false, false, true]),
        ("=", [false, true, false]),
    ];
    let found = signs.iter().find(|(sign, _)| value.starts_with(sign));
    let (sign, [below, equal, above]) = found.copied().unwrap_or(("", [false, true, false]));
    match value[sign.len()..].trim().parse() {
        Ok(number) => Ok(Comparison { below, equal, above, number }),
        Err(_) => Err(format!("{name}:{value} is no number; write e.g. {name}:>13 or {name}:<=13")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(field: Field, pattern: &str) -> Filter {
        Filter::Text(field, Pattern::new(pattern))
    }

    #[test]
    fn filters_are_read_as_taggui_reads_them() {
        let more = Comparison { below: false, equal: false, above: true, number: 13 };
        let [hat, boots, walk] =
            [text(Field::Tag, "hat"), text(Field::Tag, "red boots"), text(Field::Anything, "walk")];
        for (written, read) in [
            ("tag:hat", hat.clone()),
            ("tag:\"red boots\"", boots.clone()),
            ("\"tag:red boots\"", boots.clone()),
            ("tag:'red boots'", boots.clone()),
            ("tag:poster_(object)", text(Field::Tag, "poster (object)")),
            ("(tag:hat)", hat.clone()),
            ("\"walk\"", walk.clone()),
            ("tags:>13", Filter::Number(Amount::Tags, more)),
            ("is:prose", Filter::Is(State::Prose)),
            ("tag::3", text(Field::Tag, ":3")),
            (":3", text(Field::Anything, ":3")),
            ("NOT tag:hat walk", Filter::All(vec![Filter::Not(Box::new(hat.clone())), walk.clone()])),
            (
                "tag:hat OR walk AND NOT (tag:'red boots' OR tags:>13)",
                Filter::Any(vec![
                    hat,
                    Filter::All(vec![
                        walk,
                        Filter::Not(Box::new(Filter::Any(vec![boots, Filter::Number(Amount::Tags, more)]))),
                    ]),
                ]),
            ),
        ] {
            assert_eq!(parse(written).unwrap(), read, "{written}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (written, said) in [
            ("", "a condition is missing at the end"),
            ("tag:hat AND", "a condition is missing at the end"),
            ("OR tag:hat", "a condition is missing before OR"),
            ("(tag:hat", "a ( is not closed"),
            ("tag:hat)", ") has no bracket"),
            ("tag:\"hat", "a \" is not closed"),
            ("tags:many", "tags:many is no number"),
            ("tag:", "tag: has nothing behind it"),
            ("colour:red", "colour: is unknown; write one of tag, caption"),
            ("is:nice", "is:nice is unknown; write is: and one of empty"),
        ] {
            let error = parse(written).unwrap_err();
            assert!(error.starts_with(said), "{written}: {error}");
        }
        assert!(parse(&"(".repeat(100_000)).unwrap_err().contains("brackets"));
        assert!(parse(&"NOT ".repeat(100_000)).unwrap_err().contains("brackets"));
    }
}
