//! `set.scenes`: more backgrounds than figures, which give empty backgrounds.

use crate::about::About;
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::tables::words::SCENES;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "set.scenes",
        scope: Scope::Set,
        what: "more uses of backgrounds without anybody than of figures",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let mut scenes = Vec::new();
    let mut scene_uses = 0;
    let mut others = 0;
    for index in set.tagged() {
        let uses = u64::from(set.images[index].item.uses);
        if set.images[index].caption.has_any(SCENES) {
            scene_uses += uses;
            scenes.push(index);
        } else {
            others += uses;
        }
    }
    // A set of scenes alone is meant so.
    if scene_uses <= others || others == 0 {
        return;
    }
    found.add(Told {
        level: Level::Warning,
        subject: "backgrounds".to_owned(),
        number: scene_uses as f64,
        threshold: others as f64,
        sentence: format!("used {scene_uses} times per epoch, and figures {others} times: pictures come out empty"),
        remedy: "lower the repeats of the backgrounds, or leave some out: one or two with 10 repeats are enough"
            .to_owned(),
        images: scenes,
        ..Told::default()
    });
}
