//! Concept folders: which folders of a data folder are some, and what one holds.
//!
//! Source: sd-scripts `generate_dreambooth_subsets_config_by_subdirs`, `load_dreambooth_dir`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lorabake_recipe::data::captions::CaptionRules;
use lorabake_recipe::data::{Data, Mask, RegPairing};
use rayon::prelude::*;

use super::caption_files::{CaptionFiles, ImageFile};
use super::folder::{Root, images_below, is_image, is_special, leftover, list, unused};
use super::masks;
use crate::caption::{self, CaptionText};
use crate::dataset::{Dataset, Folder, Item, LeftOut};
use crate::error::{Error, Errors};
use crate::image::probe;
use crate::paths::{IGNORES_CASE, comparable_stem, name};
use crate::problem::{self, Problem, Reason, examples};

/// More repeats than this are an error: a date taken for a number would fill the memory.
const MOST_REPEATS: i64 = 100_000;
/// More repeats than this look like a year.
const MANY_REPEATS: u32 = 500;

/// A folder whose images are used equally often.
pub(super) struct Concept {
    pub path: PathBuf,
    pub name: String,
    pub repeats: u32,
    pub class_tokens: String,
    /// Index of the subset of the `--dataset_config` that names the folder.
    pub subset: Option<usize>,
}

/// What the name of a concept folder says: `4_red_hat` is 4 repeats of `red_hat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConceptName {
    /// The number.
    pub repeats: i64,
    /// What follows it.
    pub class_tokens: String,
}

impl ConceptName {
    /// `None` if the name does not begin with a number.
    pub fn parse(name: &str) -> Option<Self> {
        let (number, words) = name.split_once('_').unwrap_or((name, ""));
        let repeats = number.trim().parse().ok()?;
        Some(Self { repeats, class_tokens: words.to_owned() })
    }
}

/// What a data folder holds.
pub(super) struct DataFolder {
    pub concepts: Vec<Concept>,
    pub left_out: Vec<LeftOut>,
}

impl DataFolder {
    /// Looks for concept folders directly in a data folder.
    pub(super) fn read(root: &Root) -> Result<Self, Error> {
        let mut concepts = Vec::new();
        let mut left_out = Vec::new();
        for path in list(root)? {
            if !path.is_dir() {
                if let Some(reason) = loose_file(unused(&path)) {
                    left_out.push(LeftOut { path, reason });
                }
                continue;
            }
            let name = name(&path);
            if let Some(reason) = leftover(&name) {
                if images_below(&path) > 0 {
                    left_out.push(LeftOut { path, reason });
                }
                continue;
            }
            let Some(ConceptName { repeats, class_tokens }) = ConceptName::parse(&name) else {
                let reason = match images_below(&path) {
                    0 => Reason::EmptyFolder,
                    images => Reason::NoRepeats { name, images },
                };
                left_out.push(LeftOut { path, reason });
                continue;
            };
            match repeats {
                ..1 => left_out.push(LeftOut { path, reason: Reason::ZeroRepeats(repeats) }),
                1..=MOST_REPEATS => {
                    concepts.push(Concept { path, name, repeats: repeats as u32, class_tokens, subset: None });
                }
                _ => return Err(Error::Repeats { path, repeats, limit: MOST_REPEATS }),
            }
        }
        Ok(Self { concepts, left_out })
    }
}

/// Why a file beside the concept folders is left out; `None` for what nobody would take for an image of the set.
fn loose_file(unused: Option<Reason>) -> Option<Reason> {
    match unused {
        None => Some(Reason::OutsideConcept),
        Some(Reason::UnsupportedType(extension)) => Some(Reason::UnsupportedType(extension)),
        Some(_) => None,
    }
}

/// Reads the images of a concept folder into the data set; `data` are the folder's settings. What can be used is there also if
/// errors are returned.
pub(super) fn read(dataset: &mut Dataset, data: &Data, root: &Root, concept: Concept) -> Result<(), Errors> {
    let images = image_files(dataset, data, root, &concept)?;
    if images.is_empty() {
        dataset.left_out.push(LeftOut { path: concept.path, reason: Reason::EmptyFolder });
        return Ok(());
    }
    let mut folder = Folder {
        name: concept.name,
        path: concept.path,
        repeats: concept.repeats,
        class_tokens: concept.class_tokens,
        is_reg: root.is_reg,
        subset: concept.subset,
        images: 0,
        captioned: 0,
    };
    let index = dataset.folders.len();
    let read: Vec<_> = images.par_iter().map(|image| read_item(image, &folder, index, &data.captions)).collect();
    let mut items = Vec::new();
    let mut errors = Vec::new();
    let mut cut_short = Vec::new();
    let mut usable = Vec::with_capacity(images.len());
    for (result, image) in read.into_iter().zip(images) {
        match result {
            Ok(ItemRead { item, has_unread_lines }) => {
                // A caption without anything in its first line has a warning of its own.
                if has_unread_lines && !item.caption.is_empty() {
                    cut_short.extend(image.caption.as_deref().map(name));
                }
                items.push(item);
                usable.push(image);
            }
            Err(found) => errors.extend(found.0),
        }
    }
    let images = usable;
    folder.images = images.len();
    folder.captioned = images.iter().filter(|image| image.caption.is_some()).count();
    if let Some(Mask::Folder(masks)) = &data.mask
        && !folder.is_reg
    {
        errors.extend(masks::assign(masks, &folder, &mut items, &mut dataset.problems));
    }
    let by_partner = folder.is_reg && data.reg_pairing == RegPairing::SameName;
    dataset.problems.extend(warnings(&folder, &images, &items, by_partner));
    // The captions of a folder that is in another data set too count once.
    if dataset.folders.iter().all(|earlier| earlier.path != folder.path) {
        problem::add_unread_lines(&mut dataset.problems, &cut_short);
        dataset.problems.extend(same_names(&folder.name, &images));
    }
    dataset.items.append(&mut items);
    dataset.folders.push(folder);
    Errors::check(errors)
}

