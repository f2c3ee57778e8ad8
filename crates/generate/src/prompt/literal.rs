//! A text as a prompt that says just that: what the web UI would take for its own signs is escaped.
//!
//! Training reads a caption as it stands, `hatsune miku (cosplay)` with its brackets. A picture of the same caption needs
//! them escaped, as taggers' users write by hand. Two things of the web UI have no escape and are none of this file:
//! comments and tags (`<lora:x:1>`), which are cut from what is typed before anything else is read.

use super::composition::{parts, split};

/// `text` as a prompt that says it word by word: brackets and backslashes are escaped, the words AND and BREAK are small,
/// which is the same to the text encoders, and a number behind a colon at the end, as in the tag `:3`, is no weight.
///
/// ```
/// use lorabake_generate::prompt::literal;
///
/// assert_eq!(literal("miku (cosplay), hat"), r"miku \(cosplay\), hat");
/// ```
pub fn literal(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for symbol in text.chars() {
        if "\\()[]".contains(symbol) {
            escaped.push('\\');
        }
        escaped.push(symbol);
    }
    without_words(&escaped)
}

/// The same for a caption whose brackets are weights (`--weighted_captions`): they stay.
pub fn literal_but_weights(text: &str) -> String {
    without_words(text)
}

/// Takes their meaning from the words AND and BREAK, and from a number at the end.
fn without_words(text: &str) -> String {
    let text = split(text, "AND").join("and");
    let mut text = split(&text, "BREAK").join("break");
    if parts(&text)[0].text != text.trim_end() {
        // A backslash before nothing is nothing, but the number is not at the end any more.
        text.push('\\');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::emphasis::{Emphasis, Piece, parse};
    use super::super::schedule::{Timeline, schedule};
    use super::*;

    #[test]
    fn a_caption_comes_back_word_by_word() {
        for caption in [
            "penny, hat",
            "miku (cosplay), [x], a\\b, (open",
            "smile, :3",
            "re:zero, (a:1.2)",
            "[a:b:0.5], [a|b], a|b",
            "salt AND pepper, BREAK dance",
            ":1",
            "",
        ] {
            let prompt = literal(caption);
            let parts = parts(&prompt);
            assert_eq!((parts.len(), parts[0].weight), (1, 1.0), "{caption}");
            let timeline = Timeline { steps: 20, hires_steps: None, old: false };
            let texts = schedule(&parts[0].text, timeline).entries;
            assert_eq!(texts.len(), 1, "{caption}");
            let pieces = parse(&texts[0].text, Emphasis::Original).unwrap();
            let text = caption.replace("AND", "and").replace("BREAK", "break");
            assert_eq!(pieces, [Piece::Text { text, weight: 1.0 }], "{caption}");
        }
    }

    #[test]
    fn weights_stay_weights() {
        assert_eq!(literal_but_weights("(hat:1.2), a AND b"), "(hat:1.2), a and b");
    }
}
