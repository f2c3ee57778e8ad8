//! Prompts of candidates where the user gives none: the caption of the original with one thing changed at a time.

use lorabake_generate::prompt::emphasis::{Emphasis, Piece, parse};
use lorabake_generate::prompt::{comments, literal, tags};

/// What candidates are asked to show beside the caption, one each; words of danbooru's tags.
pub const VIEWS: [&str; 12] = [
    "standing",
    "sitting",
    "portrait",
    "from side",
    "arms up",
    "full body",
    "running",
    "smile",
    "looking back",
    "jumping",
    "waving",
    "from above",
];

/// `count` captions: as it is, then with one of `views` behind the first tag, and without one of the others in turn.
///
/// The first tag calls the character up and stays; a view that the caption has already makes room for the other one. So the
/// first pictures are as alike as can be, and the others show what of the original may change.
pub fn variations(caption: &str, views: &[String], count: usize) -> Vec<String> {
    let mut tags = Vec::new();
    for tag in caption.split(',') {
        let tag = tag.trim();
        if !tag.is_empty() {
            tags.push(tag);
        }
    }
    let mut captions = vec![caption.trim().to_owned()];
    let mut trigger = None;
    let mut others = Vec::new();
    for tag in tags {
        if trigger.is_none() {
            trigger = Some(tag);
        } else if !VIEWS.contains(&tag) && !views.iter().any(|view| view == tag) {
            others.push(tag);
        }
    }
    for index in 0..views.len().max(others.len()) {
        let mut varied: Vec<&str> = trigger.into_iter().collect();
        if !views.is_empty() {
            varied.push(&views[index % views.len()]);
        }
        for (place, tag) in others.iter().enumerate() {
            if place != index % others.len() {
                varied.push(tag);
            }
        }
        let varied = varied.join(", ");
        if !captions.contains(&varied) {
            captions.push(varied);
        }
    }
    captions.into_iter().cycle().take(count).collect()
}

/// The caption of a picture that was painted by `prompt`: its words without networks, comments and weights.
///
/// # Errors
/// When the prompt's weights cannot be read.
pub fn caption_of(prompt: &str) -> anyhow::Result<String> {
    let text = tags::take(&comments::remove(prompt)).text;
    let mut caption = String::new();
    for piece in parse(&text, Emphasis::Original)? {
        match piece {
            Piece::Text { text, .. } => caption += &text,
            Piece::Break => caption += ", ",
        }
    }
    let mut tags = Vec::new();
    for tag in caption.split(',') {
        let tag = tag.split_whitespace().collect::<Vec<_>>().join(" ");
        if !tag.is_empty() {
            tags.push(tag);
        }
    }
    Ok(tags.join(", "))
}

/// A caption as a prompt.
pub(super) fn prompt_of(caption: &str) -> String {
    literal(caption)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_vary_in_one_thing_and_come_again() {
        let views = ["sitting", "from side"].map(str::to_owned);
        let all = variations(" penny, sitting, hat,, blue background ", &views, 4);
        let whole = "penny, sitting, hat,, blue background";
        assert_eq!(all, [whole, "penny, sitting, blue background", "penny, from side, hat", whole]);
        assert_eq!(variations("", &views, 3), ["", "sitting", "from side"]);
        assert_eq!(variations("penny", &[], 2), ["penny", "penny"]);
    }

    #[test]
    fn a_caption_has_the_words_of_its_prompt() {
        let prompt = "penny, (straw hat:1.2) <lora:x:1>,\n a \\(b\\) # no\n";
        assert_eq!(caption_of(prompt).unwrap(), "penny, straw hat, a (b)");
        assert_eq!(prompt_of("a (b)"), "a \\(b\\)");
    }
}
