//! `cap.mixed`: sentences and tags in one folder.

use crate::about::About;
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "cap.mixed",
        scope: Scope::Folder,
        what: "folders in which some captions are sentences and others tags",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for folder in set.learnt_folders() {
        let written = || set.of_folder(folder).filter(|index| set.images[*index].caption.file.is_some());
        let prose: Vec<usize> = written().filter(|index| set.images[*index].caption.is_prose).collect();
        let all = written().count();
        if prose.is_empty() || prose.len() == all {
            continue;
        }
        let is_prose_rare = 2 * prose.len() <= all;
        let odd =
            if is_prose_rare { prose.clone() } else { written().filter(|index| !prose.contains(index)).collect() };
        found.add(Told {
            subject: set.dataset.folders[folder].name.clone(),
            number: prose.len() as f64,
            threshold: 1.0,
            sentence: format!("{} of {all} captions are sentences, the others tags", prose.len()),
            remedy: "use one way throughout, the one that the checkpoint was trained with".to_owned(),
            images: odd,
            ..Told::default()
        });
    }
}