/// The images of a concept folder with their captions; everything else in it is noted as left out.
fn image_files(dataset: &mut Dataset, data: &Data, root: &Root, concept: &Concept) -> Result<Vec<ImageFile>, Error> {
    let mut paths = Vec::new();
    let mut others = Vec::new();
    for path in list(&Root { dir: &concept.path, ..*root })? {
        if path.is_dir() {
            let images = images_below(&path);
            if images > 0 {
                let nested = || Reason::Nested { images, into: concept.name.clone() };
                let reason = leftover(&name(&path)).unwrap_or_else(nested);
                dataset.left_out.push(LeftOut { path, reason });
            }
        } else if is_special(&path) {
            dataset.left_out.push(LeftOut { path, reason: Reason::NotAnImage });
        } else if is_image(&path) {
            paths.push(path);
        } else {
            others.push(path);
        }
    }
    let captions = CaptionFiles::new(&others, data.caption_extension.as_deref(), IGNORES_CASE);
    let mut images = Vec::new();
    for path in paths {
        let caption = captions.of(&path);
        images.push(ImageFile { path, caption });
    }
    dataset.left_out.extend(captions.left_out(others, &images));
    Ok(images)
}

/// An item as it was read.
struct ItemRead {
    item: Item,
    /// Its caption file has lines that are neither blank nor used.
    has_unread_lines: bool,
}

/// Reads an image's header and caption; both may be at fault.
fn read_item(image: &ImageFile, folder: &Folder, index: usize, rules: &CaptionRules) -> Result<ItemRead, Errors> {
    let size = probe::size(&image.path).map_err(Error::from);
    let caption = match &image.caption {
        Some(file) => caption::read(file, rules),
        None => Ok(CaptionText { text: folder.class_tokens.clone(), has_unread_lines: false }),
    };
    let (size, caption) = match (size, caption) {
        (Ok(size), Ok(caption)) => (size, caption),
        (size, caption) => return Err(Errors(size.err().into_iter().chain(caption.err()).collect())),
    };
    let item = Item {
        path: image.path.clone(),
        caption: caption.text,
        caption_file: image.caption.clone(),
        mask: None,
        repeats: folder.repeats,
        uses: folder.repeats,
        is_reg: folder.is_reg,
        held_out: false,
        size,
        folder: index,
    };
    Ok(ItemRead { item, has_unread_lines: caption.has_unread_lines })
}

/// A warning about images whose names differ in their suffix only.
fn same_names(folder: &str, images: &[ImageFile]) -> Option<Problem> {
    let mut by_stem: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for image in images {
        by_stem.entry(comparable_stem(&image.path)).or_default().push(name(&image.path));
    }
    by_stem.retain(|_, names| names.len() > 1);
    let others = by_stem.len().checked_sub(1)?;
    let (_, names) = by_stem.pop_first()?;
    Some(Problem::SameName { folder: folder.to_owned(), names, others })
}

/// Warnings about a folder; `by_partner` if images without a caption get that of the training image of their name.
fn warnings(folder: &Folder, images: &[ImageFile], items: &[Item], by_partner: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut missing = Vec::new();
    if !by_partner {
        missing.extend(images.iter().filter(|image| image.caption.is_none()).map(|image| name(&image.path)));
    }
    if missing.len() == images.len() && folder.class_tokens.trim().is_empty() {
        problems.push(Problem::NothingToSay { folder: folder.name.clone() });
    } else if !missing.is_empty() && folder.captioned > 0 {
        problems.push(Problem::CaptionsMissing {
            folder: folder.name.clone(),
            missing: missing.len(),
            images: images.len(),
            instead: folder.class_tokens.clone(),
            examples: examples(&missing),
        });
    }
    for (image, item) in images.iter().zip(items) {
        if let Some(path) = &image.caption
            && item.caption.is_empty()
        {
            problems.push(Problem::BlankCaption { path: path.clone() });
        }
    }
    if folder.repeats > MANY_REPEATS {
        problems.push(Problem::ManyRepeats { folder: folder.name.clone(), repeats: folder.repeats });
    }
    problems
}
