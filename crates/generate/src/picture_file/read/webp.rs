//! EXIF of a WebP: its chunk of that name. Source: RFC 9649.

use anyhow::Result;

use super::{Bytes, Found, MOST_BYTES};

/// Bytes of a chunk's name and length.
const HEAD: u64 = 8;

/// Looks through the chunks.
pub(super) fn find(file: &mut Bytes) -> Result<Found> {
    let mut at = 12;
    while file.has(at, HEAD) {
        let head = file.at(at, HEAD)?;
        let length = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
        let begin = at + HEAD;
        if !file.has(begin, length) {
            break;
        }
        if head.starts_with(b"EXIF") {
            if length > MOST_BYTES {
                return Ok(Found::TooLong);
            }
            return Ok(Found::exif(&file.at(begin, length)?));
        }
        at = begin + length + length % 2;
    }
    Ok(Found::Nothing)
}
