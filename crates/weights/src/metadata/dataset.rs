//! What the metadata says of the images: folders, tags and buckets, as JSON in sd-scripts' order.

use serde::Serialize;

use lorabake_recipe::data::dataset_facts::{BucketInfo, DatasetFacts, Dir};

use super::Entries;
use super::python::{Ordered, json};

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
