//! From folders to a [`Dataset`]: which images are there, what they are called, how often they repeat; and, by name,
//! what is left out and why. Reads headers and captions, decodes nothing.
//!
//! The layout is kohya's: `--train_data_dir` holds folders called `N_words`; their images are used N times per epoch,
//! and the words are the caption of an image that has none. Source: sd-scripts
//! `generate_dreambooth_subsets_config_by_subdirs`, `glob_images`, `load_dreambooth_dir`. Folders are taken in the
//! order of their names (there: whatever order the file system gives), images too. With `--dataset_config` the folders,
//! their repeats and their words stand in that file instead.

mod caption_files;
mod concept;
mod folder;
mod hold_out;
mod image_dir;
mod masks;
mod misplaced;
pub mod pairs;
pub mod regularization;

use lorabake_recipe::data::Data;
use lorabake_recipe::data::Subset;

pub use self::concept::ConceptName;
use self::concept::{Concept, DataFolder};
use self::folder::{Root, images_below, unread_images_below};
pub use self::folder::{folders_in, images_in};
use crate::dataset::{Dataset, Item};
use crate::error::{Error, Errors, IMAGE_DIR};
use crate::paths::name;
use crate::problem::Problem;

/// Reads the folders of a recipe's data section.
///
/// # Errors
/// Everything that keeps the run from starting, together: folders that are missing or hold no images, broken images and
/// captions, missing masks.
pub fn scan(data: &Data) -> Result<Dataset, Errors> {
    let Survey { dataset, errors } = survey(data);
    Errors::check(errors)?;
    Ok(dataset)
}

/// What can be used of the folders, and everything that keeps a run from starting.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Survey {
    /// What can be used.
    pub dataset: Dataset,
    /// What is in the way of a run.
    pub errors: Vec<Error>,
}

/// Reads the folders of a recipe's data section as [`scan()`] does, and goes on where that one stops.
pub fn survey(data: &Data) -> Survey {
    let mut dataset = Dataset::default();
    let mut errors = Vec::new();
    if let Some(config) = &data.config {
        if config.subsets.iter().all(|subset| subset.is_reg) {
            let error = Error::OnlyRegularization { file: config.file.clone() };
            return Survey { dataset, errors: vec![error] };
        }
        for (index, subset) in config.subsets.iter().enumerate() {
            if let Err(found) = read_subset(&mut dataset, index, subset) {
                errors.extend(found.0);
            }
        }
    } else {
        let mut roots = vec![Root { dir: &data.train_dir, flag: "--train_data_dir", is_reg: false }];
        if let Some(dir) = &data.reg_dir {
            roots.push(Root { dir, flag: "--reg_data_dir", is_reg: true });
        }
        for root in roots {
            if let Err(found) = read_root(&mut dataset, data, &root) {
                errors.extend(found.0);
            }
        }
    }
    let is_whole = errors.is_empty();
    dataset.problems.extend(no_captions(&dataset, data));
    let settled = hold_out::hold_out(&mut dataset, data).and_then(|()| regularization::balance(&mut dataset, data));
    // Without the files that were left out for their faults, this would tell nothing new.
    if let Err(error) = settled
        && is_whole
    {
        errors.push(error);
    }
    Survey { dataset, errors }
}

/// A warning if no training image has a caption of its own.
fn no_captions(dataset: &Dataset, data: &Data) -> Option<Problem> {
    let trained = || dataset.items.iter().filter(|item| !item.is_reg);
    let first = trained().next()?;
    if trained().any(Item::is_captioned) {
        return None;
    }
    let suffix = data.caption_extension.as_deref().unwrap_or(".txt");
    let stem = first.path.file_stem().unwrap_or_default().to_string_lossy();
    // A folder without words has a warning of its own.
    let has_words = first.caption.chars().any(|letter| !letter.is_whitespace());
    let instead = first.caption.clone();
    if has_words { Some(Problem::NoCaptions { instead, example: format!("{stem}{suffix}") }) } else { None }
}

/// Reads a folder that a `--dataset_config` names.
fn read_subset(dataset: &mut Dataset, index: usize, subset: &Subset) -> Result<(), Errors> {
    let dir = subset.settings.train_dir.as_path();
    let root = Root { dir, flag: IMAGE_DIR, is_reg: subset.is_reg };
    let concept = Concept {
        path: dir.to_owned(),
        name: name(dir),
        repeats: subset.repeats,
        class_tokens: subset.class_tokens.clone(),
        subset: Some(index),
    };
    let before = dataset.items.len();
    concept::read(dataset, &subset.settings, &root, concept)?;
    if dataset.items.len() == before {
        return Err(image_dir::explain(dir).into());
    }
    Ok(())
}

/// Reads the concept folders of `--train_data_dir` or `--reg_data_dir`.
fn read_root(dataset: &mut Dataset, data: &Data, root: &Root) -> Result<(), Errors> {
    let found = DataFolder::read(root)?;
    let mut errors = Vec::new();
    let before = dataset.items.len();
    for concept in found.concepts {
        if let Err(found) = concept::read(dataset, data, root, concept) {
            errors.extend(found.0);
        }
    }
    if dataset.items.len() > before || !errors.is_empty() {
        dataset.left_out.extend(found.left_out);
        return Errors::check(errors);
    }
    // The guides point --reg_data_dir at an empty folder when there is no regularization.
    if root.is_reg && images_below(root.dir) == 0 && unread_images_below(root.dir).is_none() {
        dataset.problems.push(Problem::NoRegularization { dir: root.dir.to_owned() });
        return Ok(());
    }
    Err(misplaced::explain(root).into())
}
