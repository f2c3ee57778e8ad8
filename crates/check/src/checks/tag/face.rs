//! `tag.face`: tags of how many figures there are, and how near, against what detectors see.

use lorabake_tags::images::Kind;

use crate::about::About;
use crate::caption::Caption;
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::{Image, Set};
use crate::sight::figures;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.face",
        scope: Scope::Image,
        what: "several figures under a tag such as solo, figures under no humans, and no face under portrait or looking at \
               viewer; by --detector",
        thresholds: &[],
    },
    run,
};

/// Tags of one figure; of nobody; of a face that is seen; of one that is not.
const ONE: &[&str] = &["solo"];
const NOBODY: &[&str] = &["no humans", "nobody", "still life"];
const FACE: &[&str] =
    &["portrait", "looking at viewer", "face focus", "headshot", "head only", "bust", "smile", "blush"];
const HIDDEN: &[&str] = &[
    "from behind",
    "facing away",
    "faceless",
    "faceless female",
    "faceless male",
    "head out of frame",
    "eyes out of frame",
    "face out of frame",
    "mask",
    "helmet",
    "covered face",
    "covering face",
    "profile",
];
/// Tags under which several figures are one.
const REPEATED: &[&str] =
    &["multiple views", "reference sheet", "character sheet", "turnaround", "mirror", "reflection", "clone"];

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let sees_faces = set.looked_for.contains(&Kind::Face);
    let sees_figures = set.looked_for.iter().any(|kind| kind.is_figure());
    if !sees_figures {
        return;
    }
    for index in set.tagged() {
        let image = &set.images[index];
        if image.content.is_some()
            && let Some(told) = contradiction(image, sees_faces)
        {
            found.image(index, told);
        }
    }
}

/// What of an image's caption and of what is seen does not go together.
fn contradiction(image: &Image, sees_faces: bool) -> Option<Told> {
    let Image { caption, seen, .. } = image;
    let count = figures(seen);
    let number = count as f64;
    if count > 1 && caption.has_any(ONE) && !caption.has_any(REPEATED) {
        return Some(Told {
            level: Level::Warning,
            number,
            threshold: 1.0,
            sentence: format!("is tagged {}, and {count} figures are seen", first_of(caption, ONE)),
            remedy: "tag what is there (2girls, multiple views), or crop the others away".to_owned(),
            ..Told::default()
        });
    }
    if count > 0 && caption.has_any(NOBODY) {
        return Some(Told {
            level: Level::Warning,
            number,
            threshold: 0.0,
            sentence: format!("is tagged {}, and somebody is seen", first_of(caption, NOBODY)),
            remedy: "look at it: tag the figure, or leave the tag if it is a statue or a poster".to_owned(),
            ..Told::default()
        });
    }
    let has_face = seen.iter().any(|one| one.kind == Kind::Face);
    if sees_faces && !has_face && caption.has_any(FACE) && !caption.has_any(HIDDEN) {
        return Some(Told {
            number,
            threshold: 1.0,
            sentence: format!("is tagged {}, and no face is seen", first_of(caption, FACE)),
            remedy: "look at it: the caption may be another picture's, or the face one that detectors do not know"
                .to_owned(),
            ..Told::default()
        });
    }
    None
}

/// The first of these tags that a caption has.
fn first_of<'a>(caption: &Caption, tags: &[&'a str]) -> &'a str {
    tags.iter().copied().find(|tag| caption.has(tag)).unwrap_or_default()
}
