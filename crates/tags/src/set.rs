//! The captions of a folder and of those in it, read; which activation tag each folder has.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use lorabake_data::LeftOut;
use lorabake_data::scan::pairs::{class_words, pairs_below};

use crate::activation::Activation;
use crate::caption_file::{CaptionFile, Kind};
use crate::error::Error;
use crate::text::SEPARATOR;

/// How captions are found and split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The suffix of caption files, `.txt`; `None` for all usual ones.
    pub extension: Option<String>,
    /// What stands between tags.
    pub separator: String,
    /// The activation tags of all folders; `None` to find them out.
    pub activation: Option<Activation>,
}

impl Default for Reading {
    fn default() -> Self {
        Self { extension: None, separator: SEPARATOR.to_owned(), activation: None }
    }
}

/// A caption with the images that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The images, at least one; several if their names differ in the suffix only.
    pub images: Vec<PathBuf>,
    /// The caption; its file may not be there yet.
    pub caption: CaptionFile,
    /// Index into [`CaptionSet::folders`].
    pub folder: usize,
}

/// A folder with images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// The folder.
    pub path: PathBuf,
    /// Its name.
    pub name: String,
    /// The words behind its number of repeats, which are trained where there is no caption file; empty if there are none.
    pub words: String,
    /// Its activation tags.
    pub activation: Activation,
}

/// The captions of a folder.
#[derive(Debug, Default)]
pub struct CaptionSet {
    /// Folders with images.
    pub folders: Vec<Folder>,
    /// Captions, in the order of their folders, then of their images' names.
    pub entries: Vec<Entry>,
    /// Captions and folders that cannot be used as they are, which no change touches.
    pub unreadable: Vec<Error>,
    /// Files that are neither images nor captions in use.
    pub left_out: Vec<LeftOut>,
}

impl CaptionSet {
    /// Reads the captions of all images below `folder`.
    ///
    /// # Errors
    /// If it is no folder, cannot be listed, or holds no image.
    pub fn load(folder: &Path, reading: &Reading) -> Result<Self, Error> {
        if folder.is_file() {
            return Err(Error::file(folder, "it is a file; name the folder of your images"));
        }
        let pairs = pairs_below(folder, reading.extension.as_deref());
        let pairs = pairs.map_err(|error| {
            Error::file(folder, format!("it cannot be listed ({error}); name the folder of your images"))
        })?;
        if pairs.pairs.is_empty() {
            return Err(Error::file(
                folder,
                "no images in it; name the folder of your images (.png, .jpg, .webp, .bmp)",
            ));
        }
        let mut set = Self { left_out: pairs.left_out, ..Self::default() };
        for folder in pairs.unlisted {
            let problem = format!(
                "it cannot be listed ({}), so its images are left out; give yourself the right to read it",
                folder.cause
            );
            set.unreadable.push(Error::file(&folder.path, problem));
        }
        let mut known: HashMap<PathBuf, Option<usize>> = HashMap::new();
        for pair in pairs.pairs {
            let file = pair.caption.unwrap_or_else(|| caption_beside(&pair.image, reading));
            if let Some(earlier) = known.get(&file) {
                if let Some(index) = earlier {
                    set.entries[*index].images.push(pair.image);
                }
                continue;
            }
            let folder = set.folder_of(&pair.image);
            match CaptionFile::load(&file, &reading.separator) {
                Ok(caption) => {
                    known.insert(file, Some(set.entries.len()));
                    set.entries.push(Entry { images: vec![pair.image], caption, folder });
                }
                Err(error) => {
                    known.insert(file, None);
                    set.unreadable.push(error);
                }
            }
        }
        set.find_activation(reading);
        Ok(set)
    }

    /// Index of the folder of an image, which is noted if it is new.
    fn folder_of(&mut self, image: &Path) -> usize {
        let path = image.parent().unwrap_or(image);
        if let Some(index) = self.folders.iter().rposition(|folder| folder.path == path) {
            return index;
        }
        let whole = lorabake_data::full_path(path);
        self.folders.push(Folder {
            path: path.to_owned(),
            name: whole.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            words: class_words(&whole).unwrap_or_default().trim().to_owned(),
            activation: Activation::none(),
        });
        self.folders.len() - 1
    }

    fn find_activation(&mut self, reading: &Reading) {
        for (index, folder) in self.folders.iter_mut().enumerate() {
            folder.activation = match &reading.activation {
                Some(named) => named.clone(),
                None => {
                    let own = self.entries.iter().filter(|entry| entry.folder == index);
                    let captions: Vec<String> = own.map(|entry| entry.caption.caption()).collect();
                    Activation::common(captions.iter().map(String::as_str), &folder.words, &reading.separator)
                }
            };
        }
    }

