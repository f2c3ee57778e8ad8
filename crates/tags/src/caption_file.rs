//! A caption file: its tags can be changed, and whatever is not changed stays byte for byte: mark, line ends, further
//! lines, the spaces and separators between tags, how tags are written.
//!
//! Tags are those of the first line, which is the one that is trained (all lines are with `--enable_wildcard`). A file
//! is read whole and written whole, through the journal.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use lorabake_recipe::text_file::decode;

use crate::activation::Activation;
use crate::error::Error;
use crate::journal::Edit;
use crate::text::{MOST_BYTES, folded, is_prose, parts_of};

const MARK: &str = "\u{feff}";

/// What the first line of a caption is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing but spaces, or there is no file.
    Empty,
    /// Tags.
    Tags,
    /// Sentences: a part with more than 6 words, or one that ends in a full stop.
    Prose,
}

/// A caption file as it was read, with the changes that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptionFile {
    path: PathBuf,
    /// The bytes that were read; `None` if there was no file.
    read: Option<Vec<u8>>,
    separator: String,
    /// Byte order marks at the beginning.
    marks: String,
    /// The parts of the first line, stripped; some may be empty.
    parts: Vec<String>,
    /// What stands before the first part, between two parts, and after the last: one more than parts. Without parts, the
    /// whole line.
    gaps: Vec<String>,
    /// What follows the first line, with the end of that line.
    rest: String,
}

impl CaptionFile {
    /// Reads a caption file. One that is not there is an empty caption, which is written with a line end.
    ///
    /// # Errors
    /// If the file cannot be read, is longer than 64 kB, is not UTF-8, or is a link.
    pub fn load(path: &Path, separator: &str) -> Result<Self, Error> {
        let read = read(path)?;
        let text = match &read {
            None => "\n".to_owned(),
            Some(bytes) => {
                // Decoded for what it says of other encodings; its marks are kept here.
                let encoding = |encoding| Error::file(path, format!("the caption is {encoding}; save it as UTF-8"));
                decode(bytes.clone()).map_err(encoding)?;
                String::from_utf8_lossy(bytes).into_owned()
            }
        };
        let without_marks = text.trim_start_matches(MARK);
        let marks = text[..text.len() - without_marks.len()].to_owned();
        let line_end = without_marks.find(['\n', '\r']).unwrap_or(without_marks.len());
        let (line, rest) = without_marks.split_at(line_end);
        let mut file = Self {
            path: path.to_owned(),
            read,
            separator: separator.to_owned(),
            marks,
            parts: Vec::new(),
            gaps: Vec::new(),
            rest: rest.to_owned(),
        };
        file.set_line(line);
        Ok(file)
    }

    /// Where the file is, or would be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there was a file when it was read.
    pub fn exists(&self) -> bool {
        self.read.is_some()
    }

    /// What stands between tags, without spaces.
    pub fn separator(&self) -> &str {
        &self.separator
    }

    /// The bytes that were read.
    pub fn bytes_read(&self) -> Option<&[u8]> {
        self.read.as_deref()
    }

    /// The first line as a trainer reads it, stripped.
    pub fn caption(&self) -> String {
        self.line().trim().to_owned()
    }

