//! `img.ai`: pictures that a program painted.

use crate::about::About;
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.ai",
        scope: Scope::Image,
        what: "pictures whose file says that a program painted them",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for (index, measures) in set.measured() {
        let Some(program) = &measures.content.painted_by else { continue };
        let (width, height) = set.images[index].item.size;
        let is_bucket = set.images[index].placement.is_some_and(|placement| placement.bucket == (width, height));
        let size = if is_bucket { "" } else { ", in another size than it is trained in" };
        found.image(
            index,
            Told {
                number: 1.0,
                threshold: 1.0,
                sentence: format!("was painted by {program}{size}"),
                remedy: "be picky with such pictures: look at hands, eyes and small things".to_owned(),
                ..Told::default()
            },
        );
    }
}
