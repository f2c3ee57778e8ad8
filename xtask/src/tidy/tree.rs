//! The files of the repository: those that git tracks, and new ones that it does not ignore.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A file with its content.
pub struct File {
    /// The file's path from the repository's folder, with forward slashes.
    pub path: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl File {
    /// The file's text, if it is a Rust source file. One that is not UTF-8 reads as empty, and fails the first rule.
    pub fn rust(&self) -> Option<&str> {
        self.path.ends_with(".rs").then(|| str::from_utf8(&self.bytes).unwrap_or_default())
    }
}

/// Reads them all; a file that is deleted but not yet committed so is passed over.
///
/// # Errors
/// If git is missing or finds no repository, or a file cannot be read.
pub fn read(root: &Path) -> Result<Vec<File>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = git.output().context("git cannot be started; it lists the files to check")?;
    ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr).trim());
    let paths = String::from_utf8(listed.stdout).context("a file name is not UTF-8")?;
    let paths = paths.split_terminator('\0').filter(|path| root.join(path).is_file());
    let read = |path: &str| {
        let bytes = std::fs::read(root.join(path)).with_context(|| format!("{path} cannot be read"))?;
        Ok(File { path: path.to_owned(), bytes })
    };
    paths.map(read).collect()
}
