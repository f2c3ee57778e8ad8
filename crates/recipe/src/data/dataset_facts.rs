//! What a LoRA file's metadata says of its images (`ss_dataset_dirs`, `ss_tag_frequency`, `ss_bucket_info`, ...).
//!
//! Plain values with sd-scripts' meaning and order. The crate `data` gathers them, and `weights` spells them as JSON.

use serde::{Deserialize, Serialize};

/// Facts about the images of a run, or of one data set of a `--dataset_config`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DatasetFacts {
    /// Training images × repeats (`ss_num_train_images`).
    pub train_images: u64,
    /// Images that are held out (`ss_num_validation_images`).
    pub validation_images: u64,
    /// Regularization images × repeats, before they are balanced (`ss_num_reg_images`).
    pub reg_images: u64,
    /// Training folders (`ss_dataset_dirs`).
    pub dataset_dirs: Vec<Dir>,
    /// Regularization folders (`ss_reg_dataset_dirs`).
    pub reg_dataset_dirs: Vec<Dir>,
    /// Per folder name, how many captions hold each tag, in order of first appearance (`ss_tag_frequency`).
    pub tag_frequency: Vec<(String, Vec<(String, u64)>)>,
    /// Buckets; `None` without bucketing (`ss_bucket_info`, `null` then).
    pub bucket_info: Option<BucketInfo>,
    /// Facts about each data set of a `--dataset_config` by itself (`ss_datasets`); none without one.
    pub sets: Vec<DatasetFacts>,
}

/// A concept folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dir {
    /// Folder name, with its number.
    pub name: String,
    /// The number.
    pub n_repeats: u32,
    /// Images in the folder that are trained on.
    pub img_count: usize,
}

/// How images fell into buckets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BucketInfo {
    /// (width, height) in pixels and number of uses per epoch of each bucket in use; the index is the key in the metadata.
    pub buckets: Vec<((u32, u32), u64)>,
    /// Mean over the used images of |bucket ratio - image ratio|, without repeats.
    pub mean_img_ar_error: f64,
}
