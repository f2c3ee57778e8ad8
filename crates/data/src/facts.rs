//! What a LoRA file's metadata says of its data set (`ss_dataset_dirs`, `ss_tag_frequency`, `ss_bucket_info`, …).
//!
//! Plain values with sd-scripts' meaning and order; spelling them as JSON is the metadata writer's work.

use std::collections::{BTreeSet, HashMap};

use lorabake_recipe::data::Data;

use crate::bucket::Layout;
use crate::dataset::{Dataset, Folder, Item};
use crate::size::Size;

/// Facts about a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
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
}

/// A concept folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dir {
    /// Folder name, with its number.
    pub name: String,
    /// The number.
    pub n_repeats: u32,
    /// Images in the folder that are trained on.
    pub img_count: usize,
}

/// How images fell into buckets.
#[derive(Debug, Clone, PartialEq)]
pub struct BucketInfo {
    /// Size and number of uses per epoch of each bucket in use; the index is the key in the metadata.
    pub buckets: Vec<(Size, u64)>,
    /// Mean over the used images of |bucket ratio - image ratio|, without repeats.
    pub mean_img_ar_error: f64,
}

impl Facts {
    /// Gathers the facts of a placed data set.
    pub fn new(dataset: &Dataset, layout: &Layout) -> Self {
        let images = |is_reg: bool| {
            let items = dataset.items.iter().filter(move |item| item.is_reg == is_reg && !item.held_out);
            items.map(|item| u64::from(item.repeats)).sum()
        };
        let dirs = |is_reg: bool| {
            let folders = dataset.folders.iter().enumerate().filter(|(_, folder)| folder.is_reg == is_reg);
            let dir = |(index, f): (usize, &Folder)| {
                let img_count = f.images - dataset.held_out_of(index);
                (img_count > 0).then(|| Dir { name: f.name.clone(), n_repeats: f.repeats, img_count })
            };
            let mut dirs: Vec<Dir> = folders.filter_map(dir).collect();
            // A folder that several subsets use is there as often; sd-scripts numbers its name.
            for at in (0..dirs.len()).rev() {
                let earlier = dirs[..at].iter().filter(|dir| dir.name == dirs[at].name).count();
                if earlier > 0 {
                    dirs[at].name += &format!(" ({})", earlier + 1);
                }
            }
            dirs
        };
        Self {
            train_images: images(false),
            validation_images: dataset.items.iter().filter(|item| item.held_out).count() as u64,
            reg_images: images(true),
            dataset_dirs: dirs(false),
            reg_dataset_dirs: dirs(true),
            tag_frequency: tag_frequency(dataset),
            bucket_info: layout.bucketing.then(|| bucket_info(dataset, layout)),
        }
    }
}

/// The facts of each data set of a `--dataset_config` by itself; none without one.
pub fn of_sets(dataset: &Dataset, layout: &Layout, data: &Data) -> Vec<Facts> {
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
        Facts::new(&own, &placed)
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
