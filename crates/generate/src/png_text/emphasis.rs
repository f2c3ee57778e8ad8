//! Whether brackets of a prompt weigh any of its words.

/// Whether brackets of `prompt` give words another weight: `(a)`, `[a]`, `(a:1.2)`, but not `\(a\)`, `()` or `(a:1)`.
pub(super) fn is_used(prompt: &str) -> bool {
    // How much text there was when the brackets that are open were opened.
    let mut round = Vec::new();
    let mut square = Vec::new();
    let mut seen = 0;
    let mut rest = prompt;
    while let Some(symbol) = rest.chars().next() {
        rest = &rest[symbol.len_utf8()..];
        let open = match symbol {
            '(' | '[' => {
                if symbol == '(' { &mut round } else { &mut square }.push(seen);
                continue;
            }
            ')' => round.pop(),
            ']' => square.pop(),
            ':' if !round.is_empty() => match weight(rest) {
                Some(weight) => {
                    rest = weight.behind;
                    let open = round.pop();
                    if weight.is_one { continue } else { open }
                }
                None => None,
            },
            _ => None,
        };
        match open {
            Some(start) if seen > start => return true,
            Some(_) => {}
            None if symbol == '\\' && rest.starts_with(['(', ')', '[', ']', '\\']) => {
                rest = &rest[1..];
                seen += 1;
            }
            None => seen += 1,
        }
    }
    round.iter().chain(&square).any(|start| seen > *start)
}

/// A number behind a colon, with the bracket that it closes.
struct Weight<'a> {
    is_one: bool,
    behind: &'a str,
}

fn weight(text: &str) -> Option<Weight<'_>> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '+' | '-' | '.'))?;
    let behind = text[end..].trim_start().strip_prefix(')')?;
    let number: f64 = text[..end].parse().ok()?;
    Some(Weight { is_one: number == 1.0, behind })
}

#[cfg(test)]
mod tests {
    use super::is_used;

    #[test]
    fn only_brackets_around_words_weigh() {
        for text in ["(a)", "[a]", "x (a:1.2)", "(a", "((a))", "[a:1.3]", "(a: 0 )", "a [b"] {
            assert!(is_used(text), "{text}");
        }
        for text in ["", "a", r"\(a\)", "()", "a)", "(a:1)", "(a:1.0) b", "a ]:1.2)", r"a\"] {
            assert!(!is_used(text), "{text}");
        }
    }
}
