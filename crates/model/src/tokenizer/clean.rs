//! What happens to a caption before it is split: ftfy's repairs, one space for any run of whitespace, lowercase.
//!
//! Follows ftfy 6.3.1 (`fix_text`, Robyn Speer), in its order: HTML entities, mojibake, C1 controls, Latin ligatures,
//! full and half width, curly quotes, terminal escapes, control characters, NFC, again until nothing changes. Line
//! breaks need no step of their own, since all whitespace ends as one space.
//!
//! **Where it stops short**: of mojibake, only lines that are Windows-1252 or Latin-1 misreadings of UTF-8 from end to
//! end are undone (`cafÃ©` to `café`), and only if two neighbours by themselves look wrong. ftfy also knows eight other
//! code pages, misreadings in a part of a line, and ones with characters lost; these stay as they are here. What ftfy
//! leaves alone is left alone here, too.

use unicode_normalization::UnicodeNormalization;

use super::entities::WINDOWS_1252;
use super::{entities, html};

/// For each two bytes from 0x80 on, a bit: ftfy's `is_bad` for their two characters in Windows-1252. Row = first byte,
/// 16 bytes a row, lowest bit first. Written by oracle/tokenizer.py.
const BAD_PAIRS: &[u8; 128 * 16] = include_bytes!("bad_pairs.bin");

/// Text ready for splitting into words.
pub fn clean(text: &str) -> String {
    let fixed = fix_text(text);
    fixed.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The same for OpenCLIP's tokenizer, which replaces HTML entities twice more.
pub fn clean_open_clip(text: &str) -> String {
    let fixed = html::unescape(&html::unescape(&fix_text(text)));
    fixed.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// ftfy works line by line, and takes entities for real HTML from the first line on that has a `<`.
fn fix_text(text: &str) -> String {
    let mut fixed = String::with_capacity(text.len());
    let mut unescape = true;
    for line in text.split_inclusive('\n') {
        unescape &= !line.contains('<');
        fixed += &fix_line(line, unescape);
    }
    fixed
}

/// Rounds after which a line is taken as it is. Each takes off a layer, such as the `amp;` of `&amp;lt;`; ftfy goes on
/// for as many as there are.
const MOST_ROUNDS: usize = 64;

fn fix_line(line: &str, unescape: bool) -> String {
    let mut text = line.to_owned();
    for _ in 0..MOST_ROUNDS {
        let mut fixed = if unescape { entities::unescape(&text) } else { text.clone() };
        while let Some(repaired) = undo_mojibake(&fixed) {
            fixed = repaired;
        }
        fixed = plain_characters(&fixed);
        fixed = without_terminal_escapes(&fixed);
        fixed.retain(|c| !is_unwanted_control(c));
        fixed = fixed.nfc().collect();
        if fixed == text {
            break;
        }
        text = fixed;
    }
    text
}

/// The text whose UTF-8 bytes were read as Latin-1 or Windows-1252, if `text` looks like it and all of it can be.
fn undo_mojibake(text: &str) -> Option<String> {
    if text.is_ascii() || !is_bad(text) {
        return None;
    }
    utf8_of(text, |c| u8::try_from(c).ok()).or_else(|| utf8_of(text, windows_1252_byte))
}

/// The text whose UTF-8 bytes are those of the characters of `text`, if each has one.
fn utf8_of(text: &str, byte: fn(char) -> Option<u8>) -> Option<String> {
    let bytes: Option<Vec<u8>> = text.chars().map(byte).collect();
    String::from_utf8(bytes?).ok()
}

/// Whether some character or pair of neighbours is hardly ever meant. A part of ftfy's test of the same name: what
/// needs more context than two characters is left out.
fn is_bad(text: &str) -> bool {
    // Bytes above 0x80 of neighbours, less 0x80.
    let mut previous: Option<usize> = None;
    for c in text.chars() {
        if matches!(c, '\u{80}'..='\u{9f}') {
            return true;
        }
        let high = windows_1252_byte(c).and_then(|byte| byte.checked_sub(0x80)).map(usize::from);
        if let (Some(a), Some(b)) = (previous, high)
            && BAD_PAIRS[16 * a + b / 8] >> (b % 8) & 1 == 1
        {
            return true;
        }
        previous = high;
    }
    false
}

/// The byte that a character has in Windows-1252.
fn windows_1252_byte(c: char) -> Option<u8> {
    if let Some(index) = WINDOWS_1252.iter().position(|&other| other == c) {
        return Some(0x80 + index as u8);
    }
    match u8::try_from(c) {
        Ok(byte) if !(0x80..0xa0).contains(&byte) => Some(byte),
        _ => None,
    }
}

/// C1 controls, ligatures, full and half width forms and curly quotes, each character by itself.
fn plain_characters(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if matches!(c, '\u{80}'..='\u{9f}') { WINDOWS_1252[c as usize - 0x80] } else { c };
        match ligature(c) {
            Some(letters) => out.extend(letters.chars().map(straight_quote)),
            None if matches!(c, '\u{3000}' | '\u{ff01}'..='\u{ffef}') => {
                out.extend(std::iter::once(c).nfkc().map(straight_quote));
            }
            None => out.push(straight_quote(c)),
        }
    }
    out
}

fn straight_quote(c: char) -> char {
    match c {
        '\u{2bc}' | '\u{2018}'..='\u{201b}' => '\'',
        '\u{201c}'..='\u{201f}' => '"',
        other => other,
    }
}

fn ligature(c: char) -> Option<&'static str> {
    Some(match c {
        'Ĳ' => "IJ",
        'ĳ' => "ij",
        'ŉ' => "ʼn",
        'Ǆ' => "DŽ",
        'ǅ' => "Dž",
        'ǆ' => "dž",
        'Ǉ' => "LJ",
        'ǈ' => "Lj",
        'ǉ' => "lj",
        'Ǌ' => "NJ",
        'ǋ' => "Nj",
        'ǌ' => "nj",
        'Ǳ' => "DZ",
        'ǲ' => "Dz",
        'ǳ' => "dz",
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        'ﬅ' => "ſt",
        'ﬆ' => "st",
        _ => return None,
    })
}

/// Drops ANSI sequences: ESC, `[`, digits and semicolons, a letter.
fn without_terminal_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        let (before, sequence) = rest.split_at(at);
        let parameters = sequence[2..].trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        out.push_str(before);
        rest = match parameters.strip_prefix(|c: char| c.is_ascii_alphabetic()) {
            Some(after) => after,
            None => {
                out.push('\u{1b}');
                &sequence[1..]
            }
        };
    }
    out + rest
}

/// Controls without any effect on the page: most of ASCII's, and a few of Unicode's.
fn is_unwanted_control(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}'
            | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffc}'
    )
}
