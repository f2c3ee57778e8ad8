//! What was found in the image folders and how many steps it makes, as plain data: folders, buckets, what is left out,
//! warnings. Words for a screen are made where they are shown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lorabake_recipe::data::{Data, RegPairing};
use lorabake_recipe::train::Duration;
use serde::{Deserialize, Serialize};

use crate::bucket::Layout;
use crate::dataset::{Dataset, LeftOut};
use crate::epoch_order::{EpochOrder, Length};
use crate::problem::{self, Problem};
use crate::size::Size;

/// Everything a user should see of the images before training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetReport {
    /// Folders with images, by what they are there for.
    pub groups: Vec<FolderGroup>,
    /// The buckets in use, by size.
    pub buckets: Vec<BucketReport>,
    /// Files and folders that take no part; their paths begin with the name of the data folder.
    pub left_out: Vec<LeftOut>,
    /// Warnings about folders, captions and settings.
    pub warnings: Vec<Problem>,
    /// Batch sizes of the data sets, each once, the smallest first.
    pub batch_sizes: Vec<usize>,
    /// Batches, epochs and steps.
    pub length: Length,
    /// What the user gave the length of the run in.
    pub length_unit: LengthUnit,
}

/// Folders that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FolderGroup {
    /// What the folders have in common.
    pub origin: Origin,
    /// The folders, in the order in which they are read.
    pub folders: Vec<FolderReport>,
}

/// Where folders come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// The `--train_data_dir`.
    TrainDir(#[serde(serialize_with = "problem::lossy")] PathBuf),
    /// The `--reg_data_dir`.
    RegDir(#[serde(serialize_with = "problem::lossy")] PathBuf),
    /// One data set of a `--dataset_config`.
    DataSet {
        /// Which data set of the file, from 1.
        number: usize,
        /// Training size in pixels.
        resolution: Size,
        /// Images per batch.
        batch_size: usize,
    },
}

/// A concept folder with images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderReport {
    /// Name of the folder, number included.
    pub name: String,
    /// Holds regularization images.
    pub is_reg: bool,
    /// Images in the folder.
    pub images: usize,
    /// Images that have a caption file; the others use `no_caption`.
    pub captioned: usize,
    /// What images without a caption file use.
    pub no_caption: NoCaption,
    /// Images that are held out for validation.
    pub held_out: usize,
    /// Repeats of each image, as the folder's name or the `--dataset_config` has them.
    pub repeats: u32,
    /// Uses of all images together per epoch; for regularization images brought to the number of training uses.
    pub uses: u64,
}

/// The caption of images that have no caption file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoCaption {
    /// The words in the folder's name, or the `class_tokens` of a `--dataset_config`; may be empty.
    FolderWords(String),
    /// The caption of the training image of the same name.
    OfTrainingImage,
}

/// A bucket in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BucketReport {
    /// Size of the bucket in pixels.
    pub size: Size,
    /// Images in the bucket.
    pub images: usize,
    /// Uses of these images per epoch.
    pub uses: usize,
    /// Mean share of an image that the crop removes, 0 to 1.
    pub cropped: f64,
    /// Images that are enlarged to fill the bucket.
    pub enlarged: usize,
}

/// What the length of a run was given in; the other one follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LengthUnit {
    /// `--max_train_epochs`
    Epochs,
    /// `--max_train_steps`
    Steps,
}

impl FolderReport {
    /// Images that are not held out.
    pub fn trained(&self) -> usize {
        self.images - self.held_out
    }

    /// Images that are not held out times repeats: their uses, before regularization images are balanced.
    pub fn repeated(&self) -> u64 {
        self.trained() as u64 * u64::from(self.repeats)
    }
}

impl DatasetReport {
    /// Gathers what there is to say of a data set whose items are placed and put in order.
    pub fn new(
        dataset: &Dataset,
        layout: &Layout,
        order: &EpochOrder,
        data: &Data,
        duration: Duration,
        length: Length,
    ) -> Self {
        let batch_sizes: BTreeSet<usize> =
            dataset.items.iter().map(|item| dataset.settings(data, item).batch_size).collect();
        Self {
            groups: groups(dataset, data),
            buckets: buckets(dataset, layout, order),
            left_out: left_out(dataset, data),
            warnings: dataset.problems.iter().chain(&layout.problems).cloned().collect(),
            batch_sizes: batch_sizes.into_iter().collect(),
            length,
            length_unit: match duration {
                Duration::Epochs(_) => LengthUnit::Epochs,
                Duration::Steps(_) => LengthUnit::Steps,
            },
        }
    }

