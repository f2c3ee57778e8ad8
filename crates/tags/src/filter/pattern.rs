//! Texts with `*` and `?`, compared folded.

use crate::text::folded;

/// A text in which `*` stands for any letters, none too, and `?` for one letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    letters: Vec<char>,
}

impl Pattern {
    /// The pattern that a user wrote.
    pub fn new(text: &str) -> Self {
        Self { letters: folded(text).chars().collect() }
    }

    /// As it was written, folded.
    pub fn text(&self) -> String {
        self.letters.iter().collect()
    }

    /// Whether a folded text is as it says, as a whole.
    pub fn is(&self, text: &str) -> bool {
        matches(&self.letters, text)
    }

    /// Whether a part of a folded text is as it says.
    pub fn is_in(&self, text: &str) -> bool {
        let mut letters = vec!['*'];
        letters.extend(&self.letters);
        letters.push('*');
        matches(&letters, text)
    }

    /// The text, if nothing in it stands for something else.
    pub fn plain(&self) -> Option<String> {
        if self.letters.iter().any(|letter| ['*', '?'].contains(letter)) {
            None
        } else {
            Some(self.letters.iter().collect())
        }
    }
}

/// Goes back to the last `*` where it fails, so that a pattern costs its length times that of the text at most.
fn matches(pattern: &[char], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut at = 0;
    let mut read = 0;
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(letter) if *letter == '?' || *letter == text[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((place, from)) = star else { return false };
                star = Some((place, from + 1));
                at = place + 1;
                read = from + 1;
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_letters() {
        for (pattern, text) in [
            ("red boots", "red boots"),
            ("Red_Boots", "red boots"),
            ("*boots", "boots"),
            ("*boots", "red boots"),
            ("r?d*", "red"),
            ("*a*b*c*", "xxaxxbxxcxx"),
            ("?girl", "1girl"),
            ("*", ""),
        ] {
            assert!(Pattern::new(pattern).is(text), "{pattern} {text}");
        }
        for (pattern, text) in [("boots", "red boots"), ("?girl", "girl"), ("*a*b", "ab c"), ("", "a")] {
            assert!(!Pattern::new(pattern).is(text), "{pattern} {text}");
        }
        assert!(Pattern::new("boot").is_in("red boots") && !Pattern::new("bt").is_in("red boots"));
        // Not a matter of years.
        let slow = Pattern::new(&"*a".repeat(30));
        assert!(!slow.is(&format!("{}b", "a".repeat(5000))));
    }
}
