//! The text of files that people write with all kinds of editors: UTF-8, with a byte order mark or without; of settings
//! UTF-16 too.

use std::fmt;

/// How a file is encoded that is not UTF-8; displayed as what "it is".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As `>` of older PowerShells and Notepad's "Unicode" write it.
    Utf16,
    /// One byte a letter, or something else.
    Other {
        /// The first byte that is wrong.
        byte: u8,
        /// Its line, from 1.
        line: usize,
    },
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Utf16 => write!(f, "UTF-16"),
            Self::Other { byte, line } => {
                write!(f, "not UTF-8 (byte 0x{byte:02X} in line {line}{})", guess(*byte))
            }
        }
    }
}

/// What a byte most often is where it is not UTF-8: a letter in the encoding of Windows in the west (1252).
fn guess(byte: u8) -> &'static str {
    match byte {
        0x91..=0x94 => ", a Windows quotation mark?",
        0x96 | 0x97 => ", a Windows dash?",
        0x85 => ", Windows' three dots?",
        0x80 => ", a Windows euro sign?",
        0xc0..=0xff => ", an accented letter of Windows?",
        _ => "",
    }
}

/// The text of a file's bytes, without its byte order mark.
///
/// # Errors
/// How it is encoded, if not as UTF-8.
pub fn decode(bytes: Vec<u8>) -> Result<String, Encoding> {
    let has_mark = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    if has_mark || is_utf16_without_mark(&bytes) {
        return Err(Encoding::Utf16);
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let start = error.utf8_error().valid_up_to();
            let bytes = error.as_bytes();
            let line = bytes[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
            return Err(Encoding::Other { byte: bytes[start], line });
        }
    };
    match text.strip_prefix('\u{feff}') {
        Some(rest) => Ok(rest.trim_start_matches('\u{feff}').to_owned()),
        None => Ok(text),
    }
}

/// The text of a settings file's bytes, which may be UTF-16 too: editors on Windows write it.
///
/// # Errors
/// The first line that is no text, from 1.
pub fn decode_settings(bytes: Vec<u8>) -> Result<String, usize> {
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // No text begins with a zero, so this is the one of a letter of two bytes.
        [_, 0, ..] => utf16(&bytes, u16::from_le_bytes),
        [0, _, ..] => utf16(&bytes, u16::from_be_bytes),
        _ => decode(bytes).map_err(|encoding| match encoding {
            Encoding::Other { line, .. } => line,
            Encoding::Utf16 => 1,
        }),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, usize> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::new();
    for letter in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        match letter {
            Ok(letter) => text.push(letter),
            Err(_) => return Err(text.matches('\n').count() + 1),
        }
    }
    if rest.is_empty() { Ok(text) } else { Err(text.matches('\n').count() + 1) }
}

/// Whether every other byte at the beginning is 0, as in UTF-16 of Latin letters.
fn is_utf16_without_mark(bytes: &[u8]) -> bool {
    const LOOKED_AT: usize = 64;
    let begin = &bytes[..bytes.len().min(LOOKED_AT) / 2 * 2];
    let all_zero = |first: usize| begin.iter().skip(first).step_by(2).all(|byte| *byte == 0);
    begin.len() >= 4 && (all_zero(0) != all_zero(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_removed_and_other_encodings_named() {
        for text in ["\u{feff}caf\u{e9}", "caf\u{e9}", "\u{feff}\u{feff}caf\u{e9}"] {
            assert_eq!(decode(text.into()).as_deref(), Ok("caf\u{e9}"));
        }
        assert_eq!(decode(Vec::new()).as_deref(), Ok(""));
        for bytes in [&b"\xff\xfea\0"[..], b"\xfe\xff\0a", b"a\0b\0c\0", b"\0a\0b\0c"] {
            assert_eq!(decode(bytes.to_vec()), Err(Encoding::Utf16), "{bytes:?}");
        }
        for (bytes, told) in [
            (&b"one\nit\x92s"[..], "not UTF-8 (byte 0x92 in line 2, a Windows quotation mark?)"),
            (b"caf\xe9", "not UTF-8 (byte 0xE9 in line 1, an accented letter of Windows?)"),
            (b"\x83\x8c", "not UTF-8 (byte 0x83 in line 1)"),
        ] {
            assert_eq!(decode(bytes.to_vec()).unwrap_err().to_string(), told);
        }
    }
}
