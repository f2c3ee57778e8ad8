//! Characters in the classes of Python's `re`, by which the web UI reads prompts.

/// White space, Python's `\s`.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// A letter, digit or underscore, Python's `\w`.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The value of a decimal digit of any script, Python's `\d`.
pub(super) fn digit(c: char) -> Option<u32> {
    if c.is_ascii() {
        return c.to_digit(10);
    }
    let code = u32::from(c);
    let block = ZEROS.partition_point(|zero| *zero <= code).checked_sub(1)?;
    let value = code - ZEROS[block];
    if value < 10 { Some(value) } else { None }
}

/// A signed decimal number without exponent in digits of any script; `None` if `text` is none, as `1.2.3`.
pub(super) fn decimal(text: &str) -> Option<f64> {
    let mut ascii = String::with_capacity(text.len());
    for (index, c) in text.chars().enumerate() {
        match digit(c) {
            Some(value) => ascii.push(char::from_digit(value, 10)?),
            None if c == '.' || (index == 0 && (c == '-' || c == '+')) => ascii.push(c),
            None => return None,
        }
    }
    ascii.parse().ok()
}

/// `text` without the white space at its ends.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Code points of the digit zero of every script but ASCII's (Unicode category Nd), ascending.
const ZEROS: [u32; 65] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20,
    0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0,
    0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0,
    0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0,
    0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_digits_of_every_script() {
        for (text, value) in [
            ("1.5", Some(1.5)),
            ("-.5", Some(-0.5)),
            ("+2.", Some(2.0)),
            ("\u{661}.\u{662}", Some(1.2)),
            ("\u{ff11}", Some(1.0)),
            (".", None),
            ("1.2.3", None),
            ("1e2", None),
            ("+-1", None),
            ("", None),
        ] {
            assert_eq!(decimal(text), value, "{text}");
        }
        assert_eq!(digit('\u{665}'), Some(5));
        assert_eq!(digit('²'), None);
    }
}
