//! Which caption file belongs to which image of a folder, and why other files take no part.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::problem::Reason;
use crate::scan::{LeftOut, name, unused};

/// Suffixes of captions, in the order in which they are looked for if none is asked for.
const CAPTION_EXTENSIONS: [&str; 2] = [".txt", ".caption"];

/// The caption files of a folder, by (image name without suffix, rank of the caption's suffix).
pub(crate) struct Captions {
    extensions: Vec<String>,
    by_stem: HashMap<(PathBuf, usize), PathBuf>,
}

impl Captions {
    pub(crate) fn new(files: &[PathBuf], asked: Option<&str>) -> Self {
        let auto = || CAPTION_EXTENSIONS.map(str::to_owned).to_vec();
        let extensions = asked.map_or_else(auto, |extension| vec![extension.to_lowercase()]);
        let mut by_stem = HashMap::new();
        for file in files {
            let name = name(file);
            for (rank, extension) in extensions.iter().enumerate() {
                if let Some(stem) = strip_suffix(&name, extension) {
                    by_stem.insert((file.with_file_name(stem), rank), file.clone());
                }
            }
        }
        Self { extensions, by_stem }
    }

    /// The caption of an image: its own name, or that name without the four numbers that a face detector appends.
    pub(crate) fn of(&self, image: &Path) -> Option<PathBuf> {
        let own = image.with_extension("");
        let parts = name(&own).split('_').map(str::to_owned).collect::<Vec<_>>();
        let shortened = (parts.len() >= 5).then(|| own.with_file_name(parts[..parts.len() - 4].join("_")));
        let ranks = 0..self.extensions.len();
        let mut tries = ranks.flat_map(|rank| [Some((own.clone(), rank)), shortened.clone().map(|stem| (stem, rank))]);
        tries.find_map(|key| self.by_stem.get(&key?).cloned())
    }

    /// Why each file that is neither an image nor a caption in use is left out.
    pub(crate) fn left_out(&self, files: Vec<PathBuf>, pairs: &[(PathBuf, Option<PathBuf>)]) -> LeftOut {
        let used: HashSet<&Path> = pairs.iter().filter_map(|(_, caption)| caption.as_deref()).collect();
        let stems: HashSet<PathBuf> = pairs.iter().map(|(image, _)| image.with_extension("")).collect();
        let reason = |path: &Path| {
            let name = name(path);
            let is = |extension: &str| strip_suffix(&name, extension).is_some();
            let has_image = stems.contains(&path.with_extension(""));
            match unused(path) {
                _ if used.contains(path) => None,
                // Desktop litter (.DS_Store and the like) is nobody's image.
                Some(Reason::NotAnImage) if name.starts_with('.') => None,
                Some(Reason::NotAnImage) if self.extensions.iter().any(|extension| is(extension)) => {
                    Some(if has_image { Reason::OtherCaptionUsed } else { Reason::CaptionWithoutImage })
                }
                Some(Reason::NotAnImage) if CAPTION_EXTENSIONS.into_iter().any(is) => {
                    Some(Reason::OtherCaptionExtension(self.extensions.join(", ")))
                }
                other => other,
            }
        };
        files.into_iter().filter_map(|path| reason(&path).map(|reason| (path, reason))).collect()
    }
}

/// `name` without a suffix given in lower case, whatever the case in `name`.
fn strip_suffix<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(suffix.len())?;
    (name.get(at..)?.to_lowercase() == suffix).then(|| &name[..at])
}
