//! What to say when the folder of a subset holds no image: where the images are, and what to write.
//!
//! `--train_data_dir` wants the folder around the folders of images, `image_dir` a folder of images itself, so whoever
//! comes from the one is a level off in the other. Looks around only after the scan found nothing.

use std::path::{Path, PathBuf};

use lorabake_recipe::count;

use super::folder::{folders_in, images_in};
use super::misplaced::{Advice, not_readable};
use crate::error::{Error, IMAGE_DIR};
use crate::paths::{around, full, name};

/// Levels below the folder that are searched.
const DEEPEST: usize = 4;
/// Folders that are named before the rest is counted.
const NAMED: usize = 5;

/// The error for an `image_dir` in which the scan found no image.
pub(super) fn explain(dir: &Path) -> Error {
    let wrong = |found, remedy| Error::WrongLevel { flag: IMAGE_DIR, dir: dir.to_owned(), found, remedy };
    let mut folders = vec![dir.to_owned()];
    for level in 1..=DEEPEST {
        folders = folders.iter().flat_map(|folder| folders_in(folder)).collect();
        let filled: Vec<PathBuf> = folders.iter().filter(|folder| images_in(folder) > 0).cloned().collect();
        if !filled.is_empty() {
            let depth = if level == 1 { "one level deeper" } else { "deeper" };
            return wrong(format!("the images are {depth}, in {}", listed(&filled)), one_subset_each(&filled));
        }
    }
    if let Some(Advice { found, remedy }) = not_readable(dir) {
        return wrong(found, remedy);
    }
    if let Some(around) = around(dir)
        && images_in(&around) > 0
    {
        let found = format!("no images; they are one level up, in {}", listed(&[full(&around)]));
        return wrong(found, format!("write {}", setting(&around)));
    }
    Error::NoImages { flag: IMAGE_DIR, dir: dir.to_owned() }
}

/// `2_penny (2 images) and 3_hat (1 image)`.
fn listed(folders: &[PathBuf]) -> String {
    let mut parts = Vec::new();
    for folder in folders.iter().take(NAMED) {
        parts.push(format!("{} ({})", name(folder), count(images_in(folder), "image")));
    }
    if folders.len() > NAMED {
        parts.push(format!("{} more", folders.len() - NAMED));
    }
    let last = parts.pop().unwrap_or_default();
    if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) }
}

fn one_subset_each(folders: &[PathBuf]) -> String {
    if let [folder] = folders {
        return format!("write {}", setting(folder));
    }
    let settings: Vec<String> = folders.iter().take(NAMED).map(|folder| setting(folder)).collect();
    let more = if folders.len() > NAMED { ", …" } else { "" };
    format!("write a subset for each: {}{more}", settings.join(", "))
}

/// What stands in the file for a folder, in TOML's plain quotes where they can be.
fn setting(folder: &Path) -> String {
    let text = folder.display().to_string();
    if text.contains('\'') { format!("image_dir = {text:?}") } else { format!("image_dir = '{text}'") }
}
