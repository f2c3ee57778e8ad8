//! From folders to a [`Dataset`]: which images are there, what they are called, how often they repeat; and, by name,
//! what is left out and why. Reads headers and captions, decodes nothing.
//!
//! The layout is kohya's: `--train_data_dir` holds folders called `N_words`; their images are used N times per epoch,
//! and the words are the caption of an image that has none. Source: sd-scripts
//! `generate_dreambooth_subsets_config_by_subdirs`, `glob_images`, `load_dreambooth_dir`. Folders are taken in the
//! order of their names (there: whatever order the file system gives), images too. With `--dataset_config` the folders,
//! their repeats and their words stand in that file instead.

use std::path::{Path, PathBuf};

use lorabake_recipe::data::Subset;
use lorabake_recipe::data::captions::CaptionRules;
use lorabake_recipe::data::{Data, Mask, RegPairing};
use rayon::prelude::*;

use crate::caption_files::Captions;
use crate::problem::{Error, Errors, Problem, Reason, Size};
use crate::{caption, hold_out, mask, misplaced, probe, reg};

/// Everything found in the folders of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Concept folders that have images; training folders first.
    pub folders: Vec<Folder>,
    /// Images, in the order of their folders, then of their names; those that are held out behind all others.
    pub items: Vec<Item>,
    /// Files and folders that take no part.
    pub left_out: Vec<(PathBuf, Reason)>,
    /// Warnings.
    pub problems: Vec<Problem>,
}

/// A concept folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Folder {
    /// Its name, number included.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// The number that its name begins with.
    pub repeats: u32,
    /// What follows the number: the caption of images that have none.
    pub class_tokens: String,
    /// Holds regularization images.
    pub is_reg: bool,
    /// Its subset in the `--dataset_config`, whose settings are its own.
    pub subset: Option<usize>,
    /// Images in it.
    pub images: usize,
    /// Images in it that have a caption file.
    pub captioned: usize,
}

/// An image with its caption.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The image file.
    pub path: PathBuf,
    /// Its caption, before the caption rules; with wildcards it may have several lines.
    pub caption: String,
    /// The caption stands in a file of its own.
    pub captioned: bool,
    /// The image that weighs its loss (`--conditioning_data_dir`).
    pub mask: Option<PathBuf>,
    /// The folder's repeats.
    pub repeats: u32,
    /// Uses per epoch: `repeats`, except that the regularization set is cut or repeated to match the training set.
    /// An item with 0 uses needs no latents, unless it is held out.
    pub uses: u32,
    /// Is a regularization image.
    pub is_reg: bool,
    /// Is for validation only, and has 0 uses.
    pub held_out: bool,
    /// Width and height after EXIF rotation.
    pub size: Size,
    /// Index into [`Dataset::folders`].
    pub folder: usize,
}

impl Dataset {
    /// The settings of an item: those of its subset, or those of the run.
    pub fn settings<'d>(&self, data: &'d Data, item: &Item) -> &'d Data {
        self.subset(data, item).map_or(data, |subset| &subset.settings)
    }

    /// The data set of the `--dataset_config` that an item belongs to; 0 without one.
    pub fn group(&self, data: &Data, item: &Item) -> usize {
        self.subset(data, item).map_or(0, |subset| subset.dataset)
    }

    /// How many images of a folder are held out.
    pub fn held_out_of(&self, folder: usize) -> usize {
        self.items.iter().filter(|item| item.folder == folder && item.held_out).count()
    }

    fn subset<'d>(&self, data: &'d Data, item: &Item) -> Option<&'d Subset> {
        data.config.as_ref()?.subsets.get(self.folders.get(item.folder)?.subset?)
    }
}

/// The image types that are read, in lower case.
pub const IMAGE_EXTENSIONS: [&str; 5] = ["png", "jpg", "jpeg", "webp", "bmp"];
/// Image types that are named as such when they are left out.
const OTHER_IMAGES: [&str; 18] = [
    "gif", "tif", "tiff", "avif", "jxl", "heic", "heif", "jfif", "jp2", "svg", "ico", "psd", "tga", "exr", "hdr",
    "dng", "apng", "ppm",
];
/// More repeats than this are an error: a date taken for a number would fill the memory.
const MOST_REPEATS: i64 = 100_000;
/// More repeats than this look like a year.
const MANY_REPEATS: u32 = 500;

/// Reads the folders of a recipe's data section. All errors are reported together.
pub fn scan(data: &Data) -> Result<Dataset, Errors> {
    let mut dataset = Dataset { folders: Vec::new(), items: Vec::new(), left_out: Vec::new(), problems: Vec::new() };
    let mut errors = Vec::new();
    match &data.config {
        Some(config) => {
            for (index, subset) in config.subsets.iter().enumerate() {
                errors.extend(read_subset(&mut dataset, index, subset).err().into_iter().flat_map(|found| found.0));
            }
        }
        None => {
            let train = Root { dir: &data.train_dir, flag: "--train_data_dir", is_reg: false };
            let reg = data.reg_dir.as_ref().map(|dir| Root { dir, flag: "--reg_data_dir", is_reg: true });
            for root in [Some(train), reg].iter().flatten() {
                errors.extend(read_root(&mut dataset, data, root).err().into_iter().flat_map(|found| found.0));
            }
        }
    }
    if !errors.is_empty() {
        return Err(Errors(errors));
    }
    hold_out::hold_out(&mut dataset, data)?;
    reg::balance(&mut dataset, data)?;
    Ok(dataset)
}

