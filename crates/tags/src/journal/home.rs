//! Which data set a folder belongs to, and where its journal lies: beside it, never in it.
//!
//! For a data set `img` with folders such as `img/10_penny` they are `img.lorabake` and `img.set_aside`, whichever of them is
//! worked on. Trainers take a folder called `10_penny.set_aside` for a concept folder, so beside a folder `10_penny` that
//! stands alone they are called `penny_10.…`.

use std::path::{Component, Path, PathBuf};

use lorabake_data::{full_path, scan::pairs};

use super::spot::Spot;
use crate::error::Error;

/// The journal's file in its folder.
pub(super) const JOURNAL: &str = "journal.jsonl";

/// A data set's folder with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// The data set's folder, whole.
    root: PathBuf,
    /// The folder of its journal.
    journal: PathBuf,
    /// Where files go that are set aside.
    set_aside: PathBuf,
    /// The folder that was asked for, whole but as typed.
    typed: PathBuf,
    /// The same, relative to the data set's folder.
    below: PathBuf,
}

impl Home {
    /// The data set that `folder` is, or is a part of.
    ///
    /// # Errors
    /// If it is not a folder.
    pub fn of(folder: &Path) -> Result<Self, Error> {
        let whole = whole(folder)?;
        let root = root_of(&whole);
        let journal = beside(&root, "lorabake");
        Ok(Self::new(folder, whole, root, journal))
    }

    /// As [`Self::of`], with the journal in a folder of the user's choice.
    ///
    /// # Errors
    /// If `folder` is not a folder, or `journal` lies in it.
    pub fn with_journal(folder: &Path, journal: &Path) -> Result<Self, Error> {
        let whole = whole(folder)?;
        let root = root_of(&whole);
        let journal = std::path::absolute(journal).map_err(|error| Error::io(journal, "used", &error))?;
        if journal.starts_with(&root) {
            return Err(Error::file(&journal, "the journal would lie in the data set; name a folder outside of it"));
        }
        Ok(Self::new(folder, whole, root, journal))
    }

    fn new(folder: &Path, whole: PathBuf, root: PathBuf, journal: PathBuf) -> Self {
        let below = whole.strip_prefix(&root).unwrap_or(Path::new("")).to_owned();
        let typed = std::path::absolute(folder).unwrap_or(whole);
        Self { set_aside: beside(&root, "set_aside"), root, journal, typed, below }
    }

    /// The data set's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the journal.
    pub fn journal(&self) -> &Path {
        &self.journal
    }

    /// Where a file or folder of the data set goes if it is set aside.
    ///
    /// # Errors
    /// If it is not in the data set.
    pub fn set_aside(&self, path: &Path) -> Result<PathBuf, Error> {
        match self.spot(path)? {
            Spot::Set(name) => Ok(self.path(&Spot::SetAside(name))),
            Spot::SetAside(_) => Err(Error::file(path, "it is set aside already")),
        }
    }

    /// As [`Self::set_aside`], under another name if something of that name was set aside already.
    ///
    /// # Errors
    /// As [`Self::set_aside`].
    pub fn free_set_aside(&self, path: &Path) -> Result<PathBuf, Error> {
        let first = self.set_aside(path)?;
        let mut free = first.clone();
        let mut number = 2;
        while free.symlink_metadata().is_ok() {
            let stem = first.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let end = first.extension().map(|end| format!(".{}", end.to_string_lossy())).unwrap_or_default();
            free = first.with_file_name(format!("{stem}.{number}{end}"));
            number += 1;
        }
        Ok(free)
    }

    /// How the journal names a file or folder.
    ///
    /// # Errors
    /// If it is not in the data set, or its name is not Unicode.
    pub(super) fn spot(&self, path: &Path) -> Result<Spot, Error> {
        let absolute = std::path::absolute(path).map_err(|error| Error::io(path, "used", &error))?;
        let is_plain = absolute.components().all(|part| part != Component::ParentDir);
        if is_plain && let Ok(rest) = absolute.strip_prefix(&self.typed) {
            return Spot::set(path, &self.below.join(rest));
        }
        if is_plain && let Ok(rest) = absolute.strip_prefix(&self.set_aside) {
            return Ok(Spot::SetAside(Spot::name(path, rest)?));
        }
        // The folder was typed otherwise, or lies behind a link.
        let folder = full_path(absolute.parent().unwrap_or(&absolute));
        let whole = folder.join(absolute.file_name().unwrap_or_default());
        if let Ok(rest) = whole.strip_prefix(&self.root) {
            return Spot::set(path, rest);
        }
        if let Ok(rest) = whole.strip_prefix(&self.set_aside) {
            return Ok(Spot::SetAside(Spot::name(path, rest)?));
        }
        let problem = format!("it is not in the data set {}; name that folder", self.root.display());
        Err(Error::file(path, problem))
    }

