//! `img.read`: files that are no images for a trainer, and folders of images that are not read.

use lorabake_data::{Error, Reason};

use crate::about::About;
use crate::finding::{Level, Repair, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.read",
        scope: Scope::Image,
        what: "images that cannot be decoded, are of a type that is not read, move, or lie where nobody looks; \
               settings and folders that keep a run from starting",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for error in &set.errors {
        // Captions have a check of their own.
        if matches!(error, Error::Caption { .. }) {
            continue;
        }
        let message = error.to_string();
        let (subject, rest) = message.split_once(": ").unwrap_or(("", &message));
        let (what, remedy) = rest.split_once("; ").unwrap_or((rest, "mend it, or delete it"));
        found.add(Told {
            level: Level::Error,
            subject: subject.to_owned(),
            sentence: what.to_owned(),
            remedy: remedy.to_owned(),
            ..Told::default()
        });
    }
    for left_out in set.left_out() {
        let level = match &left_out.reason {
            Reason::UnsupportedType(_) | Reason::NoRepeats { .. } | Reason::Nested { .. } | Reason::OutsideConcept => {
                Level::Warning
            }
            Reason::ZeroRepeats(_) | Reason::EmptyFolder => Level::Hint,
            _ => continue,
        };
        let message = left_out.reason.to_string();
        let (what, remedy) = message.split_once("; ").unwrap_or((&message, "delete it if it is not needed"));
        found.add(Told {
            level,
            subject: left_out.path.display().to_string(),
            sentence: format!("takes no part: {what}"),
            remedy: remedy.to_owned(),
            ..Told::default()
        });
    }
    contents(set, found);
}

/// What images are inside.
fn contents(set: &Set<'_>, found: &mut Found<'_>) {
    for (index, measures) in set.measured() {
        if measures.content.is_animated {
            found.image(
                index,
                Told {
                    level: Level::Warning,
                    sentence: "moves, and only its first picture is trained".to_owned(),
                    remedy: "save the picture that you mean as PNG".to_owned(),
                    ..Told::default()
                },
            );
        }
        let path = &set.images[index].item.path;
        let suffix = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let own = if suffix == "jpg" { "jpeg" } else { &suffix };
        let format = &measures.content.format;
        if own != format && !format.is_empty() {
            found.image(
                index,
                Told {
                    sentence: format!("is called .{suffix} and is {}", format.to_uppercase()),
                    remedy: format!("rename it to .{format}: lorabake looks inside, other programs may not"),
                    fix: Some(Repair::new("suffix")),
                    ..Told::default()
                },
            );
        }
    }
}