/// Reads a folder that a `--dataset_config` names.
fn read_subset(dataset: &mut Dataset, index: usize, subset: &Subset) -> Result<(), Errors> {
    let dir = subset.settings.train_dir.as_path();
    let concept = Concept {
        path: dir.to_owned(),
        name: name(dir),
        repeats: subset.repeats,
        class_tokens: subset.class_tokens.clone(),
        subset: Some(index),
    };
    let before = dataset.items.len();
    read_concept(dataset, &subset.settings, &Root { dir, flag: IMAGE_DIR, is_reg: subset.is_reg }, concept)?;
    if dataset.items.len() == before {
        return Err(Error::NoImages { flag: IMAGE_DIR, dir: dir.to_owned() }.into());
    }
    Ok(())
}

/// What names a folder of a `--dataset_config` in messages.
pub(crate) const IMAGE_DIR: &str = "image_dir";

/// The folder that a flag names.
pub(crate) struct Root<'a> {
    pub dir: &'a Path,
    pub flag: &'static str,
    pub is_reg: bool,
}

/// A folder whose name begins with a number.
struct Concept {
    path: PathBuf,
    name: String,
    repeats: u32,
    class_tokens: String,
    subset: Option<usize>,
}

fn read_root(dataset: &mut Dataset, data: &Data, root: &Root) -> Result<(), Errors> {
    let (concepts, left_out) = concepts(root)?;
    let mut errors = Vec::new();
    let before = dataset.items.len();
    for concept in concepts {
        if let Err(mut found) = read_concept(dataset, data, root, concept) {
            errors.append(&mut found.0);
        }
    }
    if !errors.is_empty() {
        return Err(Errors(errors));
    }
    if dataset.items.len() == before {
        // The guides point --reg_data_dir at an empty folder when there is no regularization.
        if root.is_reg && images_below(root.dir) == 0 {
            dataset.problems.push(Problem::NoRegularization { dir: root.dir.into() });
            return Ok(());
        }
        return Err(misplaced::explain(root).into());
    }
    dataset.left_out.extend(left_out);
    Ok(())
}

/// Files and folders with the reasons why they take no part.
pub(crate) type LeftOut = Vec<(PathBuf, Reason)>;

fn concepts(root: &Root) -> Result<(Vec<Concept>, LeftOut), Error> {
    let (mut concepts, mut left_out) = (Vec::new(), Vec::new());
    for path in list(root)? {
        let name = name(&path);
        if !path.is_dir() {
            match unused(&path) {
                None => left_out.push((path, Reason::OutsideConcept)),
                Some(reason @ Reason::UnsupportedType(_)) => left_out.push((path, reason)),
                Some(_) => {}
            }
            continue;
        }
        let Some((repeats, class_tokens)) = parse_name(&name) else {
            let images = images_below(&path);
            if !name.starts_with('.') || images > 0 {
                left_out.push((path, Reason::NoRepeats { name, images }));
            }
            continue;
        };
        match repeats {
            ..1 => left_out.push((path, Reason::ZeroRepeats(repeats))),
            1..=MOST_REPEATS => {
                let repeats = repeats as u32;
                concepts.push(Concept { path, name, repeats, class_tokens, subset: None });
            }
            _ => return Err(Error::Repeats { path, repeats, limit: MOST_REPEATS }),
        }
    }
    Ok((concepts, left_out))
}

/// Splits `4_red_hat` into 4 and `red_hat`; `None` if it does not begin with a number.
pub(crate) fn parse_name(name: &str) -> Option<(i64, String)> {
    let (number, words) = name.split_once('_').unwrap_or((name, ""));
    Some((number.trim().parse().ok()?, words.to_owned()))
}

