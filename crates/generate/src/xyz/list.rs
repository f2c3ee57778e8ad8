//! Lists of values as they are typed, separated by commas.
//!
//! Source: Python's `csv` with `skipinitialspace`, all lines one list, each value without spaces around it.

use super::Rule;

/// The values of `text`. A quotation mark counts at a value's beginning only, and is doubled inside. By the strict rule
/// `||` separates in place of commas where it occurs, and commas inside `<…>`, `(…)`, `[…]` and `{…}` separate nothing.
pub fn split_list(text: &str, rule: Rule) -> Vec<String> {
    if rule == Rule::Strict && text.contains("||") {
        return text.split("||").map(|value| value.trim().to_owned()).collect();
    }
    let mut values = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(line) = rest.strip_prefix(['\n', '\r']) {
            rest = line;
            continue;
        }
        let value = first(rest, rule);
        values.push(value.text.trim().to_owned());
        rest = value.behind;
        if let Some(next) = rest.strip_prefix(',') {
            // Behind a last comma there is an empty value.
            if next.is_empty() || next.starts_with(['\n', '\r']) {
                values.push(String::new());
            }
            rest = next;
        }
    }
    values
}

/// A value, and what stands behind it from a comma or line break on.
struct Value<'a> {
    text: String,
    behind: &'a str,
}

fn first(text: &str, rule: Rule) -> Value<'_> {
    let text = text.trim_start_matches(' ');
    let mut value = String::new();
    let mut rest = text;
    if let Some(quoted) = text.strip_prefix('"') {
        rest = "";
        let mut marks = quoted.match_indices('"');
        let mut start = 0;
        while let Some((mark, _)) = marks.next() {
            value.push_str(&quoted[start..mark]);
            start = mark + 1;
            if !quoted[start..].starts_with('"') {
                rest = &quoted[start..];
                break;
            }
            value.push('"');
            start += 1;
            marks.next();
        }
        // Without an end it goes to the end of the text.
        if rest.is_empty() && !quoted[start..].is_empty() {
            value.push_str(&quoted[start..]);
        }
    }
    let end = unquoted_end(rest, rule);
    value.push_str(&rest[..end]);
    Value { text: value, behind: &rest[end..] }
}

/// Where a value without quotation marks ends.
fn unquoted_end(text: &str, rule: Rule) -> usize {
    let mut at = 0;
    while let Some(found) = text[at..].find([',', '\n', '\r', '<', '(', '[', '{']) {
        let place = at + found;
        let symbol = text.as_bytes()[place];
        match symbol {
            b',' | b'\n' | b'\r' => return place,
            _ if rule == Rule::Strict => at = closing(&text[place..]).map_or(place + 1, |length| place + length),
            _ => at = place + 1,
        }
    }
    text.len()
}

/// Farthest end of a bracket that is looked for.
const FARTHEST: usize = 1024;

/// Bytes from a bracket to behind the one that closes it on the same line.
fn closing(text: &str) -> Option<usize> {
    let mut open = Vec::new();
    for (at, symbol) in text.char_indices().take(FARTHEST) {
        match symbol {
            '<' => open.push('>'),
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            '\n' | '\r' => return None,
            _ if open.last() == Some(&symbol) => {
                open.pop();
                if open.is_empty() {
                    return Some(at + symbol.len_utf8());
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Python 3.11's csv reads them.
    #[test]
    fn lists_are_split_as_by_python() {
        for (text, expected) in [
            ("a,", &["a", ""][..]),
            (",", &["", ""]),
            ("a\n\nb", &["a", "b"]),
            ("\"a\"b,c", &["ab", "c"]),
            ("\"a\"\"", &["a\""]),
            ("\"\",x", &["", "x"]),
            ("\"a\" ,b", &["a", "b"]),
            ("a \"b, c\"", &["a \"b", "c\""]),
            ("a,\nb", &["a", "", "b"]),
            ("\"x,\r\ny\"\r\nz", &["x,\r\ny", "z"]),
        ] {
            assert_eq!(split_list(text, Rule::WebUi), expected, "{text:?}");
        }
    }

    #[test]
    fn brackets_and_bars_keep_commas_by_the_strict_rule() {
        for (text, expected) in [
            ("a,<lora:x:1:lbw=1,0,0>", &["a", "<lora:x:1:lbw=1,0,0>"][..]),
            ("a, b || c, (d, e)", &["a, b", "c, (d, e)"]),
            ("(a, b:1.2), c", &["(a, b:1.2)", "c"]),
            (":(, a", &[":(", "a"]),
            ("a < b, c > d", &["a < b, c > d"]),
        ] {
            assert_eq!(split_list(text, Rule::Strict), expected, "{text:?}");
        }
        let began = std::time::Instant::now();
        split_list(&"(,".repeat(10_000), Rule::Strict);
        assert!(began.elapsed().as_secs() < 20);
    }
}
