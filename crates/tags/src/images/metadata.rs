//! What an image file says beside its pixels, taken over as it is into a file that is written anew: texts, colours and
//! resolution of a PNG (XMP lies in its texts), XMP, IPTC and comments of a JPEG, XMP of a WebP. EXIF and colour profiles are
//! the decoder's.
//!
//! Sources: PNG (ISO/IEC 15948), JPEG (ITU-T T.81), Adobe's "XMP Specification Part 3", WebP (RFC 9649).

/// Chunks of PNG that are taken over: texts, how colours are meant, and pixels per metre.
const PNG_CHUNKS: [&[u8; 4]; 7] = [b"tEXt", b"zTXt", b"iTXt", b"gAMA", b"cHRM", b"sRGB", b"pHYs"];
/// The bytes of a PNG before its first chunk.
const PNG_BEGIN: usize = 8;
/// The bytes of a chunk beside its content: length, name, sum.
const PNG_CHUNK: usize = 12;
/// The first chunk of a PNG, whole.
const PNG_HEADER: usize = PNG_CHUNK + 13;

/// What begins segments of a JPEG that are taken over: XMP, its continuation, and what Photoshop writes (IPTC).
const SEGMENTS: [(u8, &[u8]); 3] = [
    (0xe1, b"http://ns.adobe.com/xap/1.0/\0"),
    (0xe1, b"http://ns.adobe.com/xmp/extension/\0"),
    (0xed, b"Photoshop 3.0\0"),
];
const COMMENT: u8 = 0xfe;
const BEGIN_OF_SCAN: u8 = 0xda;

/// A RIFF file's head, and what says that it is WebP.
const RIFF_HEAD: usize = 12;
const RIFF_CHUNK: usize = 8;
const EXTENDED: &[u8] = b"VP8X";
const EXTENDED_LENGTH: usize = 10;
const HAS_XMP: u8 = 0x04;
const HAS_ALPHA: u8 = 0x10;

/// Puts what the PNG `from` says beside its pixels into the PNG `to`.
pub(super) fn into_png(from: &[u8], to: &mut Vec<u8>) {
    let mut kept = Vec::new();
    let mut rest = from.get(PNG_BEGIN..).unwrap_or_default();
    while let Some([a, b, c, d, name @ ..]) = rest.first_chunk::<8>() {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let Some(chunk) = rest.get(..PNG_CHUNK.saturating_add(length)) else { break };
        if PNG_CHUNKS.contains(&name) {
            kept.extend_from_slice(chunk);
        }
        rest = &rest[chunk.len()..];
    }
    let place = (PNG_BEGIN + PNG_HEADER).min(to.len());
    to.splice(place..place, kept);
}

/// A segment of a JPEG's head.
struct Segment<'a> {
    marker: u8,
    /// With marker and length.
    whole: &'a [u8],
}

/// The segments before the pixels of a JPEG.
fn segments(file: &[u8]) -> Vec<Segment<'_>> {
    let mut list = Vec::new();
    let mut rest = file.get(2..).unwrap_or_default();
    while let Some([0xff, marker, a, b]) = rest.first_chunk() {
        if *marker == 0xff {
            // Bytes that fill up.
            rest = &rest[1..];
            continue;
        }
        let Some(whole) = rest.get(..2 + usize::from(u16::from_be_bytes([*a, *b]))) else { break };
        if *marker == BEGIN_OF_SCAN || whole.len() < 4 {
            break;
        }
        list.push(Segment { marker: *marker, whole });
        rest = &rest[whole.len()..];
    }
    list
}

/// Puts XMP, IPTC and comments of the JPEG `from` into the JPEG `to`, behind the other segments of applications.
pub(super) fn into_jpeg(from: &[u8], to: &mut Vec<u8>) {
    let mut kept = Vec::new();
    for Segment { marker, whole } in segments(from) {
        let is_known = SEGMENTS.iter().any(|(known, begin)| *known == marker && whole[4..].starts_with(begin));
        if is_known || marker == COMMENT {
            kept.extend_from_slice(whole);
        }
    }
    let mut place = 2;
    for Segment { marker, whole } in segments(to) {
        if !(0xe0..=0xef).contains(&marker) {
            break;
        }
        place += whole.len();
    }
    let place = place.min(to.len());
    to.splice(place..place, kept);
}

/// The content of a chunk of a WebP.
fn webp_chunk<'a>(file: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = file.get(RIFF_HEAD..)?;
    loop {
        let [own @ .., a, b, c, d] = rest.first_chunk::<RIFF_CHUNK>()?;
        let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        let content = rest.get(RIFF_CHUNK..RIFF_CHUNK.checked_add(length)?)?;
        if own == name {
            return Some(content);
        }
        rest = rest.get(RIFF_CHUNK + length + length % 2..)?;
    }
}

/// Puts the XMP of the WebP `from` into the WebP `to`, an image of this size.
pub(super) fn into_webp(from: &[u8], to: &mut Vec<u8>, size: (u32, u32)) {
    let Some(xmp) = webp_chunk(from, b"XMP ") else { return };
    let side = |length: u32| (length.saturating_sub(1)).to_le_bytes();
    if to.get(RIFF_HEAD..RIFF_HEAD + 4) != Some(EXTENDED) {
        // Where an image has no such chunk, its own says whether there is alpha: the bit behind two sides of 14 bits.
        let has_alpha = webp_chunk(to, b"VP8L").and_then(|own| own.get(4)).is_some_and(|byte| byte & 0x10 != 0);
        let mut head = [EXTENDED, &(EXTENDED_LENGTH as u32).to_le_bytes()].concat();
        head.extend([if has_alpha { HAS_ALPHA } else { 0 }, 0, 0, 0]);
        head.extend(&side(size.0)[..3]);
        head.extend(&side(size.1)[..3]);
        to.splice(RIFF_HEAD..RIFF_HEAD, head);
    }
    to[RIFF_HEAD + RIFF_CHUNK] |= HAS_XMP;
    to.extend_from_slice(b"XMP ");
    to.extend((xmp.len() as u32).to_le_bytes());
    to.extend_from_slice(xmp);
    if xmp.len() % 2 == 1 {
        to.push(0);
    }
    let length = (to.len() - RIFF_CHUNK) as u32;
    to[4..RIFF_CHUNK].copy_from_slice(&length.to_le_bytes());
}
