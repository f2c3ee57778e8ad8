//! What the metadata says of the images: folders, tags and buckets, as JSON in sd-scripts' order.

use serde::Serialize;

use super::Entries;
use super::python::{Ordered, json};

/// Facts about the images of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DatasetFacts {
    /// Training images × repeats (`ss_num_train_images`).
    pub train_images: u64,
    /// Images that are held out (`ss_num_validation_images`).
    pub validation_images: u64,
    /// Regularization images × repeats (`ss_num_reg_images`).
    pub reg_images: u64,
    /// Training folders (`ss_dataset_dirs`).
    pub dataset_dirs: Vec<Dir>,
    /// Regularization folders (`ss_reg_dataset_dirs`).
    pub reg_dataset_dirs: Vec<Dir>,
    /// Per folder how many captions hold each tag, in order of first appearance (`ss_tag_frequency`).
    pub tag_frequency: Vec<(String, Vec<(String, u64)>)>,
    /// Buckets; `None` without bucketing (`ss_bucket_info`).
    pub bucket_info: Option<BucketInfo>,
    /// The same of each data set of a `--dataset_config` (`ss_datasets`).
    pub sets: Vec<DatasetFacts>,
}

/// A concept folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dir {
    /// Folder name with its number.
    pub name: String,
    /// The number.
    pub n_repeats: u32,
    /// Images in the folder.
    pub img_count: usize,
}

/// How images fell into buckets.
#[derive(Debug, Clone, PartialEq)]
pub struct BucketInfo {
    /// (width, height) and number of uses per epoch of each bucket in use.
    pub buckets: Vec<((u32, u32), u64)>,
    /// Mean difference of aspect ratio between images and their buckets.
    pub mean_img_ar_error: f64,
}

#[derive(Serialize)]
struct DirValue {
    n_repeats: u32,
    img_count: usize,
}

#[derive(Serialize)]
struct BucketValue {
    resolution: (u32, u32),
    count: u64,
}

#[derive(Serialize)]
pub(super) struct BucketInfoValue {
    buckets: OwnedBuckets,
    mean_img_ar_error: f64,
}

/// Buckets under their numbers, in order.
struct OwnedBuckets(Vec<(usize, BucketValue)>);

impl Serialize for OwnedBuckets {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Ordered(&self.0).serialize(serializer)
    }
}

pub(super) fn bucket_info(info: &BucketInfo) -> BucketInfoValue {
    let value = |(index, &(resolution, count))| (index, BucketValue { resolution, count });
    let buckets = OwnedBuckets(info.buckets.iter().enumerate().map(value).collect());
    BucketInfoValue { buckets, mean_img_ar_error: info.mean_img_ar_error }
}

pub(super) fn put(entries: &mut Entries, facts: &DatasetFacts) {
    entries.put("ss_num_train_images", facts.train_images);
    entries.put("ss_num_reg_images", facts.reg_images);
    entries.put("ss_dataset_dirs", dirs(&facts.dataset_dirs));
    entries.put("ss_reg_dataset_dirs", dirs(&facts.reg_dataset_dirs));
    let tags: Vec<_> = facts.tag_frequency.iter().map(|(folder, tags)| (folder, Ordered(tags))).collect();
    entries.put("ss_tag_frequency", json(&Ordered(&tags)));
    let info = facts.bucket_info.as_ref().map(|info| json(&bucket_info(info)));
    entries.put("ss_bucket_info", info.unwrap_or_else(|| "null".into()));
}

fn dirs(dirs: &[Dir]) -> String {
    let value = |dir: &Dir| (dir.name.clone(), DirValue { n_repeats: dir.n_repeats, img_count: dir.img_count });
    json(&Ordered(&dirs.iter().map(value).collect::<Vec<_>>()))
}
