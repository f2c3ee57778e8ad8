//! What a scan of the folders gives: images with their captions, the folders that they are in, and what is left out.

use std::path::PathBuf;

use lorabake_recipe::data::Data;
use lorabake_recipe::data::Subset;
use serde::{Deserialize, Serialize};

use crate::problem::{self, Problem, Reason};
use crate::size::Size;

/// Everything found in the folders of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dataset {
    /// Concept folders that have images; training folders first.
    pub folders: Vec<Folder>,
    /// Images, in the order of their folders, then of their names; those that are held out behind all others.
    pub items: Vec<Item>,
    /// Files and folders that take no part.
    pub left_out: Vec<LeftOut>,
    /// Warnings.
    pub problems: Vec<Problem>,
}

/// A concept folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Folder {
    /// Name of the folder, number included.
    pub name: String,
    /// Path of the folder.
    pub path: PathBuf,
    /// The number that the name begins with.
    pub repeats: u32,
    /// What follows the number: the caption of images that have none.
    pub class_tokens: String,
    /// Holds regularization images.
    pub is_reg: bool,
    /// Index of the folder's subset in the `--dataset_config`, which has settings for it.
    pub subset: Option<usize>,
    /// Images in the folder.
    pub images: usize,
    /// Images in the folder that have a caption file.
    pub captioned: usize,
}

/// An image with its caption.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The image file.
    pub path: PathBuf,
    /// The caption, before the caption rules; with wildcards it may have several lines.
    pub caption: String,
    /// The file that the caption stands in; `None` if the folder's words stand in for it.
    pub caption_file: Option<PathBuf>,
    /// The image that weighs its loss (`--conditioning_data_dir`).
    pub mask: Option<PathBuf>,
    /// The folder's repeats.
    pub repeats: u32,
    /// Uses per epoch: `repeats`, except that the regularization set is cut or repeated to match the training set.
    /// An item with 0 uses needs no latents, unless it is held out.
    pub uses: u32,
    /// Is a regularization image.
    pub is_reg: bool,
    /// Is for validation only, and has 0 uses.
    pub held_out: bool,
    /// Width and height after EXIF rotation.
    pub size: Size,
    /// Index into [`Dataset::folders`].
    pub folder: usize,
}

/// A file or folder that takes no part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The file or folder.
    #[serde(serialize_with = "problem::lossy")]
    pub path: PathBuf,
    /// Why it takes no part.
    pub reason: Reason,
}

impl Item {
    /// Whether the caption stands in a file of its own.
    pub fn is_captioned(&self) -> bool {
        self.caption_file.is_some()
    }
}

impl Dataset {
    /// The settings of an item: those of its subset, or those of the run.
    pub fn settings<'d>(&self, data: &'d Data, item: &Item) -> &'d Data {
        match self.subset(data, item) {
            Some(subset) => &subset.settings,
            None => data,
        }
    }

    /// The data set of the `--dataset_config` that an item belongs to; 0 without one.
    pub fn group(&self, data: &Data, item: &Item) -> usize {
        self.subset(data, item).map_or(0, |subset| subset.dataset)
    }

    /// How many images of a folder are held out.
    pub fn held_out_of(&self, folder: usize) -> usize {
        self.items.iter().filter(|item| item.folder == folder && item.held_out).count()
    }

    fn subset<'d>(&self, data: &'d Data, item: &Item) -> Option<&'d Subset> {
        let config = data.config.as_ref()?;
        let index = self.folders.get(item.folder)?.subset?;
        config.subsets.get(index)
    }
}
