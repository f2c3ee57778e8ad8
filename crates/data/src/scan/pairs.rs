//! Images with their caption files in any folder, by name alone: no file is opened, and no folder needs repeats in its name.
//!
//! For programs that work on captions. Which caption belongs to which image is what training goes by.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::caption_files::{CaptionFiles, ImageFile};
use super::concept::ConceptName;
use super::folder::{folders_in, images_in, is_image, is_special, leftover};
use crate::dataset::LeftOut;
use crate::paths::{IGNORES_CASE, name};

/// Folders within folders that are looked into.
const DEEPEST: usize = 16;

/// An image with its caption file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The image file.
    pub image: PathBuf,
    /// Its caption file, if there is one.
    pub caption: Option<PathBuf>,
}

/// The images of a folder and of those in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pairs {
    /// The images, in the order of their folders, then of their names.
    pub pairs: Vec<Pair>,
    /// Files that are neither images nor captions in use.
    pub left_out: Vec<LeftOut>,
    /// Folders that cannot be listed.
    pub unlisted: Vec<Unlisted>,
}

/// A folder that cannot be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlisted {
    /// The folder.
    pub path: PathBuf,
    /// What the system says.
    pub cause: String,
}

/// The images anywhere below `folder` with their captions, whose suffix is `extension` or, without one, `.txt` or `.caption`.
/// Hidden folders, and those that programs and lorabake make for themselves, are passed over.
///
/// # Errors
/// When the folder cannot be listed; one in it is noted.
pub fn pairs_below(folder: &Path, extension: Option<&str>) -> io::Result<Pairs> {
    let mut found = Pairs::default();
    for (_, files) in files_by_folder(folder, &mut found.unlisted)? {
        let (images, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|path| is_image(path));
        let captions = CaptionFiles::new(&others, extension, IGNORES_CASE);
        let mut files = Vec::new();
        for path in images {
            let caption = captions.of(&path);
            files.push(ImageFile { path, caption });
        }
        found.left_out.extend(captions.left_out(others, &files));
        found.pairs.extend(files.into_iter().map(|file| Pair { image: file.path, caption: file.caption }));
    }
    Ok(found)
}

/// The words that a folder's name has behind its number of repeats, as `penny` of `10_penny`; `None` without a number.
pub fn class_words(folder: &Path) -> Option<String> {
    Some(ConceptName::parse(&name(folder))?.class_tokens)
}

/// Whether a folder is one of concept folders, as `--train_data_dir` is: no image directly in it, and each folder in it has
/// repeats in its name, but for those that programs make for themselves.
pub fn holds_concepts_only(folder: &Path) -> bool {
    images_in(folder) == 0 && folders_in(folder).iter().all(|inner| class_words(inner).is_some())
}

/// The files anywhere below a folder, by the folder that they are in; links to folders are followed, as in training.
fn files_by_folder(folder: &Path, unlisted: &mut Vec<Unlisted>) -> io::Result<BTreeMap<PathBuf, Vec<PathBuf>>> {
    let mut folders: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    let walk = WalkDir::new(folder).max_depth(DEEPEST).follow_links(true).sort_by_file_name();
    let entries = walk.into_iter().filter_entry(|entry| {
        entry.depth() == 0 || !entry.file_type().is_dir() || leftover(&name(entry.path())).is_none()
    });
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            // A link that leads nowhere, or to a folder around it.
            Err(error) if error.depth() > 0 && is_link(error.path()) => continue,
            Err(error) if error.depth() > 0 => {
                let path = error.path().unwrap_or(folder).to_owned();
                let cause =
                    error.into_io_error().map_or_else(|| "a circle of links".to_owned(), |cause| cause.to_string());
                unlisted.push(Unlisted { path, cause });
                continue;
            }
            Err(error) => return Err(error.into_io_error().unwrap_or_else(|| io::Error::other("a circle of links"))),
        };
        let path = entry.path();
        if path.is_dir() || is_special(path) {
            continue;
        }
        folders.entry(path.parent().unwrap_or(folder).to_owned()).or_default().push(path.to_owned());
    }
    Ok(folders)
}

fn is_link(path: Option<&Path>) -> bool {
    path.is_some_and(Path::is_symlink)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Reason;

    #[test]
    fn images_of_all_folders_have_their_captions() {
        let folder = tempfile::tempdir().unwrap();
        for file in [
            "a.png",
            "a.txt",
            "10_penny/b.jpg",
            "10_penny/b.caption",
            "10_penny/c.webp",
            "10_penny/lost.txt",
            "penny.set_aside/x.png",
            "penny.lorabake/x.png",
            ".originals/x.png",
        ] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = pairs_below(folder.path(), None).unwrap();
        let shown = |path: &Path| path.strip_prefix(folder.path()).unwrap().to_str().unwrap().replace('\\', "/");
        let mut pairs = Vec::new();
        for pair in &found.pairs {
            pairs.push((shown(&pair.image), pair.caption.as_deref().map(shown)));
        }
        assert_eq!(
            pairs,
            [
                ("a.png".to_owned(), Some("a.txt".to_owned())),
                ("10_penny/b.jpg".to_owned(), Some("10_penny/b.caption".to_owned())),
                ("10_penny/c.webp".to_owned(), None),
            ]
        );
        let lost = folder.path().join("10_penny/lost.txt");
        assert_eq!(found.left_out, [LeftOut { path: lost, reason: Reason::CaptionWithoutImage }]);
        assert!(pairs_below(&folder.path().join("none"), None).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_the_folder_around_is_no_circle() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.png"), "").unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("gone"), folder.path().join("nowhere")).unwrap();
        let found = pairs_below(folder.path(), None).unwrap();
        assert_eq!(found.pairs.len(), 1);
    }
}
