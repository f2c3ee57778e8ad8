//! What was measured already, in a folder beside the LoRAs: a judgement that was interrupted goes on, and the same command
//! again has nothing to do.
//!
//! The name of each file is a hash of all that its content depends on: the program's version, the recipe, images and
//! captions, the checkpoint (by place, size and time), the LoRA's content, options. So nothing has to be believed: what
//! belongs to something else is not found, what cannot be read is measured again, and the folder may be deleted at any time.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lorabake_data::scan;
use lorabake_pixels::Rgb;
use lorabake_recipe::Recipe;
use lorabake_weights::whole_file;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::grid;

/// Bytes of a hash in a name.
const NAME: usize = 16;
/// Larger files on it are no numbers of ours.
const LONGEST: u64 = 1 << 29;

/// Finished work of one judgement, and where it is kept.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    /// Nothing is kept without one.
    folder: Option<PathBuf>,
    /// What all of it depends on.
    ground: String,
    /// Nothing is taken from it, all is measured anew.
    is_closed: bool,
}

/// A picture on the shelf.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Its pixels.
    pub image: Rgb,
    /// Its last latents, row-major.
    pub latents: Vec<f32>,
}

impl Shelf {
    /// One that nothing is kept on.
    pub const NONE: Self = Self { folder: None, ground: String::new(), is_closed: false };

    /// The shelf at `folder` for judging with `recipe`; `more` is what else all of it depends on. With `anew` nothing is taken
    /// from it.
    ///
    /// # Errors
    /// When the images cannot be read.
    pub fn open(folder: PathBuf, recipe: &Recipe, more: &str, anew: bool) -> Result<Self> {
        let mut hash = Sha256::new();
        hash.update(format!("{} {more} {recipe:?}", env!("CARGO_PKG_VERSION")));
        for item in scan(&recipe.data)?.items {
            hash.update(format!("{:?} {} {} {} {}", item.path, item.caption, item.uses, item.is_reg, item.held_out));
            if item.is_reg {
                continue;
            }
            for path in std::iter::once(&item.path).chain(&item.mask) {
                hash.update(content(path)?);
            }
        }
        Ok(Self { folder: Some(folder), ground: hex(&hash.finalize()), is_closed: anew })
    }

    /// The same for what depends on `more`, too.
    pub fn on(&self, more: &str) -> Self {
        Self { ground: format!("{} {more}", self.ground), ..self.clone() }
    }

    /// What was kept of `what`. As TOML, whose numbers come back as they were to the last digit, infinite ones too.
    pub fn read<T: DeserializeOwned>(&self, what: &str) -> Option<T> {
        toml::from_slice(&self.bytes(what, "toml")?).ok()
    }

    /// Keeps something. A disk that is full or may not be written costs the time of measuring it again, no more.
    pub fn keep<T: Serialize>(&self, what: &str, value: &T) {
        if let Ok(text) = toml::to_string(value) {
            self.write(what, "toml", text.as_bytes());
        }
    }

    /// The picture that was kept of `what`.
    pub fn picture(&self, what: &str) -> Option<Kept> {
        let bytes = self.bytes(what, "picture")?;
        let file = SafeTensors::deserialize(&bytes).ok()?;
        let image = file.tensor("image").ok()?;
        let latents = file.tensor("latents").ok()?;
        let [height, width, 3] = image.shape() else { return None };
        if image.dtype() != Dtype::U8 || latents.dtype() != Dtype::F32 {
            return None;
        }
        let (values, _) = latents.data().as_chunks();
        Some(Kept {
            image: Rgb { width: *width as u32, height: *height as u32, data: image.data().to_vec() },
            latents: values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        })
    }

    /// Keeps a picture, as [`Self::keep`].
    pub fn keep_picture(&self, what: &str, picture: &Kept) {
        let Kept { image, latents } = picture;
        let values: Vec<u8> = latents.iter().flat_map(|value| value.to_le_bytes()).collect();
        let image = TensorView::new(Dtype::U8, vec![image.height as usize, image.width as usize, 3], &image.data);
        let latents = TensorView::new(Dtype::F32, vec![latents.len()], &values);
        if let (Ok(image), Ok(latents)) = (image, latents)
            && let Ok(bytes) = safetensors::serialize([("image", image), ("latents", latents)], None)
        {
            self.write(what, "picture", &bytes);
        }
    }

    /// Removes all pictures, which are large, once the judgement is done.
    pub fn forget_pictures(&self) {
        let Some(entries) = self.folder.as_ref().and_then(|folder| std::fs::read_dir(folder).ok()) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|suffix| suffix == "picture") {
                // What stays is found again, or lies there.
                let _ = std::fs::remove_file(path);
            }
        }
    }

    fn bytes(&self, what: &str, suffix: &str) -> Option<Vec<u8>> {
        if self.is_closed {
            return None;
        }
        let path = self.place(what, suffix)?;
        if std::fs::metadata(&path).ok()?.len() > LONGEST {
            return None;
        }
        std::fs::read(path).ok()
    }

    fn write(&self, what: &str, suffix: &str, bytes: &[u8]) {
        if let Some(path) = self.place(what, suffix) {
            let _ = whole_file::write(&path, |file| file.write_all(bytes));
        }
    }

    fn place(&self, what: &str, suffix: &str) -> Option<PathBuf> {
        let mut hash = Sha256::new();
        hash.update(format!("{} {what}", self.ground));
        Some(self.folder.as_ref()?.join(format!("{}.{suffix}", hex(&hash.finalize()[..NAME]))))
    }
}

/// A file's name, size and time, which tell it from others without reading gigabytes.
pub fn stamp(path: &Path) -> String {
    grid::stamp(path)
}

/// A hash of a file's content.
///
/// # Errors
/// When it cannot be read.
pub fn content(path: &Path) -> Result<String> {
    let mut file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut hash = Sha256::new();
    std::io::copy(&mut file, &mut hash).with_context(|| path.display().to_string())?;
    Ok(hex(&hash.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strength::{Point, Response};

    #[test]
    fn what_was_kept_is_found_for_the_same_ground_only() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = |ground: &str| Shelf {
            folder: Some(folder.path().join("x.judge")),
            ground: ground.to_owned(),
            is_closed: false,
        };
        let means = |scores: &[f64]| Response::of(vec![Point { strength: 1.0, scores: scores.to_vec() }]);
        let first = means(&[0.1, 1.0 / 3.0]);
        let second = Response { interval: [f64::NEG_INFINITY, f64::INFINITY], ..means(&[]) };
        shelf("a").keep("first", &first);
        shelf("a").keep("second", &second);
        assert_eq!(shelf("a").read("first"), Some(first.clone()));
        assert_eq!(shelf("a").read("second"), Some(second));
        assert_eq!(shelf("b").read::<Response>("first"), None);
        assert_eq!(shelf("a").on("c").read::<Response>("first"), None);
        assert_eq!(Shelf { is_closed: true, ..shelf("a") }.read::<Response>("first"), None);
        assert_eq!(Shelf::default().read::<Response>("first"), None);

        let image = Rgb { width: 2, height: 1, data: vec![1, 2, 3, 4, 5, 6] };
        let picture = Kept { image, latents: vec![0.5, -1.5] };
        shelf("a").keep_picture("first", &picture);
        assert_eq!(shelf("a").picture("first"), Some(picture));
        shelf("a").forget_pictures();
        assert_eq!(shelf("a").picture("first"), None);
        assert_eq!(shelf("a").read("first"), Some(first));
    }
}