    /// All folders, whatever group they are in.
    pub fn folders(&self) -> impl Iterator<Item = &FolderReport> {
        self.groups.iter().flat_map(|group| &group.folders)
    }
}

/// The folders of the training and of the regularization images, or of the data sets of a `--dataset_config`.
fn groups(dataset: &Dataset, data: &Data) -> Vec<FolderGroup> {
    let Some(config) = &data.config else {
        let mut groups = vec![FolderGroup {
            origin: Origin::TrainDir(data.train_dir.clone()),
            folders: folders(dataset, data, false),
        }];
        if let Some(dir) = &data.reg_dir {
            groups.push(FolderGroup { origin: Origin::RegDir(dir.clone()), folders: folders(dataset, data, true) });
        }
        return groups;
    };
    let mut groups: BTreeMap<usize, FolderGroup> = BTreeMap::new();
    for (index, folder) in dataset.folders.iter().enumerate() {
        let Some(subset) = folder.subset.and_then(|index| config.subsets.get(index)) else { continue };
        let group = groups.entry(subset.dataset).or_insert_with(|| FolderGroup {
            origin: Origin::DataSet {
                number: subset.dataset + 1,
                resolution: subset.settings.resolution,
                batch_size: subset.settings.batch_size,
            },
            folders: Vec::new(),
        });
        group.folders.push(folder_report(dataset, data, index));
    }
    groups.into_values().collect()
}

/// Reports of the folders of training or of regularization images.
fn folders(dataset: &Dataset, data: &Data, is_reg: bool) -> Vec<FolderReport> {
    let indices = (0..dataset.folders.len()).filter(|&index| dataset.folders[index].is_reg == is_reg);
    indices.map(|index| folder_report(dataset, data, index)).collect()
}

fn folder_report(dataset: &Dataset, data: &Data, index: usize) -> FolderReport {
    let folder = &dataset.folders[index];
    let images = dataset.items.iter().filter(|item| item.folder == index);
    FolderReport {
        name: folder.name.clone(),
        is_reg: folder.is_reg,
        images: folder.images,
        captioned: folder.captioned,
        no_caption: match data.reg_pairing {
            RegPairing::SameName if folder.is_reg => NoCaption::OfTrainingImage,
            _ => NoCaption::FolderWords(folder.class_tokens.clone()),
        },
        held_out: dataset.held_out_of(index),
        repeats: folder.repeats,
        uses: images.map(|item| u64::from(item.uses)).sum(),
    }
}

fn buckets(dataset: &Dataset, layout: &Layout, order: &EpochOrder) -> Vec<BucketReport> {
    let mut reports = Vec::new();
    for (size, uses) in order.uses_per_bucket() {
        let mut images = 0;
        let mut cropped = 0.0;
        let mut enlarged = 0;
        for (item, placement) in dataset.items.iter().zip(&layout.placements) {
            if item.uses == 0 || placement.bucket != size {
                continue;
            }
            images += 1;
            cropped += placement.cropped_share();
            if placement.resized.0 > item.size.0 || placement.resized.1 > item.size.1 {
                enlarged += 1;
            }
        }
        reports.push(BucketReport { size, images, uses, cropped: cropped / images as f64, enlarged });
    }
    reports
}

fn left_out(dataset: &Dataset, data: &Data) -> Vec<LeftOut> {
    let mut files = dataset.left_out.clone();
    for file in &mut files {
        file.path = short(&file.path, data);
    }
    files
}

/// A path without the part that the user typed anyway.
fn short(path: &Path, data: &Data) -> PathBuf {
    for root in [Some(&data.train_dir), data.reg_dir.as_ref()].into_iter().flatten() {
        if let Ok(inner) = path.strip_prefix(root) {
            return Path::new(root.file_name().unwrap_or_default()).join(inner);
        }
    }
    path.to_owned()
}
