//! The field UserComment of EXIF, in which the web UI keeps its text.
//!
//! Source: the Exif standard, and the bytes that piexif writes: big-endian, `UNICODE` and UTF-16. Of what others write,
//! both byte orders, ASCII and UTF-8 are read.

/// Tag of the pointer from the first directory to EXIF's own.
const EXIF_DIRECTORY: u16 = 0x8769;
/// Tag of the comment.
const USER_COMMENT: u16 = 0x9286;
/// Bytes of a directory's entry.
const ENTRY: usize = 12;

/// EXIF with nothing but `text` as UserComment.
pub(super) fn of_text(text: &str) -> Vec<u8> {
    let mut comment = b"UNICODE\0".to_vec();
    comment.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
    let mut exif = b"MM\0\x2a\0\0\0\x08".to_vec();
    // Where EXIF's directory lies: behind this one of a single entry, which has a count before it and a link behind.
    let directory = exif.len() as u32 + 2 + ENTRY as u32 + 4;
    push_directory(&mut exif, EXIF_DIRECTORY, 4, [1, directory]);
    push_directory(&mut exif, USER_COMMENT, 7, [comment.len() as u32, directory + 2 + ENTRY as u32 + 4]);
    exif.extend(comment);
    exif
}

/// A directory of one entry; `what` is the count of its values, and the value or where they lie.
fn push_directory(exif: &mut Vec<u8>, tag: u16, kind: u16, what: [u32; 2]) {
    exif.extend(1_u16.to_be_bytes());
    exif.extend(tag.to_be_bytes());
    exif.extend(kind.to_be_bytes());
    exif.extend(what.into_iter().flat_map(u32::to_be_bytes));
    exif.extend([0; 4]);
}

/// The UserComment in EXIF, with or without its name before it; `None` if there is none, or the bytes are broken.
pub(super) fn text_of(bytes: &[u8]) -> Option<String> {
    let tiff = Tiff::new(bytes.strip_prefix(b"Exif\0\0").unwrap_or(bytes))?;
    let first = tiff.long(4)?;
    let directory = tiff.entry(first as usize, EXIF_DIRECTORY)?.value;
    let comment = tiff.entry(directory as usize, USER_COMMENT)?;
    let place = if comment.count <= 4 { comment.at + 8 } else { comment.value as usize };
    let content = tiff.bytes.get(place..place.checked_add(comment.count as usize)?)?;
    Some(decode(content, tiff.big_endian))
}

/// The text of a comment, whose first eight bytes name its encoding.
fn decode(content: &[u8], big_endian: bool) -> String {
    let Some((name, words)) = content.split_at_checked(8) else {
        return String::from_utf8_lossy(content).into_owned();
    };
    let text = match name {
        b"UNICODE\0" => utf16(words, big_endian),
        b"ASCII\0\0\0" | [0, 0, 0, 0, 0, 0, 0, 0] => String::from_utf8_lossy(words).into_owned(),
        _ => String::from_utf8_lossy(content).into_owned(),
    };
    text.trim_end_matches('\0').to_owned()
}

/// UTF-16 by its byte order mark, else by where its zeros are: piexif writes big-endian in files that are little-endian.
fn utf16(bytes: &[u8], big_endian: bool) -> String {
    let pairs = bytes.as_chunks::<2>().0;
    let high_first = pairs.iter().filter(|pair| pair[0] == 0 && pair[1] != 0).count();
    let low_first = pairs.iter().filter(|pair| pair[1] == 0 && pair[0] != 0).count();
    let big = match pairs.first() {
        Some([0xfe, 0xff]) => true,
        Some([0xff, 0xfe]) => false,
        _ if high_first != low_first => high_first > low_first,
        _ => big_endian,
    };
    let unit = |pair: &[u8; 2]| if big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) };
    let units: Vec<u16> = pairs.iter().map(unit).collect();
    String::from_utf16_lossy(&units).trim_start_matches('\u{feff}').to_owned()
}

/// The container of EXIF.
struct Tiff<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

/// An entry of a directory.
struct Entry {
    /// Where it begins.
    at: usize,
    count: u32,
    /// The value, or where the values lie if four bytes do not hold them.
    value: u32,
}

impl<'a> Tiff<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        match bytes.get(..4)? {
            b"MM\0\x2a" => Some(Self { bytes, big_endian: true }),
            b"II\x2a\0" => Some(Self { bytes, big_endian: false }),
            _ => None,
        }
    }

    fn short(&self, at: usize) -> Option<u16> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn long(&self, at: usize) -> Option<u32> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// The entry `tag` of the directory at `directory`.
    fn entry(&self, directory: usize, tag: u16) -> Option<Entry> {
        let count = self.short(directory)?;
        for index in 0..usize::from(count) {
            let at = directory + 2 + index * ENTRY;
            if self.short(at)? == tag {
                return Some(Entry { at, count: self.long(at + 4)?, value: self.long(at + 8)? });
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `piexif.dump({"Exif": {UserComment: UserComment.dump("aé", "unicode")}})` gives, without its name.
    const PIEXIF: &[u8] = b"MM\0\x2a\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x1a\0\0\0\0\
        \0\x01\x92\x86\0\x07\0\0\0\x0c\0\0\0\x2c\0\0\0\0UNICODE\0\0a\0\xe9";

    #[test]
    fn the_bytes_are_those_of_piexif() {
        assert_eq!(of_text("aé"), PIEXIF);
        for text in ["", "a", "aé 猫 🐱"] {
            assert_eq!(text_of(&of_text(text)).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_others_write_is_read() {
        let with = |name: &[u8], words: &[u8]| {
            let content = [name, words].concat();
            let mut exif = b"II\x2a\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0".to_vec();
            exif.extend(b"\x01\0\x86\x92\x07\0");
            exif.extend((content.len() as u32).to_le_bytes());
            exif.extend(b"\x2c\0\0\0\0\0\0\0");
            exif.extend(content);
            text_of(&[b"Exif\0\0", exif.as_slice()].concat()).unwrap()
        };
        assert_eq!(with(b"UNICODE\0", b"a\0b\0"), "ab");
        assert_eq!(with(b"UNICODE\0", b"\0a\0b"), "ab");
        assert_eq!(with(b"UNICODE\0", b"\xff\xfea\0"), "a");
        assert_eq!(with(b"ASCII\0\0\0", b"ab\0"), "ab");
        assert_eq!(with(b"a cat, ", "größer".as_bytes()), "a cat, größer");
    }

    #[test]
    fn broken_bytes_are_no_text() {
        for end in 0..PIEXIF.len() {
            assert_eq!(text_of(&PIEXIF[..end]), None);
            let mut wrong = PIEXIF.to_vec();
            wrong[end] ^= 0xff;
            text_of(&wrong);
        }
    }
}
