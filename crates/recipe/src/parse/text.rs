//! The text of settings files: UTF-8 as [`crate::text_file`] reads it, and UTF-16, which editors on Windows write.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::report::Problem;
use crate::text_file;

/// Longest file that is read: some thousand times what a recipe needs.
const LIMIT: usize = 16 << 20;

/// Why there is no text.
#[derive(Debug)]
pub(crate) enum Unread {
    Io(io::Error),
    /// Bytes that are no text from this line on.
    NotUtf8 {
        line: usize,
    },
    TooLong,
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "it cannot be read ({error})"),
            Self::NotUtf8 { line } => write!(f, "it is not UTF-8 (line {line})"),
            Self::TooLong => write!(f, "it is larger than {} MB", LIMIT >> 20),
        }
    }
}

impl Unread {
    /// The problem with the file at `path`; `kind` says which file should be named instead.
    pub(crate) fn problem(&self, path: &Path, kind: &str) -> Problem {
        Problem::of_file(path, self.to_string(), &self.remedy(kind))
    }

    /// The problem with the file at `path` that `option` names.
    pub(crate) fn problem_of_option(&self, option: &str, path: &Path, kind: &str) -> Problem {
        let Self::Io(error) = self else { return self.problem(path, kind) };
        let what = format!("{} cannot be read ({error})", path.display());
        Problem { option: Some(option.to_owned()), what, remedy: self.remedy(kind), file: None }
    }

    fn remedy(&self, kind: &str) -> String {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::NotFound => format!("name {kind} that exists"),
            Self::Io(_) => format!("name {kind} that you may read"),
            Self::NotUtf8 { .. } => "save it as UTF-8".to_owned(),
            Self::TooLong => format!("name {kind}"),
        }
    }
}

/// The text of the file at `path`.
pub(crate) fn read(path: &Path) -> Result<String, Unread> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LIMIT as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > LIMIT {
        return Err(Unread::TooLong);
    }
    text_file::decode_settings(bytes).map_err(|line| Unread::NotUtf8 { line })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: Vec<u8>) -> Result<String, Unread> {
        text_file::decode_settings(bytes).map_err(|line| Unread::NotUtf8 { line })
    }

    #[test]
    fn text_of_windows_is_read_with_or_without_a_mark() {
        let text = "a = '鳥🐦'\r\nb = 1\n";
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let files = [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            [b"\xff\xfe", little.as_slice()].concat(),
            [b"\xfe\xff", big.as_slice()].concat(),
            little,
            big,
        ];
        for bytes in files {
            assert_eq!(decode(bytes).unwrap(), text);
        }
        assert_eq!(decode(Vec::new()).unwrap(), "");
    }

    #[test]
    fn the_first_line_that_is_no_text_is_named() {
        for bytes in [&b"a\nb\nc = '\xd1\xb5\xc1\xb7'"[..], b"\xff\xfea\0\n\0\n\0\0\xd8", b"\xff\xfea\0\n\0\n\0x"] {
            assert_eq!(decode(bytes.to_vec()).unwrap_err().to_string(), "it is not UTF-8 (line 3)");
        }
    }
}
