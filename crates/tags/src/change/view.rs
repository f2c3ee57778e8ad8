//! The caption of a part that was cut out of an image: the image's, with the part's view in place of the image's own, and
//! without tags of what lies below.

use crate::activation::Activation;
use crate::caption_file::{CaptionFile, Kind};
use crate::images::View;
use crate::text::folded;

/// Tags of how much of a figure a picture shows.
const FRAMINGS: [&str; 12] = [
    "portrait",
    "close-up",
    "face",
    "face focus",
    "upper body",
    "cowboy shot",
    "full body",
    "wide shot",
    "very wide shot",
    "lower body",
    "feet out of frame",
    "half body",
];

/// Last words of tags about what is below the waist. Own wording, after booru tags.
const BELOW: [&str; 26] = [
    "footwear",
    "boots",
    "shoes",
    "heels",
    "sandals",
    "sneakers",
    "loafers",
    "slippers",
    "legwear",
    "socks",
    "kneehighs",
    "thighhighs",
    "pantyhose",
    "leggings",
    "stockings",
    "barefoot",
    "feet",
    "toes",
    "legs",
    "thighs",
    "knees",
    "pants",
    "jeans",
    "shorts",
    "skirt",
    "zettai ryouiki",
];

/// Writes `whole`, the caption of an image, into `part`, that of a part of it; the tags that were left out because they are
/// about what is no longer there. Sentences are taken as they are.
pub fn write_view(part: &mut CaptionFile, whole: &CaptionFile, view: View, activation: &Activation) -> Vec<String> {
    part.set_line(&whole.caption());
    if part.kind() == Kind::Prose {
        part.add_first(activation);
        return Vec::new();
    }
    let mut gone = Vec::new();
    for index in (0..part.parts().len()).rev() {
        let tag = folded(&part.parts()[index]);
        if activation.contains(&tag) {
            continue;
        }
        let is_below = view != View::FullBody && BELOW.iter().any(|end| is_end(end, &tag));
        if is_below {
            gone.push(part.parts()[index].clone());
        }
        if is_below || FRAMINGS.contains(&tag.as_str()) {
            part.remove(index);
        }
    }
    part.push(view.name());
    part.add_first(activation);
    gone.reverse();
    gone
}

/// Whether a tag ends with these words.
fn is_end(words: &str, tag: &str) -> bool {
    tag.strip_suffix(words).is_some_and(|before| before.is_empty() || before.ends_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn of_part(line: &str, view: View) -> (String, Vec<String>) {
        let nowhere = Path::new("/nowhere/a.txt");
        let mut whole = CaptionFile::load(nowhere, ",").unwrap();
        whole.set_line(line);
        let mut part = CaptionFile::load(nowhere, ",").unwrap();
        let gone = write_view(&mut part, &whole, view, &Activation::named("penny", ","));
        (part.caption(), gone)
    }

    #[test]
    fn a_portrait_has_no_boots() {
        let line = "penny, 1girl, full body, red boots, hat, black_thighhighs, standing";
        let (caption, gone) = of_part(line, View::Portrait);
        assert_eq!(caption, "penny, 1girl, hat, standing, portrait");
        assert_eq!(gone, ["red boots", "black_thighhighs"]);
        let (caption, gone) = of_part("1girl, red boots", View::FullBody);
        assert_eq!((caption.as_str(), gone.len()), ("penny, 1girl, red boots, full body", 0));
        let (caption, _) = of_part("A girl called penny walks on a field.", View::Portrait);
        assert!(!caption.contains("portrait"), "{caption}");
    }
}
