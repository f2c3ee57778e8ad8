//! Replacing tags or parts of them, plain or by regular expressions.
//!
//! The three scopes are those of toshiaki1729/stable-diffusion-webui-dataset-tag-editor: whole tags, inside each tag, the
//! caption as a whole.

use regex_lite::{Captures, Regex, RegexBuilder};

use crate::activation::Activation;
use crate::caption_file::CaptionFile;
use crate::text::{folded, tags_of};

/// Most bytes that a regular expression may take, compiled.
const LARGEST: usize = 1 << 20;

/// A text to be replaced, and by what.
#[derive(Debug, Clone)]
pub struct Replacement {
    find: Find,
    with: With,
    scope: Scope,
}

/// What is written instead.
#[derive(Debug, Clone)]
enum With {
    /// A text; nothing takes a tag out.
    Text(String),
    /// Texts and groups of the regular expression.
    Groups(Vec<Piece>),
}

/// What is looked for.
#[derive(Debug, Clone)]
pub enum Find {
    /// A text: as a whole tag compared folded, elsewhere letter by letter.
    Text(String),
    /// A regular expression.
    Regex(Regex),
}

/// Where a text is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Whole tags.
    Tag,
    /// Anywhere in each tag.
    Within,
    /// Anywhere in the caption's line, separators included.
    Caption,
}

impl Find {
    /// A regular expression of a user.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn regex(text: &str) -> Result<Self, String> {
        let built = RegexBuilder::new(text).size_limit(LARGEST).build();
        built.map(Self::Regex).map_err(|error| format!("{error}; mend the regular expression, or leave out --regex"))
    }
}

impl Replacement {
    /// Replaces `find` by `with` in `scope`. With a regular expression `$1`, `${1}`, `$name` and `${name}` are its groups, and
    /// `$$` is a dollar sign.
    ///
    /// # Errors
    /// If there is no such group.
    pub fn new(find: Find, with: &str, scope: Scope) -> Result<Self, String> {
        let with = match &find {
            Find::Text(_) => With::Text(with.to_owned()),
            Find::Regex(regex) => With::Groups(pieces(with, regex)?),
        };
        Ok(Self { find, with, scope })
    }

    pub(super) fn act_on(&self, caption: &mut CaptionFile) {
        if self.scope != Scope::Caption {
            self.replace_tags(caption);
            return;
        }
        let line = caption.line();
        let new = self.within(&line);
        if new != line {
            // A line end of the user's would make two captions of one.
            caption.set_line(&new.replace(['\n', '\r'], " "));
        }
    }

    fn replace_tags(&self, caption: &mut CaptionFile) {
        let separator = caption.separator().to_owned();
        let mut written = Vec::new();
        for index in (0..caption.parts().len()).rev() {
            let tag = caption.parts()[index].clone();
            let Some(new) = self.of_tag(&tag) else { continue };
            if new == tag {
                continue;
            }
            let new = new.replace(['\n', '\r'], " ");
            let tags = tags_of(&new, &separator);
            for (place, tag) in tags.iter().enumerate() {
                if place == 0 {
                    caption.replace(index, tag);
                } else {
                    caption.insert(index + place, tag);
                }
                written.push(folded(tag));
            }
            if tags.is_empty() {
                caption.remove(index);
            }
        }
        merge(caption, &written);
    }

    /// What a tag becomes; `None` if it does not hold what is looked for.
    fn of_tag(&self, tag: &str) -> Option<String> {
        if tag.is_empty() {
            return None;
        }
        match (&self.find, &self.with, self.scope) {
            (Find::Text(text), With::Text(with), Scope::Tag) => {
                // A tag by itself, however it is written, stays.
                let fits = folded(text) == folded(tag) && text != with;
                if fits { Some(with.clone()) } else { None }
            }
            (Find::Regex(regex), With::Groups(pieces), Scope::Tag) => {
                let found = regex.captures(tag)?;
                let whole = found.get(0)?;
                if whole.as_str().len() == tag.len() { Some(joined(pieces, &found)) } else { None }
            }
            _ => Some(self.within(tag)),
        }
    }

    fn within(&self, text: &str) -> String {
        match (&self.find, &self.with) {
            (Find::Text(find), With::Text(with)) if !find.is_empty() => text.replace(find, with),
            (Find::Regex(regex), With::Groups(pieces)) => {
                regex.replace_all(text, |found: &Captures| joined(pieces, found)).into_owned()
            }
            _ => text.to_owned(),
        }
    }
}

/// The activation tag that `before` has and `after` has not, unless a tag that is new stands in `after`: then it was given another
/// name.
pub fn lost<'a>(activation: &'a Activation, before: &CaptionFile, after: &CaptionFile) -> Option<&'a str> {
    let lost = activation.tags().iter().find(|tag| before.has(tag) && !after.has(tag))?;
    let is_renamed = after.tags().any(|tag| !before.has(tag));
    if is_renamed { None } else { Some(lost) }
}

/// A part of what is written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The group of this number.
    Group(usize),
}

fn joined(pieces: &[Piece], found: &Captures) -> String {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(own) => text += own,
            Piece::Group(number) => text += found.get(*number).map_or("", |group| group.as_str()),
        }
    }
    text
}

/// Texts and groups of `with`. Unlike in the regex crate `$1st` is the first group and `st`: an unknown group would be empty
/// there, and take the tag out.
fn pieces(with: &str, regex: &Regex) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = with;
    while let Some((before, after)) = rest.split_once('$') {
        pieces.push(Piece::Text(before.to_owned()));
        if let Some(behind) = after.strip_prefix('$') {
            pieces.push(Piece::Text("$".to_owned()));
            rest = behind;
            continue;
        }
        let name = group_name(after);
        if name.is_empty() {
            pieces.push(Piece::Text("$".to_owned()));
            rest = after;
            continue;
        }
        let bare = name.trim_matches(['{', '}']);
        let number = match bare.parse() {
            Ok(number) => Some(number),
            Err(_) => regex.capture_names().position(|known| known == Some(bare)),
        };
        match number {
            Some(number) if number < regex.captures_len() => pieces.push(Piece::Group(number)),
            _ => {
                let groups = regex.captures_len() - 1;
                return Err(format!(
                    "${name} is no group of the {groups} of the expression; write $$ for a dollar sign"
                ));
            }
        }
        rest = &after[name.len()..];
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

/// The group that a text behind a `$` names: `1`, `name` or `{name}`; nothing if it names none.
fn group_name(text: &str) -> &str {
    if text.starts_with('{') {
        return text.find('}').map_or("", |end| &text[..=end]);
    }
    let is_number = text.starts_with(|letter: char| letter.is_ascii_digit());
    let belongs = |letter: char| {
        if is_number { letter.is_ascii_digit() } else { letter.is_ascii_alphanumeric() || letter == '_' }
    };
    let end = text.find(|letter| !belongs(letter)).unwrap_or(text.len());
    &text[..end]
}

/// Takes out all but the first of each of these tags: one that has become another that was there is one with it.
fn merge(caption: &mut CaptionFile, written: &[String]) {
    for tag in written {
        let first = caption.position(tag);
        for index in (0..caption.parts().len()).rev() {
            if Some(index) > first && folded(&caption.parts()[index]) == *tag {
                caption.remove(index);
            }
        }
    }
}
