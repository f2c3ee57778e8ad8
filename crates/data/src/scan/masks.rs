//! Finding the masks of the loss: the file in the folder of masks that is called like the image.
//!
//! Source: sd-scripts `ControlNetDataset`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::folder::{Root, folders_in, images_in, is_image, is_special, list};
use crate::dataset::{Folder, Item};
use crate::error::Error;
use crate::image::probe;
use crate::paths::{comparable_stem, name};
use crate::problem::Problem;
use crate::size::Size;

/// Gives each item of a folder the mask of its name, in `masks` or in the folder there that is called like its own;
/// returns what is missing or of another size. Masks that are not used though an image has their name are told in `problems`.
pub(super) fn assign(masks: &Path, folder: &Folder, items: &mut [Item], problems: &mut Vec<Problem>) -> Vec<Error> {
    let inner = masks.join(&folder.name);
    let dir = if inner.is_dir() { inner } else { masks.to_owned() };
    let paths = match list(&Root { dir: &dir, flag: "--conditioning_data_dir", is_reg: false }) {
        Ok(paths) => paths,
        Err(Error::Folder { cause, .. }) => return vec![Error::MaskFolder { dir, cause }],
        Err(error) => return vec![error],
    };
    let images = paths.into_iter().filter(|path| is_image(path) && !is_special(path));
    let mut by_stem: HashMap<String, PathBuf> = HashMap::new();
    let mut unused: HashMap<String, String> = HashMap::new();
    for path in images {
        let stem = comparable_stem(&path);
        if let Some(earlier) = by_stem.insert(stem.clone(), path) {
            unused.insert(stem, name(&earlier));
        }
    }
    if by_stem.is_empty() {
        return vec![Error::MaskFolder { cause: no_masks(&dir), dir }];
    }
    let mut errors = Vec::new();
    for item in items {
        let Some(mask) = by_stem.get(&comparable_stem(&item.path)) else {
            errors.push(Error::NoMask { path: item.path.clone(), dir: dir.clone() });
            continue;
        };
        if let Some(name) = unused.remove(&comparable_stem(&item.path)) {
            problems.push(Problem::SameMask { used: mask.clone(), name });
        }
        match check(mask, item.size) {
            Ok(()) => item.mask = Some(mask.clone()),
            Err(error) => errors.push(error),
        }
    }
    errors
}

/// What is wrong with a folder that holds no mask.
fn no_masks(dir: &Path) -> String {
    match folders_in(dir).iter().find(|folder| images_in(folder) > 0) {
        Some(folder) => format!("it holds no images; they are one level deeper, in {}", name(folder)),
        None => "it holds no images".to_owned(),
    }
}

fn check(path: &Path, image: Size) -> Result<(), Error> {
    let mask = probe::size(path)?;
    if mask == image { Ok(()) } else { Err(Error::MaskSize { path: path.to_owned(), mask, image }) }
}
