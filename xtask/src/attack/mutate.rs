//! Inputs that nobody would make: a good file with some things wrong, drawn from a seed so that each can be made again.
//!
//! Formats that check themselves would refuse almost every change at once, so that nothing behind the check was reached.
//! Their lengths and checksums are put right after half of the changes.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// The longest input.
const LONGEST: usize = 1 << 20;
/// Numbers at which things change.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];
/// Words that mean something to one reader or another.
const WORDS: [&str; 32] = [
    "0",
    "-1",
    "1e400",
    "nan",
    "18446744073709551615",
    "99999999999",
    "null",
    "true",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "\\",
    "\\u0000",
    "\n",
    "\r\n",
    "\0",
    "\u{feff}",
    "\u{202e}",
    "\x1b[31m",
    "<lora:x:1>",
    "<",
    ":",
    "(a:1.3)",
    "&amp;",
    " --w 64",
    "[[",
    "..",
    "~/",
    "=",
];

/// One of `seeds`, changed.
pub fn mutated(seeds: &[Vec<u8>], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = seeds.choose(rng).cloned().unwrap_or_default();
    if rng.random_bool(0.3)
        && let Some(header) = header_of(&bytes)
    {
        let mut text = bytes[header.clone()].to_vec();
        change_some(&mut text, seeds, rng);
        let data = &bytes[header.end..];
        return [&(text.len() as u64).to_le_bytes()[..], &text, data].concat();
    }
    change_some(&mut bytes, seeds, rng);
    if rng.random_bool(0.5) {
        put_right(&mut bytes);
    }
    bytes
}

fn change_some(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut ChaCha8Rng) {
    let most = if rng.random_bool(0.5) { 1 } else { 8 };
    for _ in 0..rng.random_range(1..=most) {
        change(bytes, seeds, rng);
    }
    bytes.truncate(LONGEST);
}

/// One thing that is wrong.
fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut ChaCha8Rng) {
    let at = rng.random_range(0..=bytes.len());
    let end = (at + rng.random_range(1..=64)).min(bytes.len());
    match rng.random_range(0..10) {
        0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
        1 if at < bytes.len() => bytes[at] = rng.random(),
        2 => {
            bytes.drain(at..end);
        }
        3 => {
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        4 => {
            // A little that comes very often: what takes long for its size.
            let piece = bytes[at..end.min(at + 8)].to_vec();
            let times = rng.random_range(1..=LONGEST / 64) / piece.len().max(1);
            bytes.splice(at..at, piece.repeat(times));
        }
        5 => bytes.truncate(at),
        6 => {
            let word = WORDS.choose(rng).copied().unwrap_or_default();
            bytes.splice(at..at, word.bytes());
        }
        7 => edge(bytes, at, rng),
        8 => number(bytes, at, rng),
        _ => {
            let other = seeds.choose(rng).map(Vec::as_slice).unwrap_or_default();
            let from = rng.random_range(0..=other.len());
            let until = (from + rng.random_range(1..=256)).min(other.len());
            bytes.splice(at..end, other[from..until].iter().copied());
        }
    }
}

/// Writes a number from [`EDGES`] at `at`, in one of the sizes and orders of binary formats.
fn edge(bytes: &mut [u8], at: usize, rng: &mut ChaCha8Rng) {
    let number = EDGES.choose(rng).copied().unwrap_or_default();
    let size = [1, 2, 4, 8].choose(rng).copied().unwrap_or(1);
    let mut digits = number.to_le_bytes()[..size].to_vec();
    if rng.random_bool(0.5) {
        digits.reverse();
    }
    for (place, digit) in bytes.iter_mut().skip(at).zip(digits) {
        *place = digit;
    }
}

/// Replaces the first number in digits behind `at` by an unlikely one.
fn number(bytes: &mut Vec<u8>, at: usize, rng: &mut ChaCha8Rng) {
    let Some(start) = bytes.iter().skip(at).position(u8::is_ascii_digit).map(|offset| at + offset) else { return };
    let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let word = WORDS[..6].choose(rng).copied().unwrap_or_default();
    bytes.splice(start..start + length, word.bytes());
}

/// Where the header of a safetensors file is.
fn header_of(bytes: &[u8]) -> Option<std::ops::Range<usize>> {
    let length = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let end = usize::try_from(length).ok()?.checked_add(8)?;
    (bytes.get(8) == Some(&b'{') && end <= bytes.len()).then_some(8..end)
}

/// Corrects the checksums of a PNG or a zip file.
fn put_right(bytes: &mut [u8]) {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        put_png_right(bytes);
    } else if bytes.starts_with(b"PK\x03\x04") {
        put_zip_right(bytes);
    }
}

