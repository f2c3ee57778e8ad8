//! What a LoRA file's metadata says of its data set (`ss_dataset_dirs`, `ss_tag_frequency`, `ss_bucket_info`, …).
//!
//! Plain values with sd-scripts' meaning and order; spelling them as JSON is the metadata writer's work.

use std::collections::{BTreeMap, HashMap};

use lorabake_recipe::data::Data;
use lorabake_recipe::data::DatasetConfig;
use lorabake_recipe::data::dataset_facts::{BucketInfo, DatasetFacts, Dir};

use crate::bucket::{Layout, used_buckets};
use crate::dataset::{Dataset, Item};
use crate::size::Size;

/// Gathers the facts of a placed data set; those of its parts by themselves are [`of_sets`].
pub fn of_dataset(dataset: &Dataset, layout: &Layout) -> DatasetFacts {
    DatasetFacts {
        train_images: images_times_repeats(dataset, false),
        validation_images: dataset.items.iter().filter(|item| item.held_out).count() as u64,
        reg_images: images_times_repeats(dataset, true),
        dataset_dirs: dirs(dataset, false),
        reg_dataset_dirs: dirs(dataset, true),
        tag_frequency: tag_frequency(dataset),
        bucket_info: if layout.bucketing { Some(bucket_info(dataset, layout)) } else { None },
        sets: Vec::new(),
    }
}

fn images_times_repeats(dataset: &Dataset, is_reg: bool) -> u64 {
    let images = dataset.items.iter().filter(|item| item.is_reg == is_reg && !item.held_out);
    images.map(|item| u64::from(item.repeats)).sum()
}

/// The folders of training or regularization images from which something is trained on.
fn dirs(dataset: &Dataset, is_reg: bool) -> Vec<Dir> {
    let mut dirs: Vec<Dir> = Vec::new();
    for (index, folder) in dataset.folders.iter().enumerate() {
        let img_count = folder.images - dataset.held_out_of(index);
        if folder.is_reg == is_reg && img_count > 0 {
            dirs.push(Dir { name: folder.name.clone(), n_repeats: folder.repeats, img_count });
        }
    }
    // A folder that several subsets use is there as often; sd-scripts numbers its name.
    for at in (0..dirs.len()).rev() {
        let earlier = dirs[..at].iter().filter(|dir| dir.name == dirs[at].name).count();
        if earlier > 0 {
            dirs[at].name += &format!(" ({})", earlier + 1);
        }
    }
    dirs
}

/// The facts of each data set of a `--dataset_config` by itself; none without one.
pub fn of_sets(dataset: &Dataset, layout: &Layout, data: &Data) -> Vec<DatasetFacts> {
    let Some(config) = &data.config else { return Vec::new() };
    let last = config.subsets.iter().map(|subset| subset.dataset).max().unwrap_or(0);
    (0..=last).map(|group| of_set(dataset, layout, config, group)).collect()
}

/// The facts of one data set: those of a data set that has nothing but its folders.
fn of_set(dataset: &Dataset, layout: &Layout, config: &DatasetConfig, group: usize) -> DatasetFacts {
    let mut own = Dataset::default();
    let mut placements = Vec::new();
    let mut bucketing = false;
    for (index, folder) in dataset.folders.iter().enumerate() {
        let Some(subset) = folder.subset.map(|subset| &config.subsets[subset]) else { continue };
        if subset.dataset != group {
            continue;
        }
        bucketing |= subset.settings.buckets.is_some();
        for (item, placement) in dataset.items.iter().zip(&layout.placements) {
            if item.folder == index {
                own.items.push(Item { folder: own.folders.len(), ..item.clone() });
                placements.push(*placement);
            }
        }
        own.folders.push(folder.clone());
    }
    let buckets = used_buckets(&own.items, &placements);
    of_dataset(&own, &Layout { placements, buckets, bucketing, problems: Vec::new() })
}

fn tag_frequency(dataset: &Dataset) -> Vec<(String, Vec<(String, u64)>)> {
    let mut folders: Vec<(String, Vec<(String, u64)>)> = Vec::new();
    let mut places: HashMap<(usize, String), usize> = HashMap::new();
    for item in dataset.items.iter().filter(|item| !item.held_out) {
        // Captions of a folder that was in another data set already count once.
        let path = &dataset.folders[item.folder].path;
        if dataset.folders[..item.folder].iter().any(|earlier| earlier.path == *path) {
            continue;
        }
        let name = &dataset.folders[item.folder].name;
        let folder = folders.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            folders.push((name.clone(), Vec::new()));
            folders.len() - 1
        });
        let tags = &mut folders[folder].1;
        // The comma is fixed, whatever --caption_separator says.
        for tag in item.caption.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_lowercase) {
            let place = *places.entry((folder, tag.clone())).or_insert(tags.len());
            match tags.get_mut(place) {
                Some((_, count)) => *count += 1,
                None => tags.push((tag, 1)),
            }
        }
    }
    folders
}

fn bucket_info(dataset: &Dataset, layout: &Layout) -> BucketInfo {
    let mut uses: BTreeMap<Size, u64> = BTreeMap::new();
    let mut errors = Vec::new();
    for (item, placement) in dataset.items.iter().zip(&layout.placements) {
        if item.uses > 0 {
            *uses.entry(placement.bucket).or_default() += u64::from(item.uses);
            errors.push(placement.ar_error.abs());
        }
    }
    BucketInfo {
        buckets: uses.into_iter().collect(),
        mean_img_ar_error: errors.iter().sum::<f64>() / errors.len().max(1) as f64,
    }
}
