//! Texts of a PNG: the chunks tEXt, zTXt, iTXt, and EXIF in eXIf. Source: the PNG specification (third edition).

use std::io::Read;

use anyhow::Result;
use flate2::read::ZlibDecoder;

use super::{Bytes, Found, MOST_BYTES};

/// Bytes of a chunk's length and name, and of its check sum.
const HEAD: u64 = 8;
const SUM: u64 = 4;

/// Looks through the chunks, which may stand behind the pixels too, for the text of `keyword`.
pub(super) fn find(file: &mut Bytes, keyword: &str) -> Result<Found> {
    let mut at = 8;
    let mut else_found = Found::Nothing;
    while file.has(at, HEAD) {
        let head = file.at(at, HEAD)?;
        let length = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let name = &head[4..];
        let begin = at + HEAD;
        if name == b"IEND" || !file.has(begin, length) {
            break;
        }
        if matches!(name, b"tEXt" | b"zTXt" | b"iTXt" | b"eXIf") {
            if length > MOST_BYTES {
                // Pixels are no text: this is one of another kind, or one that nobody wrote by hand.
                else_found = Found::TooLong;
            } else {
                let content = file.at(begin, length)?;
                match text(name, &content, keyword) {
                    Found::Text(text) => return Ok(Found::Text(text)),
                    Found::Nothing => {}
                    other => else_found = other,
                }
            }
        }
        at = begin + length + SUM;
    }
    Ok(else_found)
}

/// What a chunk says.
fn text(name: &[u8], content: &[u8], wanted: &str) -> Found {
    if name == b"eXIf" {
        return Found::exif(content);
    }
    let Some((keyword, rest)) = split_at_zero(content) else { return Found::Nothing };
    match keyword {
        _ if keyword == wanted.as_bytes() => {}
        b"workflow" => return Found::Graph,
        _ => return Found::Nothing,
    }
    match (name, rest) {
        (b"tEXt", latin) => Found::Text(of_latin(latin)),
        (b"zTXt", [0, packed @ ..]) => unpacked(packed, of_latin),
        (b"iTXt", [is_packed, _, rest @ ..]) => {
            let behind = split_at_zero(rest).and_then(|(_, rest)| split_at_zero(rest));
            match (behind, is_packed) {
                (Some((_, words)), 0) => Found::Text(String::from_utf8_lossy(words).into_owned()),
                (Some((_, packed)), 1) => unpacked(packed, |words| String::from_utf8_lossy(words).into_owned()),
                _ => Found::Nothing,
            }
        }
        _ => Found::Nothing,
    }
}

fn split_at_zero(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let zero = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..zero], &bytes[zero + 1..]))
}

fn of_latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn unpacked(packed: &[u8], read: impl Fn(&[u8]) -> String) -> Found {
    let mut bytes = Vec::new();
    if ZlibDecoder::new(packed).take(MOST_BYTES + 1).read_to_end(&mut bytes).is_err() {
        return Found::Nothing;
    }
    if bytes.len() as u64 > MOST_BYTES { Found::TooLong } else { Found::Text(read(&bytes)) }
}
