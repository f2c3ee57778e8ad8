//! A data set in a folder of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lorabake_tags::{CaptionFile, Journal};
use tempfile::TempDir;

pub struct Set {
    top: TempDir,
}

impl Set {
    /// A data set `img` with these files.
    pub fn new(files: &[(&str, &[u8])]) -> Self {
        // In memory where there is such a folder: waiting for a disk is no part of what is tested.
        let memory = Path::new("/dev/shm");
        let top = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let set = Self { top: top.unwrap() };
        std::fs::create_dir(set.folder()).unwrap();
        for (name, bytes) in files {
            set.write(name, bytes);
        }
        set
    }

    pub fn folder(&self) -> PathBuf {
        self.top.path().join("img")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub fn journal(&self) -> Journal {
        Journal::open(&self.folder()).unwrap()
    }

    pub fn caption(&self, name: &str) -> CaptionFile {
        CaptionFile::load(&self.path(name), ",").unwrap()
    }

    /// All files of the data set with their content, and those that are set aside.
    pub fn content(&self) -> BTreeMap<String, Vec<u8>> {
        let mut content = BTreeMap::new();
        for name in ["img", "img.set_aside"] {
            add(self.top.path(), &self.top.path().join(name), &mut content);
        }
        content
    }

    /// All names beside the data set.
    pub fn beside(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.top.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub fn beside_path(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }
}

fn add(top: &Path, folder: &Path, content: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add(top, &path, content);
        } else {
            let name = path.strip_prefix(top).unwrap().to_str().unwrap().replace('\\', "/");
            content.insert(name, std::fs::read(&path).unwrap());
        }
    }
}

impl Set {
    /// The journal as the next program finds it.
    pub fn journal_after(&self, journal: Journal) -> Journal {
        drop(journal);
        self.journal()
    }
}
