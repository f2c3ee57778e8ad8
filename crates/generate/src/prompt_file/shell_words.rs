//! A line's words as a POSIX shell takes them apart (Python's `shlex.split`): spaces separate, quotation marks keep them.

/// The words of `line`.
///
/// # Errors
/// What is left open at the end.
pub(super) fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut symbols = line.chars();
    while let Some(symbol) = symbols.next() {
        match symbol {
            c if c.is_whitespace() => words.extend(word.take()),
            '\\' => {
                let next = symbols.next().ok_or("a backslash at its end")?;
                word.get_or_insert_default().push(next);
            }
            '\'' | '"' => quoted(symbol, &mut symbols, word.get_or_insert_default())?,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Takes what stands before the next `mark`. In double ones a backslash keeps `"` and itself.
fn quoted(mark: char, symbols: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), &'static str> {
    const OPEN: &str = "a quotation mark that is not closed";
    loop {
        match symbols.next().ok_or(OPEN)? {
            symbol if symbol == mark => return Ok(()),
            '\\' if mark == '"' => match symbols.next().ok_or(OPEN)? {
                kept @ ('"' | '\\') => word.push(kept),
                other => word.extend(['\\', other]),
            },
            symbol => word.push(symbol),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        let line = r#"--prompt "a \"big\" \(cat\)" 'it''s' x\ y "" --steps 20"#;
        let words = split(line).unwrap();
        assert_eq!(words, ["--prompt", r#"a "big" \(cat\)"#, "its", "x y", "", "--steps", "20"]);
        for line in ["a \"b", "a 'b", "a \\"] {
            assert!(split(line).is_err(), "{line}");
        }
    }
}
