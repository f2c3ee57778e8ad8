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
/// The first tag calls the character up and stays. So the first pictures are as alike as can be, and the others show what
/// of the original may change.
pub fn variations(caption: &str, views: &[String], count: usize) -> Vec<String> {
    let mut tags = Vec::new();
    for tag in caption.split(',') {
        let tag = tag.trim();
        if !tag.is_empty() {
            tags.push(tag);
        }
    }
    let mut captions = vec![caption.trim().to_owned()];
    let Some((trigger, others)) = tags.split_first() else {
        return captions.into_iter().cycle().take(count).collect();
    };
    let rounds = views.len().max(others.len()).max(1);
    for index in 0..rounds {
        let mut varied = vec![*trigger];
        if !views.is_empty() {
            varied.push(&views[index % views.len()]);
        }
        for (place, tag) in others.iter().enumerate() {
            let goes = place == index % others.len();
            if !goes && !varied.contains(tag) {
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
        let views = ["sitting", "hat"].map(str::to_owned);
        let all = variations(" penny, hat,, blue background ", &views, 5);
        let wanted = [
            "penny, hat,, blue background",
            "penny, sitting, blue background",
            "penny, hat",
            "penny, hat,, blue background",
            "penny, sitting, blue background",
        ];
        assert_eq!(all, wanted);
        assert_eq!(variations("", &views, 2), ["", ""]);
        assert_eq!(variations("penny", &[], 2), ["penny", "penny"]);
    }

    #[test]
    fn a_caption_has_the_words_of_its_prompt() {
        let prompt = "penny, (straw hat:1.2) <lora:x:1>,\n a \\(b\\) # no\n";
        assert_eq!(caption_of(prompt).unwrap(), "penny, straw hat, a (b)");
        assert_eq!(prompt_of("a (b)"), "a \\(b\\)");
    }
}
