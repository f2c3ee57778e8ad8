//! `act.first`: the activation tag belongs in every caption, as its first tag.

use crate::about::About;
use crate::finding::{Level, Repair, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "act.first",
        scope: Scope::Image,
        what: "captions without the activation tag, or in which it is not the first",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for index in set.learnt() {
        let caption = &set.images[index].caption;
        let Some(activation) = set.activation(index) else { continue };
        if caption.file.is_none() || caption.tags.is_empty() {
            continue;
        }
        if caption.is_prose {
            let text = caption.text.to_lowercase();
            if activation.keys.iter().all(|key| text.contains(key.as_str())) {
                continue;
            }
        } else if activation.is_first(caption) {
            continue;
        }
        let is_there = activation.is_in(caption);
        let words = &activation.words;
        let place = activation.keys.first().and_then(|key| caption.keys.iter().position(|own| own == key));
        found.image(
            index,
            Told {
                level: if is_there { Level::Warning } else { Level::Error },
                number: place.map_or(-1.0, |place| place as f64),
                sentence: match place {
                    Some(place) if is_there => format!("has the activation tag “{words}” in place {}", place + 1),
                    _ => format!("lacks the activation tag “{words}”"),
                },
                remedy: "put it first, so that the subject is always called by it".to_owned(),
                fix: Some(Repair::new("activation_first")),
                ..Told::default()
            },
        );
    }
}
