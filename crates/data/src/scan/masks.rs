//! Finding the masks of the loss: the file in the folder of masks that is called like the image.
//!
//! Source: sd-scripts `ControlNetDataset`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::folder::{Root, is_image, list};
use crate::dataset::{Folder, Item};
use crate::error::Error;
use crate::image::probe;
use crate::paths::comparable_stem;
use crate::size::Size;

/// Gives each item of a folder the mask of its name, in `masks` or in the folder there that is called like its own;
/// returns what is missing or of another size.
pub(super) fn assign(masks: &Path, folder: &Folder, items: &mut [Item]) -> Vec<Error> {
    let inner = masks.join(&folder.name);
    let dir = if inner.is_dir() { inner } else { masks.to_owned() };
    let paths = match list(&Root { dir: &dir, flag: "--conditioning_data_dir", is_reg: false }) {
        Ok(paths) => paths,
        Err(Error::Folder { cause, .. }) => return vec![Error::MaskFolder { dir, cause }],
        Err(error) => return vec![error],
    };
    let images = paths.into_iter().filter(|path| is_image(path));
    let by_stem: HashMap<String, PathBuf> = images.map(|path| (comparable_stem(&path), path)).collect();
    let mut errors = Vec::new();
    for item in items {
        let Some(mask) = by_stem.get(&comparable_stem(&item.path)) else {
            errors.push(Error::NoMask { path: item.path.clone(), dir: dir.clone() });
            continue;
        };
        match check(mask, item.size) {
            Ok(()) => item.mask = Some(mask.clone()),
            Err(error) => errors.push(error),
        }
    }
    errors
}

fn check(path: &Path, image: Size) -> Result<(), Error> {
    let mask = probe::size(path)?;
    if mask == image { Ok(()) } else { Err(Error::MaskSize { path: path.to_owned(), mask, image }) }
}