/// Sorts a concept folder's files and reads its images.
fn read_concept(dataset: &mut Dataset, data: &Data, root: &Root, concept: Concept) -> Result<(), Errors> {
    let paths = list(&Root { dir: &concept.path, ..*root })?;
    let (folders, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.is_dir());
    let nested = folders.into_iter().map(|path| {
        let images = images_below(&path);
        (path, Reason::Nested { images, into: concept.name.clone() })
    });
    dataset.left_out.extend(nested.filter(|(_, reason)| !matches!(reason, Reason::Nested { images: 0, .. })));
    let (images, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|path| unused(path).is_none());
    let captions = Captions::new(&others, data.caption_extension.as_deref());
    let pairs: Vec<(PathBuf, Option<PathBuf>)> =
        images.into_iter().map(|image| (image.clone(), captions.of(&image))).collect();
    dataset.left_out.extend(captions.left_out(others, &pairs));
    if pairs.is_empty() {
        dataset.left_out.push((concept.path, Reason::EmptyFolder));
        return Ok(());
    }
    let folder = Folder {
        name: concept.name,
        path: concept.path,
        repeats: concept.repeats,
        class_tokens: concept.class_tokens,
        is_reg: root.is_reg,
        subset: concept.subset,
        images: pairs.len(),
        captioned: pairs.iter().filter(|(_, caption)| caption.is_some()).count(),
    };
    let read: Vec<_> =
        pairs.par_iter().map(|(image, text)| read_item(image, text.as_deref(), &folder, &data.captions)).collect();
    let (mut items, mut errors) = (Vec::new(), Vec::new());
    for result in read {
        match result {
            Ok(item) => items.push(Item { folder: dataset.folders.len(), ..item }),
            Err(mut found) => errors.append(&mut found),
        }
    }
    if let (Some(Mask::Folder(masks)), false) = (&data.mask, folder.is_reg) {
        errors.extend(mask::assign(masks, &folder, &mut items));
    }
    if !errors.is_empty() {
        return Err(Errors(errors));
    }
    let by_partner = folder.is_reg && data.reg_pairing == RegPairing::SameName;
    dataset.problems.extend(problems(&folder, &pairs, &items, by_partner));
    dataset.items.append(&mut items);
    dataset.folders.push(folder);
    Ok(())
}

fn read_item(image: &Path, text: Option<&Path>, folder: &Folder, rules: &CaptionRules) -> Result<Item, Vec<Error>> {
    let caption = text.map_or_else(|| Ok(folder.class_tokens.clone()), |text| caption::read(text, rules));
    let size = probe::size(image);
    let (repeats, is_reg) = (folder.repeats, folder.is_reg);
    match (size, caption) {
        (Ok(size), Ok(caption)) => {
            let (path, captioned) = (image.to_owned(), text.is_some());
            let (mask, held_out, folder) = (None, false, 0);
            Ok(Item { path, caption, captioned, mask, repeats, uses: repeats, is_reg, held_out, size, folder })
        }
        (size, caption) => Err(size.err().into_iter().chain(caption.err()).collect()),
    }
}

/// Warnings about a folder; `by_partner` if images without a caption get that of the training image of their name.
fn problems(folder: &Folder, pairs: &[(PathBuf, Option<PathBuf>)], items: &[Item], by_partner: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    let missing = pairs.iter().filter(|(_, text)| text.is_none() && !by_partner).map(|(image, _)| name(image));
    let missing: Vec<String> = missing.collect();
    if missing.len() == pairs.len() && folder.class_tokens.trim().is_empty() {
        problems.push(Problem::NothingToSay { folder: folder.name.clone() });
    } else if !missing.is_empty() && folder.captioned > 0 {
        let more = if missing.len() > 3 { ", …" } else { "" };
        problems.push(Problem::CaptionsMissing {
            folder: folder.name.clone(),
            missing: missing.len(),
            images: pairs.len(),
            instead: folder.class_tokens.clone(),
            examples: missing[..missing.len().min(3)].join(", ") + more,
        });
    }
    let blank = pairs.iter().zip(items).filter(|(_, item)| item.caption.is_empty());
    problems.extend(blank.filter_map(|((_, text), _)| Some(Problem::BlankCaption { path: text.clone()? })));
    if folder.repeats > MANY_REPEATS {
        problems.push(Problem::ManyRepeats { folder: folder.name.clone(), repeats: folder.repeats });
    }
    problems
}

/// `None` for an image of a supported type; otherwise why the file is no such image.
pub(crate) fn unused(path: &Path) -> Option<Reason> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default();
    let hidden = name(path).starts_with('.');
    match extension.as_str() {
        known if IMAGE_EXTENSIONS.contains(&known) => hidden.then_some(Reason::Hidden),
        other if OTHER_IMAGES.contains(&other) => Some(Reason::UnsupportedType(extension)),
        _ => Some(Reason::NotAnImage),
    }
}

/// Images anywhere below a folder.
pub(crate) fn images_below(dir: &Path) -> usize {
    let files = walkdir::WalkDir::new(dir).into_iter().flatten();
    files.filter(|entry| entry.file_type().is_file() && unused(entry.path()).is_none()).count()
}

/// What a folder holds, by name.
pub(crate) fn list(root: &Root) -> Result<Vec<PathBuf>, Error> {
    let fail =
        |cause: std::io::Error| Error::Folder { flag: root.flag, dir: root.dir.into(), cause: cause.to_string() };
    let entries = std::fs::read_dir(root.dir).map_err(fail)?;
    let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_, _>>().map_err(fail)?;
    paths.sort();
    Ok(paths)
}

/// The last part of a path, as text.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
