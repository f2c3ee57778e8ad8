//! What to say when a data folder has no usable concept folder: where the images are, and the command that mends it.
//!
//! Looks around only after the scan found nothing; changes no file.

use std::path::{Path, PathBuf};

use crate::problem::{Error, count};
use crate::scan::{Root, images_below, list, name, parse_name, unused};

/// Repeats in a proposed folder name; kohya's guides use 10.
const PROPOSED: &str = "10";

/// The error for a folder in which the scan found no image.
pub(crate) fn explain(root: &Root) -> Error {
    let (found, remedy) = match find(root) {
        Some(found) => found,
        None => return Error::NoImages { flag: root.flag, dir: root.dir.into() },
    };
    Error::WrongLevel { flag: root.flag, dir: root.dir.into(), found, remedy }
}

fn find(root: &Root) -> Option<(String, String)> {
    let direct = images_in(root.dir);
    let full = std::fs::canonicalize(root.dir).unwrap_or_else(|_| root.dir.into());
    let own_name = name(&full);
    if direct > 0 {
        // Where the user typed a path with a parent, the parent is shown as typed.
        let parent = root.dir.parent().filter(|parent| !parent.as_os_str().is_empty()).or(full.parent());
        return Some(match (is_concept(&full), parent) {
            (true, Some(parent)) => (
                format!("this is a concept folder itself ({})", count(direct, "image")),
                format!("give the folder around it: {} {}", root.flag, quoted(parent)),
            ),
            _ => {
                let target = root.dir.join(format!("{PROPOSED}_{}", words(&own_name)));
                let files = format!("{}{}", quoted(root.dir), std::path::MAIN_SEPARATOR);
                let target = quoted(&target);
                (
                    format!("it holds {} outside any folder called N_name (N = repeats)", count(direct, "image")),
                    format!("make one: mkdir {target} && mv {files}*.* {target}"),
                )
            }
        });
    }
    let folders: Vec<PathBuf> = list(root).ok()?.into_iter().filter(|path| path.is_dir()).collect();
    if let Some(outer) = folders.iter().find(|folder| concept_inside(folder, root)) {
        return Some((
            format!("the concept folders are one level deeper, in {}", name(outer)),
            format!("give that folder: {} {}", root.flag, quoted(outer)),
        ));
    }
    // A number below one is a name with repeats too, but not one that can be used.
    let holding = folders.iter().find(|folder| images_in(folder) > 0);
    if let Some(folder) = holding {
        let old = name(folder);
        let words = parse_name(&old).map_or_else(|| old.clone(), |(_, words)| words);
        let target = folder.with_file_name(format!("{PROPOSED}_{words}"));
        return Some((
            format!(
                "folder {old} holds {} but its name does not begin with repeats of 1 or more",
                count(images_in(folder), "image")
            ),
            format!("rename it: mv {} {}", quoted(folder), quoted(&target)),
        ));
    }
    let images = images_below(root.dir);
    (images > 0).then(|| {
        let target = root.dir.join(format!("{PROPOSED}_name"));
        (
            format!("it holds {} deeper than one folder", count(images, "image")),
            format!("move them into folders called N_name directly inside it, e.g. {}", quoted(&target)),
        )
    })
}

fn concept_inside(dir: &Path, root: &Root) -> bool {
    let inside = list(&Root { dir, ..*root }).unwrap_or_default();
    inside.iter().any(|path| path.is_dir() && is_concept(path) && images_in(path) > 0)
}

fn is_concept(path: &Path) -> bool {
    parse_name(&name(path)).is_some_and(|(repeats, _)| repeats > 0)
}

/// Images directly in a folder.
fn images_in(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.flatten().filter(|entry| entry.path().is_file() && unused(&entry.path()).is_none()).count()
}

fn words(folder: &str) -> String {
    if folder.is_empty() { "name".into() } else { folder.into() }
}

/// In quotes where a shell would split it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains(|c: char| c.is_whitespace() || "'&()$;*?[]".contains(c)) { format!("\"{text}\"") } else { text }
}