    /// The lines behind the first that are not blank, stripped: what is drawn from too with `--enable_wildcard`.
    pub fn further_lines(&self) -> impl Iterator<Item = &str> {
        self.rest.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty())
    }

    /// The line ends of the file: `\n`, `\r\n`, `\r`; `None` if it has none.
    pub fn line_end(&self) -> Option<&'static str> {
        if self.rest.starts_with("\r\n") {
            return Some("\r\n");
        }
        match self.rest.as_bytes().first()? {
            b'\r' => Some("\r"),
            _ => Some("\n"),
        }
    }

    /// Whether the file begins with a byte order mark.
    pub fn has_mark(&self) -> bool {
        !self.marks.is_empty()
    }

    /// Whether the first line is tags or prose.
    pub fn kind(&self) -> Kind {
        if self.tags().next().is_none() {
            return Kind::Empty;
        }
        if self.parts.iter().any(|part| is_prose(part)) { Kind::Prose } else { Kind::Tags }
    }

    /// The tags, as the user has them; empty parts left out.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(String::as_str).filter(|part| !part.is_empty())
    }

    /// All parts between separators, stripped, empty ones too. Positions below are among these.
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// Where a tag stands first, compared folded.
    pub fn position(&self, tag: &str) -> Option<usize> {
        let tag = folded(tag);
        if tag.is_empty() {
            return None;
        }
        self.parts.iter().position(|part| folded(part) == tag)
    }

    /// Whether it has a tag, compared folded.
    pub fn has(&self, tag: &str) -> bool {
        self.position(tag).is_some()
    }

    /// Puts a tag before the part at `index`, or behind the last one.
    pub fn insert(&mut self, index: usize, tag: &str) {
        let index = index.min(self.parts.len());
        if self.parts.is_empty() {
            self.parts.push(tag.to_owned());
            self.gaps = vec![String::new(), String::new()];
            return;
        }
        // Before the first, what stood before it stays before all.
        let gap = if index == 0 { 1 } else { index };
        self.gaps.insert(gap, self.usual_gap());
        self.parts.insert(index, tag.to_owned());
    }

    /// Puts a tag behind the last one that is not empty.
    pub fn push(&mut self, tag: &str) {
        let last = self.parts.iter().rposition(|part| !part.is_empty());
        self.insert(last.map_or(0, |last| last + 1), tag);
    }

    /// Takes out the part at `index`.
    ///
    /// # Panics
    /// If there is no such part.
    pub fn remove(&mut self, index: usize) {
        self.parts.remove(index);
        if self.parts.is_empty() {
            self.gaps = vec![String::new()];
        } else {
            self.gaps.remove(if index == 0 { 1 } else { index });
        }
    }

    /// Writes the part at `index` otherwise; what stands around it stays.
    ///
    /// # Panics
    /// If there is no such part.
    pub fn replace(&mut self, index: usize, tag: &str) {
        self.parts[index] = tag.trim().to_owned();
    }

    /// Puts the part at `from` at `to`, others move up; what stands between parts stays in place.
    ///
    /// # Panics
    /// If there is no such part.
    pub fn move_part(&mut self, from: usize, to: usize) {
        let part = self.parts.remove(from);
        self.parts.insert(to, part);
    }

    /// Puts the parts into another order: `order` are their positions, each once.
    ///
    /// # Panics
    /// If `order` is not one.
    pub fn reorder(&mut self, order: &[usize]) {
        assert_eq!(order.len(), self.parts.len(), "every part has one place");
        let mut parts = std::mem::take(&mut self.parts);
        for index in order {
            self.parts.push(std::mem::take(&mut parts[*index]));
        }
    }

    /// Replaces the whole first line; further lines stay.
    pub fn set_line(&mut self, line: &str) {
        self.parts.clear();
        self.gaps.clear();
        if line.trim().is_empty() {
            self.gaps.push(line.to_owned());
            return;
        }
        let mut gap = String::new();
        for (index, part) in parts_of(line, &self.separator).into_iter().enumerate() {
            if index > 0 {
                gap += &self.separator;
            }
            let text = part.trim();
            let start = part.len() - part.trim_start().len();
            gap += &part[..start];
            self.gaps.push(std::mem::take(&mut gap));
            self.parts.push(text.to_owned());
            gap += &part[start + text.len()..];
        }
        self.gaps.push(gap);
    }

    /// Moves the activation tags to the front, in their order, where the caption has them, and adds those that it lacks if it
    /// was empty or had no file. **Everything that writes captions calls this last.** Prose is left alone.
    pub fn keep_first(&mut self, activation: &Activation) {
        let is_new = self.bytes_read().is_none_or(|bytes| bytes.iter().all(u8::is_ascii_whitespace));
        self.order_first(activation, is_new);
    }

    /// As [`Self::keep_first`], and adds the activation tags that any caption lacks, prose included.
    pub fn add_first(&mut self, activation: &Activation) {
        self.order_first(activation, true);
    }

    fn order_first(&mut self, activation: &Activation, adds: bool) {
        let is_prose = self.kind() == Kind::Prose;
        let begins = folded(&self.caption());
        let mut place = 0;
        for tag in activation.tags() {
            match self.position(tag) {
                _ if is_prose && begins.starts_with(&folded(tag)) => continue,
                Some(_) if is_prose => continue,
                Some(at) => self.move_part(at, place),
                None if adds => self.insert(place, tag),
                None => continue,
            }
            place += 1;
        }
    }

    /// The bytes of the file as it is to be.
    pub fn to_bytes(&self) -> Vec<u8> {
        format!("{}{}{}", self.marks, self.line(), self.rest).into_bytes()
    }

    /// What has to be written, for [`crate::Journal::apply`]; `None` if nothing differs from what was read, and for a file
    /// that was not there and has no caption.
    pub fn edit(&self) -> Option<Edit> {
        let after = self.to_bytes();
        let is_unchanged = match &self.read {
            Some(read) => *read == after,
            None => self.kind() == Kind::Empty,
        };
        if is_unchanged {
            return None;
        }
        Some(Edit::Write { path: self.path.clone(), before: self.read.clone(), after })
    }

    /// The first line, with the spaces around it.
    pub(crate) fn line(&self) -> String {
        let mut line = String::new();
        for (gap, part) in self.gaps.iter().zip(&self.parts) {
            line += gap;
            line += part;
        }
        if let Some(last) = self.gaps.last() {
            line += last;
        }
        line
    }

    /// What most often stands between two tags of this file; where that is not clear, the separator and a space, or else the
    /// shortest.
    fn usual_gap(&self) -> String {
        let usual = format!("{} ", self.separator);
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for gap in &self.gaps[1..self.gaps.len() - 1] {
            *counts.entry(gap).or_default() += 1;
        }
        let rank = |gap: &str, count: usize| (count, gap == usual, Reverse(gap.len()), gap.to_owned());
        match counts.into_iter().max_by_key(|(gap, count)| rank(gap, *count)) {
            Some((gap, _)) => gap.to_owned(),
            None => usual,
        }
    }
}

/// The bytes of a caption file; `None` if there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let cause = |error: io::Error| Error::io(path, "read", &error);
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cause(error)),
        Ok(about) if about.is_symlink() => {
            return Err(Error::file(
                path,
                "it is a link to another file; put a file of its own in its place to edit it",
            ));
        }
        Ok(about) if !about.is_file() => return Err(Error::file(path, "it is no file; move it away")),
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cause)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(cause)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Error::file(path, "the caption is longer than 64 kB, which is not trained; shorten it"));
    }
    Ok(Some(bytes))
}
