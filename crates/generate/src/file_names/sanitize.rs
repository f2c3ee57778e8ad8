//! What a file system does not take in a name.

/// Most characters of a part of a name.
const LONGEST_PART: usize = 128;
/// Most bytes of a name: 255 is what most file systems take, less a number and a suffix.
const LONGEST_NAME: usize = 230;

/// What becomes of spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spaces {
    /// They stay.
    Kept,
    /// They become `_`.
    Replaced,
}

/// `text` as a part of a file's name: what Windows forbids becomes `_`, spaces at its beginning, and spaces and dots at
/// its end fall away, and it ends after 128 characters.
pub fn sanitize(text: &str, spaces: Spaces) -> String {
    let allowed = |symbol: char| match symbol {
        ' ' if spaces == Spaces::Replaced => '_',
        '#' | '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*' | '\n' | '\r' | '\t' => '_',
        other => other,
    };
    let text: String = text.chars().map(allowed).collect();
    let begin: String = text.trim_start_matches(' ').chars().take(LONGEST_PART).collect();
    begin.trim_end_matches([' ', '.']).to_owned()
}

/// A whole name without suffix that every system takes: not too long, no control characters, no device of Windows.
pub(super) fn whole_name(name: &str) -> String {
    let mut name: String = name.chars().map(|c| if c.is_control() { '_' } else { c }).collect();
    let mut end = name.len().min(LONGEST_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    let mut name = name.trim_end_matches([' ', '.']).to_owned();
    // Windows opens the device whatever follows the first dot.
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = ["COM", "LPT"].iter().any(|device| {
        stem.strip_prefix(device).is_some_and(|number| number.len() == 1 && number.as_bytes()[0].is_ascii_digit())
    });
    if numbered || ["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str()) {
        name.insert(0, '_');
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_name_opens_no_device_and_is_not_too_long() {
        assert_eq!(whole_name("con.a"), "_con.a");
        assert_eq!(whole_name("COM1"), "_COM1");
        assert_eq!(whole_name("COM"), "COM");
        assert_eq!(whole_name("a\u{7}b."), "a_b");
        let long = whole_name(&"猫".repeat(200));
        assert_eq!(long.chars().count(), LONGEST_NAME / 3);
    }
}