    /// Where a file or folder is that the journal names.
    pub(super) fn path(&self, spot: &Spot) -> PathBuf {
        let (folder, name) = match spot {
            Spot::Set(name) => (&self.root, name),
            Spot::SetAside(name) => (&self.set_aside, name),
        };
        let mut path = folder.clone();
        path.extend(name.split('/'));
        path
    }
}

fn whole(folder: &Path) -> Result<PathBuf, Error> {
    match folder.metadata() {
        Err(error) => Err(Error::file(folder, format!("it cannot be read ({error}); name the folder of your images"))),
        Ok(about) if !about.is_dir() => Err(Error::file(folder, "it is a file; name the folder of your images")),
        Ok(_) => {
            let whole = full_path(folder);
            let is_ours = |part: Component| part.as_os_str().to_string_lossy().to_lowercase().ends_with(".lorabake");
            if whole.components().any(is_ours) {
                return Err(Error::file(folder, "it belongs to a journal of lorabake; name the folder of your images"));
            }
            Ok(whole)
        }
    }
}

/// The data set's folder: the nearest one from `folder` up that has a journal; else the one around it if that holds concept
/// folders only; else `folder` itself.
fn root_of(folder: &Path) -> PathBuf {
    for around in folder.ancestors() {
        if around.file_name().is_some() && beside(around, "lorabake").join(JOURNAL).is_file() {
            return around.to_owned();
        }
    }
    if let Some(around) = folder.parent()
        && around.file_name().is_some()
        && is_concept(folder)
        && pairs::holds_concepts_only(around)
    {
        return around.to_owned();
    }
    folder.to_owned()
}

fn is_concept(folder: &Path) -> bool {
    pairs::class_words(folder).is_some()
}

/// A folder beside `folder`, called like it.
fn beside(folder: &Path, kind: &str) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let label = match name.split_once('_') {
        Some((number, words)) if is_concept(folder) => format!("{words}_{number}"),
        None if is_concept(folder) => format!("images_{name}"),
        _ => name,
    };
    folder.with_file_name(format!("{label}.{kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        folder
    }

    #[test]
    fn concept_folders_share_the_journal_of_their_data_set() {
        let top = folders(&["work/img/10_penny", "work/img/2_hat", "work/img/img.set_aside"]);
        let img = full_path(top.path()).join("work/img");
        for folder in ["work/img", "work/img/10_penny", "work/img/2_hat"] {
            let home = Home::of(&top.path().join(folder)).unwrap();
            assert_eq!(home.root(), img);
            assert_eq!(home.journal(), img.with_file_name("img.lorabake"));
            let file = top.path().join("work/img/2_hat/a.png");
            let aside = home.set_aside(&file).unwrap();
            assert_eq!(aside, img.with_file_name("img.set_aside").join("2_hat").join("a.png"));
            assert!(home.set_aside(&aside).unwrap_err().to_string().ends_with("it is set aside already"));
        }
    }

    #[test]
    fn a_concept_folder_among_others_stands_alone() {
        let top = folders(&["Desktop/10_penny", "Desktop/notes"]);
        let desktop = full_path(top.path()).join("Desktop");
        let home = Home::of(&top.path().join("Desktop/10_penny")).unwrap();
        assert_eq!(home.root(), desktop.join("10_penny"));
        assert_eq!(home.journal(), desktop.join("penny_10.lorabake"));
        // Once there is a journal around, it is taken.
        std::fs::create_dir(top.path().join("Desktop.lorabake")).unwrap();
        std::fs::write(top.path().join("Desktop.lorabake").join(JOURNAL), "").unwrap();
        assert_eq!(Home::of(&top.path().join("Desktop/10_penny")).unwrap().root(), desktop);
    }

    #[test]
    fn paths_are_named_from_the_data_set_however_they_are_typed() {
        let top = folders(&["img/10_penny", "other"]);
        let home = Home::of(&top.path().join("img")).unwrap();
        for typed in ["img/10_penny/a.txt", "img/../img/10_penny/a.txt", "img/./10_penny/a.txt"] {
            assert_eq!(home.spot(&top.path().join(typed)).unwrap(), Spot::Set("10_penny/a.txt".to_owned()), "{typed}");
        }
        let outside = home.spot(&top.path().join("other/a.txt")).unwrap_err().to_string();
        assert!(outside.contains("it is not in the data set"), "{outside}");
        let inside = Home::with_journal(&top.path().join("img"), &home.root().join("journal")).unwrap_err();
        assert!(inside.to_string().contains("outside of it"), "{inside}");
        assert!(Home::of(&top.path().join("none")).is_err());
    }
}
