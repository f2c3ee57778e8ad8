//! Masks of the loss: finding them, and what they are at the size of latents.
//!
//! Source: sd-scripts `ControlNetDataset` and `apply_masked_loss`. One difference: a mask goes through the same resizing
//! and cropping as its image. There it is squeezed to the bucket's size, so that it lies beside its image wherever
//! something is cropped away.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::image::Rgb;
use crate::probe;
use crate::problem::{Error, Size};
use crate::scan::{Folder, Item, Root, list, name, unused};

/// Pixels per latent, along each side.
const CELL: usize = 8;

/// Gives each item of a folder the mask of its name, in `masks` or in the folder there that is called like its own;
/// returns what is missing or of another size.
pub(crate) fn assign(masks: &Path, folder: &Folder, items: &mut [Item]) -> Vec<Error> {
    let inner = masks.join(&folder.name);
    let dir = if inner.is_dir() { inner } else { masks.to_owned() };
    let paths = match list(&Root { dir: &dir, flag: "--conditioning_data_dir", is_reg: false }) {
        Ok(paths) => paths,
        Err(Error::Folder { cause, .. }) => return vec![Error::MaskFolder { dir, cause }],
        Err(error) => return vec![error],
    };
    let stem = |path: &Path| name(&path.with_extension(""));
    let paths = paths.into_iter().filter(|path| unused(path).is_none());
    let by_stem: HashMap<String, PathBuf> = paths.map(|path| (stem(&path), path)).collect();
    let mut errors = Vec::new();
    for item in items {
        match by_stem.get(&stem(&item.path)) {
            None => errors.push(Error::NoMask { path: item.path.clone(), dir: dir.clone() }),
            Some(path) => match check(path, item.size) {
                Ok(()) => item.mask = Some(path.clone()),
                Err(error) => errors.push(error),
            },
        }
    }
    errors
}

fn check(path: &Path, image: Size) -> Result<(), Error> {
    let mask = probe::size(path)?;
    if mask == image { Ok(()) } else { Err(Error::MaskSize { path: path.to_owned(), mask, image }) }
}

/// The mean of the red channel over the pixels of each latent, 0 to 1, rows from the top: what the loss is multiplied by.
/// `mask` has sides that are multiples of 8.
pub fn weights(mask: &Rgb) -> Vec<f32> {
    let (width, height) = (mask.width as usize / CELL, mask.height as usize / CELL);
    let red = |x: usize, y: usize| f32::from(mask.data[3 * (y * mask.width as usize + x)]) / 255.0;
    let cell = |column: usize, row: usize| {
        let pixels = (0..CELL).flat_map(|y| (0..CELL).map(move |x| (column * CELL + x, row * CELL + y)));
        pixels.map(|(x, y)| red(x, y)).sum::<f32>() / (CELL * CELL) as f32
    };
    (0..height).flat_map(|row| (0..width).map(move |column| (column, row))).map(|(x, y)| cell(x, y)).collect()
}
