//! HTML entities in captions (`&amp;` from a scraped tag list), by ftfy's rules: only those that end in `;`, and names
//! of letters and common symbols also in capitals (`&EACUTE;`).

use std::collections::HashMap;
use std::sync::LazyLock;

/// A name and its hexadecimal code points in each line: HTML5's names with `;`, and ftfy's capitals. Written by
/// oracle/tokenizer.py.
const NAMES: &str = include_str!("entities.txt");

/// Windows-1252 from 0x80 to 0x9F. The five unassigned bytes keep their Latin-1 meaning, as in browsers.
pub(super) const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The longest name or number that is looked at.
const LONGEST: usize = 24;

/// Replaces what is an entity beyond doubt.
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(body) = body(rest)
            && let Some(characters) = replacement(body)
        {
            out.push_str(&characters);
            rest = &rest["&".len() + body.len() + ";".len()..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out + rest
}

/// What stands between the `&` at the beginning of `entity` and the next `;`.
fn body(entity: &str) -> Option<&str> {
    let length = entity.bytes().skip(1).take("#".len() + LONGEST + ";".len()).position(|byte| byte == b';')?;
    let body = &entity[1..1 + length];
    let name = body.strip_prefix('#').unwrap_or(body);
    let fits = (1..=LONGEST).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
    if fits { Some(body) } else { None }
}

/// The characters that an entity stands for.
fn replacement(body: &str) -> Option<String> {
    match body.strip_prefix('#') {
        Some(number) => numbered(number),
        None => named(body),
    }
}

/// The characters that a name stands for.
pub fn named(name: &str) -> Option<String> {
    static BY_NAME: LazyLock<HashMap<&str, String>> = LazyLock::new(by_name);
    BY_NAME.get(name).cloned()
}

/// The character of a number as HTML5 reads it: C1 controls are of Windows-1252, bad numbers become U+FFFD, what is no
/// character vanishes.
pub fn character(code: u32) -> String {
    match code {
        0 | 0xd800..=0xdfff | 0x11_0000.. => "\u{fffd}".to_owned(),
        0x80..=0x9f => WINDOWS_1252[code as usize - 0x80].to_string(),
        1..=8 | 0xb | 0xe..=0x1f | 0x7f | 0xfdd0..=0xfdef => String::new(),
        code if code & 0xfffe == 0xfffe => String::new(),
        code => char::from_u32(code).map(String::from).unwrap_or_default(),
    }
}

/// The characters of each name in [`NAMES`].
fn by_name() -> HashMap<&'static str, String> {
    let mut characters = HashMap::new();
    for line in NAMES.lines() {
        let (name, codes) = line.split_once(' ').expect("entities.txt: two columns");
        let mut text = String::new();
        for code in codes.split('+') {
            let code = u32::from_str_radix(code, 16).expect("entities.txt: a hexadecimal number");
            text.push(char::from_u32(code).expect("entities.txt: a code point"));
        }
        characters.insert(name, text);
    }
    characters
}

/// A numeric reference as HTML5 reads it: bad numbers become U+FFFD, noncharacters vanish.
fn numbered(number: &str) -> Option<String> {
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(hex) => (hex, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    // At most 24 digits: always fits.
    let code = u128::from_str_radix(digits, radix).ok()?;
    let c = match u32::try_from(code).ok().and_then(char::from_u32) {
        None | Some('\0') => '\u{fffd}',
        Some(c) => c,
    };
    match c {
        // ftfy takes a `;` in the result for a reference that was not used up.
        ';' => None,
        '\u{fdd0}'..='\u{fdef}' => Some(String::new()),
        c if c as u32 & 0xfffe == 0xfffe => Some(String::new()),
        // C1 controls are read as Windows-1252 in any case, by the step after next.
        c => Some(c.to_string()),
    }
}
