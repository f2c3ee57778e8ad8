//! `cap.encoding`: caption files that cannot be read, and what is in them that is not trained.

use lorabake_data::Error;

use crate::about::About;
use crate::finding::{Level, Repair, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "cap.encoding",
        scope: Scope::Image,
        what: "captions that are no UTF-8, too long, empty files; byte order marks, which other trainers read as a \
               letter; lines that are not read",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for error in &set.errors {
        let Error::Caption { path, cause } = error else { continue };
        let (what, remedy) = cause.split_once("; ").unwrap_or((cause, "save it as UTF-8"));
        found.add(Told {
            level: Level::Error,
            subject: path.display().to_string(),
            sentence: what.to_owned(),
            remedy: remedy.to_owned(),
            ..Told::default()
        });
    }
    for index in 0..set.images.len() {
        let caption = &set.images[index].caption;
        if caption.has_mark {
            found.image(
                index,
                Told {
                    sentence: "its caption begins with a byte order mark, which sd-scripts reads as a letter"
                        .to_owned(),
                    remedy: "save it as UTF-8 without BOM".to_owned(),
                    fix: Some(Repair::new("mark")),
                    ..Told::default()
                },
            );
        }
        let lines = caption.raw.lines().filter(|line| !line.trim().is_empty()).count();
        if lines > 1 && !set.settings(index).captions.wildcards && !caption.tags.is_empty() {
            found.image(
                index,
                Told {
                    level: Level::Warning,
                    number: lines as f64,
                    threshold: 1.0,
                    sentence: format!("its caption has {lines} lines, of which the first is read"),
                    remedy: "put tags on one line, or give --enable_wildcard to draw one line at each use".to_owned(),
                    ..Told::default()
                },
            );
        }
    }
}
