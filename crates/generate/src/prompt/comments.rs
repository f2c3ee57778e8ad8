//! `#` comments, cut as the web UI does (`processing_scripts/comments.py`) before anything else is read. They have no
//! escape: `score #1` loses its end.

/// `text` without its comments.
///
/// A line that begins with `#` becomes, with the newlines around it, one newline; elsewhere, `#` and what follows it up to
/// and with the end of the line become one newline.
///
/// ```
/// use lorabake_generate::prompt::comments;
///
/// assert_eq!(comments::remove("a cat #striped\nasleep"), "a cat \nasleep");
/// ```
pub fn remove(text: &str) -> String {
    within_lines(&whole_lines(text))
}

/// Lines that begin with `#`. The newline behind one is spent, so the next of two such lines is not seen here.
fn whole_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    if let Some(comment) = rest.strip_prefix('#') {
        rest = after_line(comment);
        out.push('\n');
    }
    while let Some(at) = rest.find("\n#") {
        out.push_str(&rest[..at]);
        out.push('\n');
        rest = after_line(&rest[at + 2..]);
    }
    out.push_str(rest);
    out
}

/// What is left of comments.
fn within_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('#') {
        out.push_str(&rest[..at]);
        out.push('\n');
        rest = after_line(&rest[at + 1..]);
    }
    out.push_str(rest);
    out
}

/// What follows the first newline; nothing if there is none.
fn after_line(text: &str) -> &str {
    match text.find('\n') {
        Some(end) => &text[end + 1..],
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_one_after_the_other() {
        assert_eq!(remove("a\n#b\n#c\nd"), "a\n\nd");
        assert_eq!(remove("#b\n#c"), "\n\n");
        assert_eq!(remove("no comment"), "no comment");
        assert_eq!(remove("ä#ö\nü"), "ä\nü");
    }
}
