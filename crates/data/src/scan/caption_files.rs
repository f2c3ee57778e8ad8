//! Which caption file belongs to which image of a folder, and why other files take no part.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::folder::unused;
use crate::dataset::LeftOut;
use crate::paths::{comparable, name, stem};
use crate::problem::Reason;

/// Suffixes of captions, in the order in which they are looked for if none is asked for.
const CAPTION_EXTENSIONS: [&str; 2] = [".txt", ".caption"];

/// Files that Windows makes by itself, in lower case. Other systems hide theirs by a dot (.DS_Store).
const DESKTOP_FILES: [&str; 2] = ["thumbs.db", "desktop.ini"];

/// The suffix of files that trainers write beside images: latents, text states.
const CACHE: &str = ".npz";

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
    /// For each suffix, the caption files by the name of their image without its suffix, as it is compared.
    by_stem: Vec<HashMap<String, PathBuf>>,
    /// Names that differ in case are the same.
    ignores_case: bool,
}

impl CaptionFiles {
    /// The captions among the `files` of one folder; those whose suffix is `asked`, or of all usual suffixes. For
    /// `ignores_case` see [`crate::paths::IGNORES_CASE`].
    pub(super) fn new(files: &[PathBuf], asked: Option<&str>, ignores_case: bool) -> Self {
        let extensions = match asked {
            Some(extension) => vec![extension.to_lowercase()],
            None => CAPTION_EXTENSIONS.map(str::to_owned).to_vec(),
        };
        let mut by_stem = Vec::new();
        for extension in &extensions {
            let mut captions = HashMap::new();
            for file in files {
                if let Some(stem) = strip_suffix(&name(file), extension) {
                    captions.insert(comparable(stem, ignores_case), file.clone());
                }
            }
            by_stem.push(captions);
        }
        Self { extensions, by_stem, ignores_case }
    }

    /// The caption of an image: its own name, or that name without the four numbers that a face detector appends.
    pub(super) fn of(&self, image: &Path) -> Option<PathBuf> {
        let own = comparable(&stem(image), self.ignores_case);
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
        let stem_of = |path: &Path| comparable(&stem(path), self.ignores_case);
        let stems: HashSet<String> = images.iter().map(|image| stem_of(&image.path)).collect();
        let mut left_out = Vec::new();
        for path in files {
            if used.contains(path.as_path()) {
                continue;
            }
            let reason = match unused(&path) {
                Some(Reason::NotAnImage) => self.why_no_caption(&path, stems.contains(&stem_of(&path))),
                other => other,
            };
            if let Some(reason) = reason {
                left_out.push(LeftOut { path, reason });
            }
        }
        left_out
    }

    /// Why a file that is no image is not used as a caption; `None` for what desktops and trainers leave behind.
    fn why_no_caption(&self, path: &Path, has_image: bool) -> Option<Reason> {
        let name = name(path);
        if name.starts_with('.') || DESKTOP_FILES.contains(&name.to_lowercase().as_str()) {
            return None;
        }
        if strip_suffix(&name, CACHE).is_some() {
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

/// A stem without its last four parts between `_`, if it has so many.
fn without_face(stem: &str) -> Option<String> {
    const NUMBERS: usize = 4;
    let parts: Vec<&str> = stem.split('_').collect();
    if parts.len() <= NUMBERS {
        return None;
    }
    Some(parts[..parts.len() - NUMBERS].join("_"))
}

/// `name` without a suffix given in lower case, whatever the case in `name`.
fn strip_suffix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let end = name.len().checked_sub(suffix.len())?;
    let own = name.get(end..)?;
    if own.to_lowercase() == suffix { Some(&name[..end]) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_are_found_as_the_file_system_compares_names() {
        let files = ["Penny.TXT", "hat.caption"].map(PathBuf::from);
        let find = |image: &str, ignores_case| {
            let captions = CaptionFiles::new(&files, None, ignores_case);
            captions.of(Path::new(image)).map(|path| name(&path))
        };
        assert_eq!(find("Penny.png", false).as_deref(), Some("Penny.TXT"));
        assert_eq!(find("penny.PNG", false), None);
        assert_eq!(find("penny.PNG", true).as_deref(), Some("Penny.TXT"));
        assert_eq!(find("HAT_1_2_3_4.png", true).as_deref(), Some("hat.caption"));

        let images = [ImageFile { path: "penny.PNG".into(), caption: None }];
        let reason = |ignores_case| {
            let captions = CaptionFiles::new(&files, None, ignores_case);
            captions.left_out(files[..1].to_vec(), &images).remove(0).reason
        };
        assert_eq!(reason(false), Reason::CaptionWithoutImage);
        assert_eq!(reason(true), Reason::OtherCaptionUsed);
    }

    #[test]
    fn what_desktops_and_trainers_leave_behind_is_not_named() {
        let captions = CaptionFiles::new(&[], None, false);
        let files =
            ["Thumbs.db", "desktop.ini", ".DS_Store", "a_0512x0512_sd.npz", "notes.md"].map(PathBuf::from).to_vec();
        let left_out = captions.left_out(files, &[]);
        assert_eq!(left_out, [LeftOut { path: "notes.md".into(), reason: Reason::NotAnImage }]);
    }
}
