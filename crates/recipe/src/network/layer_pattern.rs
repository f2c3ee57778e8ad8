//! Patterns for the paths of layers, as LyCORIS' presets have them: names, regular expressions, shell patterns.

use regex_lite::{Regex, RegexBuilder};

/// A pattern for whole paths such as `mid_block.attentions.0.proj_in`, or `middle_block.1.proj_in` with SDXL.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// As it was written.
    pub(crate) text: String,
    form: Form,
}

/// How a pattern is matched.
#[derive(Debug, Clone)]
enum Form {
    /// Only what the text itself says.
    Name,
    /// A letter after the other from the start of the path; `None` is any letter. Most patterns are names.
    Letters(Vec<Option<char>>),
    /// Anything else.
    Regex(Regex),
}

/// Largest regular expression once it is read, in bytes. All layers of a model are matched with it, which takes the
/// longer the larger it is: 0.1 s for the 800 of SDXL with this much.
const LARGEST_REGEX: usize = 1 << 18;
/// What a short expression costs at the least, since repetitions are short to write.
const LEAST_COST: usize = 128;

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    /// A regular expression that has to match from the start of the path, as Python's `re.match` has it.
    pub(crate) fn regex(text: &str) -> Result<Self, String> {
        let form = match letters(text) {
            Some(letters) => Form::Letters(letters),
            None => Form::Regex(regex(text, &format!("^(?:{text})"))?),
        };
        Ok(Self { text: text.into(), form })
    }

    /// A shell pattern for the whole path, as Python's `fnmatch` has it; `[…]` is not supported.
    pub(crate) fn shell(text: &str) -> Result<Self, String> {
        if !text.contains(['*', '?']) {
            return Ok(Self { text: text.into(), form: Form::Name });
        }
        let escaped: String = text
            .chars()
            .map(|c| match c {
                '*' => ".*".to_string(),
                '?' => ".".to_string(),
                c => regex_lite::escape(&c.to_string()),
            })
            .collect();
        Ok(Self { text: text.into(), form: Form::Regex(regex(text, &format!("^(?:{escaped})$"))?) })
    }

    /// Whether it matches a layer's path.
    pub fn matches(&self, path: &str) -> bool {
        if self.text == path {
            return true;
        }
        match &self.form {
            Form::Letters(letters) => {
                let mut found = path.chars();
                letters.iter().all(|letter| found.next().is_some_and(|own| letter.is_none_or(|letter| letter == own)))
            }
            Form::Name => false,
            Form::Regex(regex) => regex.is_match(path),
        }
    }

    /// Bytes of what has to be tried on every layer letter by letter: none of a name.
    pub(crate) fn cost(&self) -> usize {
        match &self.form {
            Form::Name | Form::Letters(_) => 0,
            Form::Regex(_) => self.text.len().max(LEAST_COST),
        }
    }
}

/// The letters of a regular expression that is a name: letters, digits, `_`, `-`, dots and escaped dots.
fn letters(text: &str) -> Option<Vec<Option<char>>> {
    let mut letters = Vec::new();
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '.' => letters.push(None),
            '\\' if rest.next() == Some('.') => letters.push(Some('.')),
            '_' | '-' => letters.push(Some(letter)),
            _ if letter.is_ascii_alphanumeric() => letters.push(Some(letter)),
            _ => return None,
        }
    }
    Some(letters)
}

/// The expression that stands for the pattern `text`, unless it is too large to be matched with every layer.
fn regex(text: &str, expression: &str) -> Result<Regex, String> {
    let told = &text[..text.floor_char_boundary(100)];
    let regex = RegexBuilder::new(expression).size_limit(LARGEST_REGEX).build();
    regex.map_err(|error| format!("`{told}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_as_the_expressions_that_they_are() {
        let path = "mid_block.attentions.0.proj_in";
        for (text, expected) in [
            ("mid_block", true),
            (r"mid_block\.attentions", true),
            ("mid.block.attentions.0", true),
            ("attentions", false),
            ("mid_block.attentions.0.proj_in.", false),
            ("mid_block.*proj_in", true),
            ("", true),
        ] {
            assert_eq!(Pattern::regex(text).unwrap().matches(path), expected, "{text}");
            let whole = Regex::new(&format!("^(?:{text})")).unwrap();
            assert_eq!(whole.is_match(path), expected, "{text}, as an expression");
        }
    }
}
