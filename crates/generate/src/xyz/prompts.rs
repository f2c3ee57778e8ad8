//! Prompts that vary: a word replaced, parts in another order.

use super::Rule;

/// A prompt and its negative prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompts {
    /// What the picture should show.
    pub prompt: String,
    /// What it should not show.
    pub negative_prompt: String,
}

/// Both prompts with `search` replaced by `value` wherever it stands, capital letters minded.
///
/// # Errors
/// When neither has it.
pub fn replace(prompts: &Prompts, search: &str, value: &str) -> Result<Prompts, String> {
    if !prompts.prompt.contains(search) && !prompts.negative_prompt.contains(search) {
        return Err(format!("`{search}` is in neither prompt; begin the list with a text that is, letter for letter"));
    }
    Ok(Prompts {
        prompt: prompts.prompt.replace(search, value),
        negative_prompt: prompts.negative_prompt.replace(search, value),
    })
}

/// The prompt with its `parts` in the order in which they are given, in the places where they stand.
///
/// # Errors
/// By the strict rule, when the prompt lacks a part. The web UI's result is odd then.
pub fn reorder(prompt: &str, parts: &[String], rule: Rule) -> Result<String, String> {
    let mut places: Vec<_> = parts.iter().map(|part| (prompt.find(part.as_str()), part)).collect();
    places.sort_by_key(|(place, _)| *place);
    if let (Some((None, part)), Rule::Strict) = (places.first(), rule) {
        return Err(format!("`{part}` is not in the prompt; name parts that are, letter for letter"));
    }
    let mut result = String::new();
    let mut rest = prompt;
    for ((_, found), next) in places.into_iter().zip(parts) {
        let (before, behind) = match rest.find(found.as_str()) {
            Some(at) => (&rest[..at], &rest[at + found.len()..]),
            // Python's −1 for "nowhere" counts from the end.
            None => {
                (&rest[..byte_of(rest, last(rest))], &rest[byte_of(rest, found.chars().count().saturating_sub(1))..])
            }
        };
        result.push_str(before);
        result.push_str(next);
        rest = behind;
    }
    Ok(result + rest)
}

/// Number of the last character.
fn last(text: &str) -> usize {
    text.chars().count().saturating_sub(1)
}

/// Where character number `index` begins.
fn byte_of(text: &str, index: usize) -> usize {
    text.char_indices().nth(index).map_or(text.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_missing_is_refused_by_the_strict_rule() {
        let parts = ["x".to_owned(), "missing".to_owned()];
        assert!(reorder("x", &parts, Rule::Strict).unwrap_err().starts_with("`missing` is not in the prompt; "));
        assert_eq!(reorder("x", &parts, Rule::WebUi).unwrap(), "xmissing");
        // Parts that lie in each other, and the same part twice.
        reorder("a cat", &["a".to_owned(), "a cat".to_owned()], Rule::WebUi).unwrap();
        reorder("é", &["é".to_owned(), "é".to_owned()], Rule::WebUi).unwrap();
    }
}
