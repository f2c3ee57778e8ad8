//! Which caption file belongs to which image of a folder, and why other files take no part.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::folder::unused;
use crate::dataset::LeftOut;
use crate::paths::name;
use crate::problem::Reason;

/// Suffixes of captions, in the order in which they are looked for if none is asked for.
const CAPTION_EXTENSIONS: [&str; 2] = [".txt", ".caption"];

/// An image file with the caption file that belongs to it.
#[derive(Debug)]
pub(super) struct ImageFile {
    pub path: PathBuf,
    pub caption: Option<PathBuf>,
}

/// The caption files of a folder.
pub(super) struct CaptionFiles {
    /// Suffixes that are looked for, in this order.
    extensions: Vec<String>,
    /// For each suffix, the caption files by the path of their image without its suffix.
    by_stem: Vec<HashMap<PathBuf, PathBuf>>,
}

impl CaptionFiles {
    /// The captions among `files`; those whose suffix is `asked`, or of all usual suffixes.
    pub(super) fn new(files: &[PathBuf], asked: Option<&str>) -> Self {
        let extensions = match asked {
            Some(extension) => vec![extension.to_lowercase()],
            None => CAPTION_EXTENSIONS.map(str::to_owned).to_vec(),
        };
        let mut by_stem = Vec::new();
        for extension in &extensions {
            let mut captions = HashMap::new();
            for file in files {
                if let Some(stem) = strip_suffix(&name(file), extension) {
                    captions.insert(file.with_file_name(stem), file.clone());
                }
            }
            by_stem.push(captions);
        }
        Self { extensions, by_stem }
    }

    /// The caption of an image: its own name, or that name without the four numbers that a face detector appends.
    pub(super) fn of(&self, image: &Path) -> Option<PathBuf> {
        let own = image.with_extension("");
        let without_face = without_face(&own);
        for captions in &self.by_stem {
            if let Some(caption) = captions.get(&own) {
                return Some(caption.clone());
            }
            if let Some(shorter) = &without_face
                && let Some(caption) = captions.get(shorter)
            {
                return Some(caption.clone());
            }
        }
        None
    }

    /// Why each of `files` that is neither an image nor a caption in use is left out.
    pub(super) fn left_out(&self, files: Vec<PathBuf>, images: &[ImageFile]) -> Vec<LeftOut> {
        let used: HashSet<&Path> = images.iter().filter_map(|image| image.caption.as_deref()).collect();
        let stems: HashSet<PathBuf> = images.iter().map(|image| image.path.with_extension("")).collect();
        let mut left_out = Vec::new();
        for path in files {
            if used.contains(path.as_path()) {
                continue;
            }
            let reason = match unused(&path) {
                Some(Reason::NotAnImage) => self.why_no_caption(&path, stems.contains(&path.with_extension(""))),
                other => other,
            };
            if let Some(reason) = reason {
                left_out.push(LeftOut { path, reason });
            }
        }
        left_out
    }

    /// Why a file that is no image is not used as a caption; `None` for desktop litter (.DS_Store and the like).
    fn why_no_caption(&self, path: &Path, has_image: bool) -> Option<Reason> {
        let name = name(path);
        if name.starts_with('.') {
            return None;
        }
        if self.extensions.iter().any(|extension| strip_suffix(&name, extension).is_some()) {
            return Some(if has_image { Reason::OtherCaptionUsed } else { Reason::CaptionWithoutImage });
        }
        if CAPTION_EXTENSIONS.iter().any(|extension| strip_suffix(&name, extension).is_some()) {
            return Some(Reason::OtherCaptionExtension(self.extensions.join(", ")));
        }
        Some(Reason::NotAnImage)
    }
}

/// A path without the last four parts of its name between `_`, if it has so many.
fn without_face(stem: &Path) -> Option<PathBuf> {
    const NUMBERS: usize = 4;
    let name = name(stem);
    let parts: Vec<&str> = name.split('_').collect();
    if parts.len() <= NUMBERS {
        return None;
    }
    Some(stem.with_file_name(parts[..parts.len() - NUMBERS].join("_")))
}

/// `name` without a suffix given in lower case, whatever the case in `name`.
fn strip_suffix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let end = name.len().checked_sub(suffix.len())?;
    let own = name.get(end..)?;
    if own.to_lowercase() == suffix { Some(&name[..end]) } else { None }
}
