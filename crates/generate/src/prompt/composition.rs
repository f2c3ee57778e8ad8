//! `AND`: several prompts that guide one picture, each with a weight (the web UI's `prompt_parser.py`).

use super::characters::{decimal, digit, is_space, is_word};

/// One prompt of a composition.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its text, with the white space in front of it.
    pub text: String,
    /// What its guidance is multiplied by; 1 unless it ends in `:NUMBER`. May be negative.
    pub weight: f64,
}

/// Splits `text` at the word `AND`, also inside brackets; there is always one part at least.
///
/// A `:NUMBER` at the end of a part is its weight, also where there is no `AND`. For positive prompts only.
///
/// ```
/// use lorabake_generate::prompt::composition::parts;
///
/// assert_eq!(parts("a cat AND a dog :0.5")[1].weight, 0.5);
/// ```
pub fn parts(text: &str) -> Vec<Part> {
    split(text, "AND").into_iter().map(part).collect()
}

/// `text` between the places where `word` stands as a word.
pub(super) fn split<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let mut pieces = Vec::new();
    let mut begin = 0;
    for (start, _) in text.match_indices(word) {
        let end = start + word.len();
        if !text[..start].ends_with(is_word) && !text[end..].starts_with(is_word) {
            pieces.push(&text[begin..start]);
            begin = end;
        }
    }
    pieces.push(&text[begin..]);
    pieces
}

fn part(text: &str) -> Part {
    let text = text.trim_end_matches(is_space);
    if let Some((before, number)) = text.rsplit_once(':')
        && let Some(weight) = weight(number.trim_start_matches(is_space))
    {
        return Part { text: before.trim_end_matches(is_space).to_owned(), weight };
    }
    Part { text: text.to_owned(), weight: 1.0 }
}

/// A number that ends or contains a point at most once and has a digit.
fn weight(text: &str) -> Option<f64> {
    if !text.chars().any(|c| digit(c).is_some()) {
        return None;
    }
    decimal(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_needs_a_number_at_the_very_end() {
        for (text, plain, weight) in [
            ("a:1.", "a", 1.0),
            ("a:1e2", "a:1e2", 1.0),
            ("a:1:2", "a:1", 2.0),
            ("a:.", "a:.", 1.0),
            (" \n ", "", 1.0),
            ("a\n:\u{661}", "a", 1.0),
        ] {
            assert_eq!(parts(text), [Part { text: plain.to_owned(), weight }], "{text}");
        }
    }

    #[test]
    fn a_word_has_bounds_in_every_script() {
        assert_eq!(parts("猫AND犬").len(), 1);
        assert_eq!(parts("猫。AND。犬").len(), 2);
        assert_eq!(parts("ANDAND AND").len(), 2);
    }
}
