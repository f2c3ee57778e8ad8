//! HTML entities as Python's `html.unescape` reads them, which OpenCLIP's tokenizer applies twice: also without `;`, and
//! wherever they stand.

use super::entities;

/// The longest name that is looked at, as in Python.
const LONGEST: usize = 32;

/// The names that HTML5 also knows without `;`.
const BARE: [&str; 106] = [
    "AElig", "AMP", "Aacute", "Acirc", "Agrave", "Aring", "Atilde", "Auml", "COPY", "Ccedil", "ETH", "Eacute", "Ecirc",
    "Egrave", "Euml", "GT", "Iacute", "Icirc", "Igrave", "Iuml", "LT", "Ntilde", "Oacute", "Ocirc", "Ograve", "Oslash",
    "Otilde", "Ouml", "QUOT", "REG", "THORN", "Uacute", "Ucirc", "Ugrave", "Uuml", "Yacute", "aacute", "acirc",
    "acute", "aelig", "agrave", "amp", "aring", "atilde", "auml", "brvbar", "ccedil", "cedil", "cent", "copy",
    "curren", "deg", "divide", "eacute", "ecirc", "egrave", "eth", "euml", "frac12", "frac14", "frac34", "gt",
    "iacute", "icirc", "iexcl", "igrave", "iquest", "iuml", "laquo", "lt", "macr", "micro", "middot", "nbsp", "not",
    "ntilde", "oacute", "ocirc", "ograve", "ordf", "ordm", "oslash", "otilde", "ouml", "para", "plusmn", "pound",
    "quot", "raquo", "reg", "sect", "shy", "sup1", "sup2", "sup3", "szlig", "thorn", "times", "uacute", "ucirc",
    "ugrave", "uml", "uuml", "yacute", "yen", "yuml",
];

/// Replaces every entity once.
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match entity(rest) {
            Some(Entity { characters, length }) => {
                out.push_str(&characters);
                rest = &rest[length..];
            }
            None => out.push('&'),
        }
    }
    out + rest
}

/// What an entity stands for, and the bytes that it takes behind its `&`.
struct Entity {
    characters: String,
    length: usize,
}

/// The entity whose `&` stands before `text`.
fn entity(text: &str) -> Option<Entity> {
    if let Some(number) = text.strip_prefix('#') {
        return numbered(number);
    }
    let is_name = |c: char| !matches!(c, '\t' | '\n' | '\u{c}' | ' ' | '<' | '&' | '#' | ';');
    let mut length = 0;
    for c in text.chars().take(LONGEST).take_while(|c| is_name(*c)) {
        length += c.len_utf8();
    }
    let name = &text[..length];
    if text[length..].starts_with(';')
        && let Some(characters) = entities::named(name)
    {
        return Some(Entity { characters, length: length + 1 });
    }
    // The longest beginning that is a name by itself.
    let mut longest: Option<&str> = None;
    for bare in BARE {
        if name.starts_with(bare) && longest.is_none_or(|known| known.len() < bare.len()) {
            longest = Some(bare);
        }
    }
    let bare = longest?;
    Some(Entity { characters: entities::named(bare)?, length: bare.len() })
}

/// A numeric reference; `number` begins behind the `#`.
fn numbered(number: &str) -> Option<Entity> {
    let hexadecimal = number.starts_with(['x', 'X']);
    let radix = if hexadecimal { 16 } else { 10 };
    let start = usize::from(hexadecimal);
    let digits = number[start..].chars().take_while(|c| c.is_digit(radix)).count();
    if digits == 0 {
        return None;
    }
    let end = start + digits;
    let semicolon = usize::from(number[end..].starts_with(';'));
    // More digits than any character has are no character, like numbers beyond the last one.
    let code = u32::from_str_radix(&number[start..end], radix).unwrap_or(u32::MAX);
    Some(Entity { characters: entities::character(code), length: "#".len() + end + semicolon })
}

#[cfg(test)]
mod tests {
    use super::unescape;

    /// Values of Python 3.12's `html.unescape`.
    #[test]
    fn entities_are_those_of_python() {
        for (text, plain) in [
            ("&amp;lt; a &lt b", "&lt; a < b"),
            ("&notit; &copyright", "¬it; ©right"),
            ("&#65;&#x42 &#0; &#128; &#99999999999999999999;", "AB \u{fffd} € \u{fffd}"),
            ("& &; &# &#x; &unknown; a&b", "& &; &# &#x; &unknown; a&b"),
            ("&ampamp;", "&amp;"),
            ("&hearts;&日本", "♥&日本"),
        ] {
            assert_eq!(unescape(text), plain, "{text}");
        }
    }
}