fn put_png_right(bytes: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = number_at(bytes, at, u32::from_be_bytes) {
        let end = at.saturating_add(8).saturating_add(length);
        let Some(checked) = bytes.get(at + 4..end) else { return };
        let checksum = crc32fast::hash(checked).to_be_bytes();
        let Some(place) = bytes.get_mut(end..end + 4) else { return };
        place.copy_from_slice(&checksum);
        at = end + 4;
    }
}

/// Corrects the checksums of entries that are stored as they are, in the directory and beside them.
fn put_zip_right(bytes: &mut [u8]) {
    const IN_DIRECTORY: [u8; 4] = *b"PK\x01\x02";
    let mut from = 0;
    while let Some(found) = bytes[from..].windows(4).position(|window| window == IN_DIRECTORY) {
        let at = from + found;
        from = at + 4;
        let (Some(size), Some(local)) =
            (number_at(bytes, at + 20, u32::from_le_bytes), number_at(bytes, at + 42, u32::from_le_bytes))
        else {
            return;
        };
        let name = bytes.get(local + 26..local + 28).map(|two| usize::from(two[0]) + 256 * usize::from(two[1]));
        let extra = bytes.get(local + 28..local + 30).map(|two| usize::from(two[0]) + 256 * usize::from(two[1]));
        let (Some(name), Some(extra)) = (name, extra) else { continue };
        let start = local + 30 + name + extra;
        let Some(content) = bytes.get(start..start.saturating_add(size)) else { continue };
        let checksum = crc32fast::hash(content).to_le_bytes();
        for place in [at + 16, local + 14] {
            if let Some(place) = bytes.get_mut(place..place + 4) {
                place.copy_from_slice(&checksum);
            }
        }
    }
}

fn number_at(bytes: &[u8], at: usize, read: fn([u8; 4]) -> u32) -> Option<usize> {
    Some(read(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?) as usize)
}

#[cfg(test)]
mod tests {
    use lorabake_recipe::seed::Seed;

    use super::*;

    #[test]
    fn an_input_can_be_made_again() {
        let seeds = vec![b"a penny, number 3".to_vec(), b"{}".to_vec()];
        let draw = |index| mutated(&seeds, &mut Seed(1).stream("attack", &[index]));
        assert_eq!(draw(5), draw(5));
        assert!((0..50).any(|index| draw(index) != draw(5)));
    }

    #[test]
    fn checksums_are_put_right() {
        let good = include_bytes!("../../../crates/data/tests/golden/images/sq_00.png");
        let mut png = good.to_vec();
        let end = png.len() - 4;
        png[end..].fill(0);
        put_right(&mut png);
        assert_eq!(png, good);
        let good = include_bytes!("../../../crates/weights/tests/golden/torch/zip.ckpt");
        let mut zip = good.to_vec();
        let entry = good.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        let checksum = entry + 16..entry + 20;
        zip[checksum.clone()].fill(0xee);
        put_right(&mut zip);
        assert_eq!(zip[checksum.clone()], good[checksum]);
    }

    #[test]
    fn a_header_keeps_its_length() {
        let good = include_bytes!("../../../crates/weights/tests/golden/peft/kohya.safetensors").to_vec();
        let data = good.len() - header_of(&good).unwrap().end;
        let mut of_good_length = 0;
        for index in 0..200 {
            let bytes = mutated(std::slice::from_ref(&good), &mut Seed(2).stream("attack", &[index]));
            of_good_length += usize::from(header_of(&bytes).is_some_and(|header| bytes.len() - header.end == data));
        }
        assert!(of_good_length > 40, "{of_good_length}");
    }
}
