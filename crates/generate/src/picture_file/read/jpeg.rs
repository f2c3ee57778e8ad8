//! EXIF of a JPEG: its first segment APP1 that has some. Source: ITU-T T.81.

use anyhow::Result;

use super::{Bytes, Found};

/// Looks through the segments before the pixels.
pub(super) fn find(file: &mut Bytes) -> Result<Found> {
    let mut at = 2;
    while file.has(at, 4) {
        let head = file.at(at, 4)?;
        let length = u64::from(u16::from_be_bytes([head[2], head[3]]));
        match [head[0], head[1]] {
            // Any number of these may stand before a segment's name.
            [0xff, 0xff] => at += 1,
            // The pixels begin, or what follows is no segment.
            [0xff, 0xda | 0xd9] => break,
            [0xff, name] if length >= 2 && file.has(at + 2, length) => {
                if name == 0xe1 {
                    let content = file.at(at + 4, length - 2)?;
                    if let Found::Text(text) = Found::exif(&content) {
                        return Ok(Found::Text(text));
                    }
                }
                at += 2 + length;
            }
            _ => break,
        }
    }
    Ok(Found::Nothing)
}
