//! What the metadata says of the data sets of a `--dataset_config`: `ss_datasets`, which takes the place of the entries
//! about the only data set. Keys and their order are those of sd-scripts' `train_network.py`.

use lorabake_recipe::data::Data;
use lorabake_recipe::data::dataset_facts::DatasetFacts;
use lorabake_recipe::data::{DatasetConfig, Subset};
use serde::Serialize;

use super::Entries;
use super::dataset::{BucketInfoValue, bucket_info};
use super::python::{Ordered, json};

/// Entries that a run with a `--dataset_config` does not have.
const REPLACED: [&str; 14] = [
    "ss_batch_size_per_device",
    "ss_total_batch_size",
    "ss_resolution",
    "ss_color_aug",
    "ss_flip_aug",
    "ss_random_crop",
    "ss_shuffle_caption",
    "ss_enable_bucket",
    "ss_bucket_no_upscale",
    "ss_min_bucket_reso",
    "ss_max_bucket_reso",
    "ss_keep_tokens",
    "ss_reg_dataset_dirs",
    "ss_bucket_info",
];

#[derive(Serialize)]
struct SetValue<'f> {
    is_dreambooth: bool,
    batch_size_per_device: usize,
    num_train_images: u64,
    num_reg_images: u64,
    resolution: (u32, u32),
    enable_bucket: bool,
    min_bucket_reso: Option<u32>,
    max_bucket_reso: Option<u32>,
    tag_frequency: Ordered<'f, &'f String, Ordered<'f, String, u64>>,
    bucket_info: Option<BucketInfoValue>,
    resize_interpolation: Option<String>,
    subsets: Vec<SubsetValue<'f>>,
}

#[derive(Serialize)]
struct SubsetValue<'f> {
    img_count: usize,
    num_repeats: u32,
    color_aug: bool,
    flip_aug: bool,
    random_crop: bool,
    shuffle_caption: bool,
    keep_tokens: usize,
    keep_tokens_separator: &'f str,
    secondary_separator: Option<&'f String>,
    enable_wildcard: bool,
    caption_prefix: Option<&'f String>,
    caption_suffix: Option<&'f String>,
    resize_interpolation: Option<String>,
    image_dir: String,
    class_tokens: Option<&'f String>,
    is_reg: bool,
}

pub(super) fn put(entries: &mut Entries, config: &DatasetConfig, sets: &[DatasetFacts]) {
    entries.0.retain(|key, _| !REPLACED.contains(&key.as_str()));
    let tags: Vec<Vec<_>> = sets
        .iter()
        .map(|facts| facts.tag_frequency.iter().map(|(folder, tags)| (folder, Ordered(tags))).collect())
        .collect();
    let mut values: Vec<Option<SetValue>> = Vec::new();
    for (index, (facts, tags)) in sets.iter().zip(&tags).enumerate() {
        let subsets: Vec<&Subset> = config.subsets.iter().filter(|subset| subset.dataset == index).collect();
        values.push(set(facts, Ordered(tags), &subsets));
    }
    entries.put("ss_datasets", json(&values));
}

fn set<'f>(
    facts: &DatasetFacts,
    tag_frequency: Ordered<'f, &'f String, Ordered<'f, String, u64>>,
    subsets: &[&'f Subset],
) -> Option<SetValue<'f>> {
    let Data { resolution, buckets, batch_size, .. } = &subsets.first()?.settings;
    let (mut train, mut reg) = (facts.dataset_dirs.iter(), facts.reg_dataset_dirs.iter());
    let mut images = |is_reg: bool| if is_reg { &mut reg } else { &mut train }.next().map_or(0, |dir| dir.img_count);
    Some(SetValue {
        is_dreambooth: true,
        batch_size_per_device: *batch_size,
        num_train_images: facts.train_images,
        num_reg_images: facts.reg_images,
        resolution: *resolution,
        enable_bucket: buckets.is_some(),
        min_bucket_reso: buckets.as_ref().map(|buckets| buckets.min),
        max_bucket_reso: buckets.as_ref().map(|buckets| buckets.max),
        tag_frequency,
        bucket_info: facts.bucket_info.as_ref().map(bucket_info),
        resize_interpolation: None,
        subsets: subsets.iter().map(|subset| one(subset, images(subset.is_reg))).collect(),
    })
}

fn one(subset: &Subset, img_count: usize) -> SubsetValue<'_> {
    let Data { captions, flip_aug, color_aug, random_crop, train_dir, .. } = &subset.settings;
    SubsetValue {
        img_count,
        num_repeats: subset.repeats,
        color_aug: *color_aug,
        flip_aug: *flip_aug,
        random_crop: *random_crop,
        shuffle_caption: captions.shuffle,
        keep_tokens: captions.keep_tokens,
        keep_tokens_separator: captions.keep_separator.as_deref().unwrap_or_default(),
        secondary_separator: captions.secondary_separator.as_ref(),
        enable_wildcard: captions.wildcards,
        caption_prefix: captions.prefix.as_ref(),
        caption_suffix: captions.suffix.as_ref(),
        resize_interpolation: None,
        image_dir: train_dir.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        class_tokens: Some(&subset.class_tokens).filter(|words| !words.is_empty()),
        is_reg: subset.is_reg,
    }
}
