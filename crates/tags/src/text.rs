//! Tags as text: how a caption is split, and when two tags are the same.
//!
//! A caption is split as sd-scripts' `process_caption` splits it: at the separator, each part stripped.

/// What stands between the tags of a caption unless something else is asked for.
pub const SEPARATOR: &str = ",";

/// Most bytes of a caption file, as in training.
pub const MOST_BYTES: u64 = 64 << 10;

/// Words of a part of a caption beyond which it is no tag.
const MOST_WORDS: usize = 6;

/// A tag in the form in which tags are compared: lower case, `_` as a space, single spaces, none around it. Never
/// written anywhere.
pub fn folded(tag: &str) -> String {
    let mut folded = String::with_capacity(tag.len());
    for word in tag.split(|letter: char| letter == '_' || letter.is_whitespace()) {
        if word.is_empty() {
            continue;
        }
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.extend(word.chars().flat_map(char::to_lowercase));
    }
    // `_` alone is a tag too.
    if folded.is_empty() { tag.trim().to_owned() } else { folded }
}

/// Whether two tags are the same but for case, `_` and spaces.
pub fn same(one: &str, other: &str) -> bool {
    folded(one) == folded(other)
}

/// The tags of a caption as a trainer splits it, stripped, empty ones left out; as the user has them. An empty separator
/// leaves the caption whole.
pub fn tags_of<'a>(caption: &'a str, separator: &str) -> Vec<&'a str> {
    let mut tags = parts_of(caption, separator);
    for tag in &mut tags {
        *tag = tag.trim();
    }
    tags.retain(|tag| !tag.is_empty());
    tags
}

/// The parts of a caption between separators, not stripped.
pub(crate) fn parts_of<'a>(caption: &'a str, separator: &str) -> Vec<&'a str> {
    if separator.is_empty() { vec![caption] } else { caption.split(separator).collect() }
}

/// Whether a part of a caption is a piece of prose and no tag: it has more than 6 words, or ends as a sentence does.
pub fn is_prose(part: &str) -> bool {
    let part = part.trim();
    let words = part.split_whitespace().count();
    // `._.` is a face.
    let is_sentence = part.ends_with('.') && part.chars().any(char::is_alphabetic);
    words > MOST_WORDS || is_sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_without_case_and_underscores() {
        for (one, other) in [
            ("Red_Boots ", " red boots"),
            ("red  boots", "red boots"),
            ("ÉTÉ", "été"),
            ("^_^", "^ ^"),
            ("_", "_"),
            ("1girl", "1Girl"),
        ] {
            assert!(same(one, other), "{one} {other}");
        }
        for (one, other) in [("redboots", "red boots"), ("red-boots", "red boots"), ("", "_")] {
            assert!(!same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn a_caption_is_split_as_the_trainer_splits_it() {
        assert_eq!(tags_of(" penny,1girl ,, red_hat (x, y), ", ","), ["penny", "1girl", "red_hat (x", "y)"]);
        assert_eq!(tags_of("a; b, c", ";"), ["a", "b, c"]);
        assert_eq!(tags_of("a, b", ""), ["a, b"]);
        assert!(tags_of("  ", ",").is_empty());
    }

    #[test]
    fn prose_is_told_from_tags() {
        for prose in ["a girl walks on a flower field", "Penny smiles.", "standing."] {
            assert!(is_prose(prose), "{prose}");
        }
        for tag in
            ["red boots", "._.", "looking at viewer", "hand on own hip", "a_very_long_tag_of_one_word_only_here", ""]
        {
            assert!(!is_prose(tag), "{tag}");
        }
    }
}
