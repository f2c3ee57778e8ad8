//! What the journal writes down, a line of JSON each: what is to be done, then that it was done.
//!
//! A step is written, and on disk, before any of its changes is made, so that whatever kills the program, what was begun
//! is known.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::spot::Spot;

/// Longer contents, and those that are not text, are kept in files of their own.
const LONGEST_TEXT: usize = 64 << 10;

/// A line of the journal, except those of changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// The first line: which form the rest has.
    Journal(u32),
    /// What is about to be done; the lines of its changes follow.
    Step(Step),
    /// How a step ended.
    End(End),
}

/// Changes that are made together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    /// Its number, from 1.
    pub step: u64,
    /// What it does with the action.
    pub way: Way,
    /// The action's number, from 1.
    pub action: u64,
    /// The action's name.
    pub name: String,
    /// When, in seconds since 1970, UTC.
    pub time: u64,
    /// How many lines of changes follow.
    pub changes: u64,
    /// How many bytes these lines have.
    pub bytes: u64,
    /// SHA-256 of these lines.
    pub sum: String,
}

/// What a step does with its action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    /// A part of it, or all.
    Do,
    /// Takes all of it back.
    Undo,
    /// Does all of it again.
    Redo,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct End {
    pub step: u64,
    pub result: Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ended {
    /// All changes are made.
    Done,
    /// It failed or was cut off, and none is left.
    TakenBack,
}

/// A change of one file or folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// A file's content.
    Write { at: Spot, before: Content, after: Content },
    /// A file's or a folder's place.
    Move { from: Spot, to: Spot },
}

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content {
    /// There is no file.
    Absent,
    /// This text.
    Text(String),
    /// Something else, which is kept when it is about to be overwritten.
    Kept(Kept),
}

/// A content that has a file of its own among the originals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The file among the originals.
    pub file: String,
    /// In bytes.
    pub length: u64,
    /// In hexadecimal.
    pub sha256: String,
}

impl Content {
    /// What is written down of the bytes of a file `at` a spot.
    pub fn of(at: &Spot, bytes: Option<&[u8]>) -> Self {
        let Some(bytes) = bytes else { return Self::Absent };
        if bytes.len() <= LONGEST_TEXT
            && let Ok(text) = str::from_utf8(bytes)
        {
            return Self::Text(text.to_owned());
        }
        let sha256 = sum(bytes);
        let (Spot::Set(name) | Spot::SetAside(name)) = at;
        Self::Kept(Kept { file: kept_name(name, &sha256), length: bytes.len() as u64, sha256 })
    }

    /// Whether these are the bytes of a file that has it.
    pub fn is(&self, bytes: Option<&[u8]>) -> bool {
        match (self, bytes) {
            (Self::Absent, None) => true,
            (Self::Text(text), Some(bytes)) => text.as_bytes() == bytes,
            (Self::Kept(kept), Some(bytes)) => kept.length == bytes.len() as u64 && kept.sha256 == sum(bytes),
            _ => false,
        }
    }

    /// Whether it leads out of no folder.
    pub fn is_safe(&self) -> bool {
        match self {
            Self::Kept(kept) => Spot::Set(kept.file.clone()).is_safe(),
            _ => true,
        }
    }
}

impl Change {
    /// What takes it back.
    pub fn inverse(self) -> Self {
        match self {
            Self::Write { at, before, after } => Self::Write { at, before: after, after: before },
            Self::Move { from, to } => Self::Move { from: to, to: from },
        }
    }

    /// Whether it leads out of no folder.
    pub fn is_safe(&self) -> bool {
        match self {
            Self::Write { at, before, after } => at.is_safe() && before.is_safe() && after.is_safe(),
            Self::Move { from, to } => from.is_safe() && to.is_safe(),
        }
    }
}

/// `10_penny/a.png` is kept as `10_penny/a.1a2b3c4d.png`.
fn kept_name(name: &str, sha256: &str) -> String {
    let short = &sha256[..8];
    let path = Path::new(name);
    let file = match (path.file_stem(), path.extension()) {
        (Some(stem), Some(end)) => format!("{}.{short}.{}", stem.to_string_lossy(), end.to_string_lossy()),
        _ => format!("{}.{short}", path.file_name().unwrap_or_default().to_string_lossy()),
    };
    match name.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{file}"),
        None => file,
    }
}

/// SHA-256 in hexadecimal.
pub(super) fn sum(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        text += &format!("{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_known_again() {
        let at = Spot::Set("10_penny/a.b.png".to_owned());
        let image = b"\x89PNG".as_slice();
        let kept = Content::of(&at, Some(image));
        let Content::Kept(Kept { file, length: 4, .. }) = &kept else { panic!("{kept:?}") };
        assert!(file.starts_with("10_penny/a.b.") && file.ends_with(".png") && file.len() == 25, "{file}");
        assert!(kept.is(Some(image)) && !kept.is(Some(b"\x89PNH")) && !kept.is(None));
        let text = Content::of(&at, Some(b"\xef\xbb\xbfa, b\r\n"));
        assert_eq!(text, Content::Text("\u{feff}a, b\r\n".to_owned()));
        assert!(text.is(Some(b"\xef\xbb\xbfa, b\r\n")) && !text.is(Some(b"a, b\r\n")));
        assert!(Content::of(&at, None).is(None) && !Content::of(&at, None).is(Some(b"")));
    }
}
