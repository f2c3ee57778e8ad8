//! What a LoRA file's metadata says of its data set (`ss_dataset_dirs`, `ss_tag_frequency`, `ss_bucket_info`, …).
//!
//! Plain values with sd-scripts' meaning and order; spelling them as JSON is the metadata writer's work.

use std::collections::{BTreeSet, HashMap};

use lorabake_recipe::data::Data;
use lorabake_recipe::data::dataset_facts::{BucketInfo, DatasetFacts, Dir};

use crate::bucket::Layout;
use crate::problem::Size;
use crate::scan::{Dataset, Item};

/// Gathers the facts of a placed data set; those of its parts by themselves are [`of_sets`].
pub fn of_dataset(dataset: &Dataset, layout: &Layout) -> DatasetFacts {
    DatasetFacts {
        train_images: images(dataset, false),
        validation_images: dataset.items.iter().filter(|item| item.held_out).count() as u64,
        reg_images: images(dataset, true),
        dataset_dirs: dirs(dataset, false),
        reg_dataset_dirs: dirs(dataset, true),
        tag_frequency: tag_frequency(dataset),
        bucket_info: layout.bucketing.then(|| bucket_info(dataset, layout)),
        sets: Vec::new(),
    }
}

/// Images that are trained on × their repeats.
fn images(dataset: &Dataset, is_reg: bool) -> u64 {
    let items = dataset.items.iter().filter(|item| item.is_reg == is_reg && !item.held_out);
    items.map(|item| u64::from(item.repeats)).sum()
}

/// Folders with the number of their images that are trained on.
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
    let facts = |group: usize| {
        let mut own = Dataset { folders: Vec::new(), items: Vec::new(), left_out: Vec::new(), problems: Vec::new() };
        let mut placed = Layout { placements: Vec::new(), buckets: Vec::new(), bucketing: false, problems: Vec::new() };
        for (index, folder) in dataset.folders.iter().enumerate() {
            let Some(subset) = folder.subset.map(|subset| &config.subsets[subset]) else { continue };
            if subset.dataset != group {
                continue;
            }
            placed.bucketing |= subset.settings.buckets.is_some();
            for (item, placement) in dataset.items.iter().zip(&layout.placements).filter(|(i, _)| i.folder == index) {
                own.items.push(Item { folder: own.folders.len(), ..item.clone() });
                placed.placements.push(*placement);
            }
            own.folders.push(folder.clone());
        }
        let used = own.items.iter().zip(&placed.placements).filter(|(item, _)| item.uses > 0);
        let buckets: BTreeSet<Size> = used.map(|(_, placement)| placement.bucket).collect();
        placed.buckets = buckets.into_iter().collect();
        of_dataset(&own, &placed)
    };
    (0..=last).map(facts).collect()
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
    let used = || dataset.items.iter().zip(&layout.placements).filter(|(item, _)| item.uses > 0);
    let count = |bucket: Size| used().filter(|(_, p)| p.bucket == bucket).map(|(item, _)| u64::from(item.uses)).sum();
    let errors: Vec<f64> = used().map(|(_, placement)| placement.ar_error.abs()).collect();
    BucketInfo {
        buckets: layout.buckets.iter().map(|&bucket| (bucket, count(bucket))).collect(),
        mean_img_ar_error: errors.iter().sum::<f64>() / errors.len().max(1) as f64,
    }
}