    /// The folder of an entry.
    pub fn folder(&self, entry: &Entry) -> &Folder {
        &self.folders[entry.folder]
    }

    /// The activation tags that come first in an entry's caption. A caption that is new has the words of its folder first if
    /// no activation tag is known, since those are what was trained so far.
    pub fn activation(&self, entry: &Entry) -> Activation {
        let folder = self.folder(entry);
        if folder.activation.is_none() && !entry.caption.exists() && !folder.words.is_empty() {
            return Activation::named(&folder.words, entry.caption.separator());
        }
        folder.activation.clone()
    }

    /// Takes in captions that were changed; activation tags are found out anew.
    pub fn update(&mut self, changed: Vec<CaptionFile>, reading: &Reading) {
        let mut by_path: HashMap<PathBuf, CaptionFile> = HashMap::new();
        for caption in changed {
            by_path.insert(caption.path().to_owned(), caption);
        }
        for entry in &mut self.entries {
            if let Some(caption) = by_path.remove(entry.caption.path()) {
                entry.caption = caption;
            }
        }
        self.find_activation(reading);
    }

    /// How many captions that hold something lack an activation tag of their folder.
    pub fn without_activation(&self) -> usize {
        let lacks = |entry: &&Entry| {
            let activation = &self.folder(entry).activation;
            entry.caption.kind() != Kind::Empty && activation.tags().iter().any(|tag| !is_in(&entry.caption, tag))
        };
        self.entries.iter().filter(lacks).count()
    }
}

/// Whether a caption has a tag, or, if it is prose, the words of it.
pub(crate) fn is_in(caption: &CaptionFile, tag: &str) -> bool {
    let folded = crate::text::folded(tag);
    caption.has(tag) || caption.kind() == Kind::Prose && crate::text::folded(&caption.caption()).contains(&folded)
}

/// Where the caption of an image would be.
fn caption_beside(image: &Path, reading: &Reading) -> PathBuf {
    let extension = reading.extension.as_deref().unwrap_or(".txt");
    image.with_extension(extension.trim_start_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(files: &[(&str, &str)], reading: &Reading) -> (tempfile::TempDir, Result<CaptionSet, Error>) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let set = CaptionSet::load(folder.path(), reading);
        (folder, set)
    }

    #[test]
    fn captions_have_their_images_and_folders_their_tag() {
        let files = [
            ("10_penny/a.png", ""),
            ("10_penny/a.jpg", ""),
            ("10_penny/a.txt", "penny, hat"),
            ("10_penny/b.png", ""),
            ("5_hat/c.png", ""),
            ("5_hat/c.txt", "1girl"),
            ("5_hat/d.png", ""),
            ("5_hat/bad.png", ""),
            ("5_hat/bad.txt", "\u{0}a\u{0}b\u{0}c"),
        ];
        let (_folder, set) = set(&files, &Reading::default());
        let set = set.unwrap();
        let images: Vec<usize> = set.entries.iter().map(|entry| entry.images.len()).collect();
        assert_eq!(images, [2, 1, 1, 1]);
        assert_eq!(set.folders[0].activation.tags(), ["penny"]);
        assert!(set.folders[1].activation.is_none());
        assert_eq!(set.unreadable.len(), 1);
        // A caption that is new begins with what was trained so far.
        let new = &set.entries[3];
        assert!(!new.caption.exists() && new.caption.path().ends_with("5_hat/d.txt"));
        assert_eq!(set.activation(new).tags(), ["hat"]);
        assert!(set.activation(&set.entries[2]).is_none());
        assert_eq!(set.without_activation(), 0);
    }

    #[test]
    fn a_user_settles_suffix_and_activation() {
        let named = Some(Activation::named("penny", ","));
        let reading = Reading { extension: Some(".caption".to_owned()), activation: named, ..Reading::default() };
        let (_folder, set) = set(&[("a.png", ""), ("a.txt", "x"), ("b.png", ""), ("b.caption", "y")], &reading);
        let set = set.unwrap();
        assert!(set.entries[0].caption.path().ends_with("a.caption") && !set.entries[0].caption.exists());
        assert_eq!(set.without_activation(), 1);
        assert_eq!(set.left_out.len(), 1);
    }

    #[test]
    fn a_folder_without_images_is_no_set() {
        let (_folder, set) = set(&[("a.txt", "x")], &Reading::default());
        assert!(set.unwrap_err().to_string().contains("no images in it"));
    }
}
