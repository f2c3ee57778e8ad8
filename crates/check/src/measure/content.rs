//! What an image file says of itself: its type, how it lies, whether it moves, and whether a program painted it.

use serde::{Deserialize, Serialize};

use super::jpeg;

/// What a file says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// `png`, `jpeg`, `webp` or `bmp`.
    pub format: String,
    /// Has several pictures one after the other, of which the first is trained.
    pub is_animated: bool,
    /// Is shown turned or mirrored by what EXIF says (1 to 8; 1 and none are upright).
    pub orientation: u8,
    /// The quality that it was compressed with, 1 to 100, of JPEG.
    pub quality: Option<u8>,
    /// The program whose settings are in the file: it was painted, not drawn.
    pub painted_by: Option<String>,
    /// The CFG scale that it was painted with, in hundredths.
    pub cfg: Option<u32>,
}

/// Most bytes of a text in the file that are looked at.
const MOST_TEXT: usize = 1 << 16;

impl Content {
    /// Looks at the bytes of a file.
    pub fn of(bytes: &[u8]) -> Self {
        let mut content = Self { orientation: 1, ..Self::default() };
        match bytes {
            [0x89, b'P', b'N', b'G', ..] => {
                content.format = "png".to_owned();
                content.read_png(bytes);
            }
            [0xff, 0xd8, ..] => {
                content.format = "jpeg".to_owned();
                content.quality = jpeg::quality(bytes);
                content.read_jpeg(bytes);
            }
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => {
                content.format = "webp".to_owned();
                content.read_webp(bytes);
            }
            [b'B', b'M', ..] => content.format = "bmp".to_owned(),
            _ => {}
        }
        content
    }

    fn read_png(&mut self, bytes: &[u8]) {
        let mut at = 8;
        while let Some(chunk) = chunk(bytes, at, u32::from_be_bytes, 4) {
            match &chunk.name {
                b"acTL" => self.is_animated = true,
                b"eXIf" => self.orientation = orientation(chunk.body).unwrap_or(1),
                b"tEXt" => self.read_text(chunk.body),
                b"IEND" => return,
                _ => {}
            }
            at = chunk.end;
        }
    }

    fn read_text(&mut self, body: &[u8]) {
        let Some(end) = body.iter().position(|byte| *byte == 0) else { return };
        let text = &body[end + 1..];
        let text = String::from_utf8_lossy(&text[..text.len().min(MOST_TEXT)]);
        match &body[..end] {
            b"parameters" => {
                self.painted_by = Some("a web UI".to_owned());
                self.cfg = number_after(&text, "CFG scale: ");
            }
            b"prompt" | b"workflow" => {
                self.painted_by.get_or_insert("ComfyUI".to_owned());
                self.cfg = self.cfg.or_else(|| number_after(&text, "\"cfg\": "));
            }
            _ => {}
        }
    }

    fn read_jpeg(&mut self, bytes: &[u8]) {
        let mut at = 2;
        while let Some([0xff, marker, high, low]) = bytes.get(at..at + 4) {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if *marker == 0xda || length < 2 {
                return;
            }
            let Some(segment) = bytes.get(at + 4..at + 2 + length) else { return };
            if *marker == 0xe1
                && let Some(exif) = segment.strip_prefix(b"Exif\0\0")
            {
                self.orientation = orientation(exif).unwrap_or(1);
            }
            at += 2 + length;
        }
    }

    fn read_webp(&mut self, bytes: &[u8]) {
        let mut at = 12;
        while let Some(chunk) = riff_chunk(bytes, at) {
            match &chunk.name {
                b"ANIM" => self.is_animated = true,
                b"EXIF" => {
                    let body = chunk.body.strip_prefix(b"Exif\0\0").unwrap_or(chunk.body);
                    self.orientation = orientation(body).unwrap_or(1);
                }
                _ => {}
            }
            at = chunk.end;
        }
    }
}

/// A part of a file.
struct Chunk<'a> {
    name: [u8; 4],
    body: &'a [u8],
    /// Where the next one begins.
    end: usize,
}

/// The chunk of a PNG file that begins at `at`; `behind` bytes follow its body.
fn chunk(bytes: &[u8], at: usize, number: fn([u8; 4]) -> u32, behind: usize) -> Option<Chunk<'_>> {
    let length = number(*bytes.get(at..)?.first_chunk()?) as usize;
    let name = *bytes.get(at + 4..)?.first_chunk()?;
    let end = at.checked_add(8)?.checked_add(length)?;
    Some(Chunk { name, body: bytes.get(at + 8..end)?, end: end + behind })
}

/// The chunk of a RIFF file that begins at `at`.
fn riff_chunk(bytes: &[u8], at: usize) -> Option<Chunk<'_>> {
    let name = *bytes.get(at..)?.first_chunk()?;
    let length = u32::from_le_bytes(*bytes.get(at + 4..)?.first_chunk()?) as usize;
    let end = at.checked_add(8)?.checked_add(length)?;
    Some(Chunk { name, body: bytes.get(at + 8..end)?, end: end + length % 2 })
}

/// The orientation in a block of EXIF.
fn orientation(exif: &[u8]) -> Option<u8> {
    const ORIENTATION: u16 = 0x112;
    let is_little = exif.starts_with(b"II");
    let short = |at: usize| {
        let pair = *exif.get(at..)?.first_chunk()?;
        Some(if is_little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
    };
    let long = |at: usize| {
        let four = *exif.get(at..)?.first_chunk()?;
        Some(if is_little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) } as usize)
    };
    let directory = long(4)?;
    for entry in 0..usize::from(short(directory)?) {
        let at = directory.checked_add(2 + 12 * entry)?;
        if short(at)? == ORIENTATION {
            let value = short(at + 8)?;
            return u8::try_from(value).ok().filter(|value| (1..=8).contains(value));
        }
    }
    None
}

/// The number behind the first `words`, in hundredths.
fn number_after(text: &str, words: &str) -> Option<u32> {
    let start = text.find(words)? + words.len();
    let rest = &text[start..];
    let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
    let number: f64 = rest[..end].parse().ok()?;
    if number < 1000.0 { Some((number * 100.0).round() as u32) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png_chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32).to_be_bytes()[..], name, body, &[0; 4]].concat()
    }

    fn exif(value: u8) -> Vec<u8> {
        [&b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"[..], &[value, 0, 0, 0]].concat()
    }

    #[test]
    fn a_png_says_what_it_is() {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        file.extend(png_chunk(b"acTL", &[0; 8]));
        file.extend(png_chunk(b"eXIf", &exif(6)));
        file.extend(png_chunk(b"tEXt", b"parameters\0a cat\nSteps: 20, CFG scale: 7.5, Seed: 1"));
        let content = Content::of(&file);
        assert!(content.is_animated);
        assert_eq!((content.format.as_str(), content.orientation, content.cfg), ("png", 6, Some(750)));
        assert_eq!(content.painted_by.as_deref(), Some("a web UI"));
        for end in 0..file.len() {
            let _ = Content::of(&file[..end]);
        }
    }

    #[test]
    fn a_jpeg_that_lies_on_its_side() {
        let body = [&b"Exif\0\0"[..], &exif(8)].concat();
        let length = (body.len() + 2) as u16;
        let file = [&[0xff, 0xd8, 0xff, 0xe1][..], &length.to_be_bytes(), &body, &[0xff, 0xda, 0, 2]].concat();
        assert_eq!((Content::of(&file).orientation, Content::of(&file).format.as_str()), (8, "jpeg"));
        assert_eq!(Content::of(b"GIF89a").format, "");
    }
}
