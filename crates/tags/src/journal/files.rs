//! Changes of files on disk: whether they are made, making one, taking one back.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use lorabake_weights::{faults, part_file, whole_file};
use rayon::prelude::*;

use super::home::Home;
use super::record::{Change, Content, Kept};
use super::spot::Spot;
use crate::error::Error;

/// The folder of contents that are no short text, in that of the journal. Its name is hidden, so that no trainer reads it.
const ORIGINALS: &str = ".originals";

/// So many files are written one after the other; more are written by several threads, since most time goes into waiting
/// for the disk.
const FEW: usize = 32;
/// How many files are written at a time then.
const WRITERS: usize = 16;

/// Where a change stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Everything is as before.
    Before,
    /// It is made.
    After,
    /// Neither: somebody else has changed the file since.
    Other,
}

/// A change with the bytes that it writes, unless they are in the journal or among the originals.
pub(super) struct Task<'a> {
    pub change: Change,
    pub bytes: Option<&'a [u8]>,
}

/// The files of a data set, its originals included.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub home: Home,
}

impl Files {
    /// Where a change stands.
    pub(super) fn state(&self, change: &Change) -> Result<State, Error> {
        match change {
            Change::Write { at, before, after } => {
                let now = self.bytes(at)?;
                Ok(if after.is(now.as_deref()) {
                    State::After
                } else if before.is(now.as_deref()) {
                    State::Before
                } else {
                    State::Other
                })
            }
            Change::Move { from, to } => Ok(match (self.is_there(from), self.is_there(to)) {
                (true, false) => State::Before,
                (false, true) => State::After,
                _ => State::Other,
            }),
        }
    }

    /// Those files that are not as they have to be before `tasks` are done in this order. Of files that an earlier task
    /// touches only that one is looked at.
    pub(super) fn not_ready(&self, tasks: &[Task]) -> Result<Vec<PathBuf>, Error> {
        let mut touched: HashSet<&Spot> = HashSet::new();
        let mut first = Vec::new();
        for task in tasks {
            let is_first = match &task.change {
                Change::Write { at, .. } => touched.insert(at),
                Change::Move { from, to } => {
                    let is_first = !touched.contains(from) && !touched.contains(to);
                    touched.extend([from, to]);
                    is_first
                }
            };
            if is_first {
                first.push(&task.change);
            }
        }
        first.iter().try_for_each(|change| self.refuse_read_only(change))?;
        let states: Vec<_> = first.par_iter().map(|change| self.state(change)).collect();
        let mut paths = Vec::new();
        for (change, state) in first.into_iter().zip(states) {
            if state? != State::Before {
                if let Change::Move { to, .. } = change
                    && self.is_there(to)
                {
                    return Err(self.taken(to));
                }
                paths.push(self.path_of(change));
            }
        }
        Ok(paths)
    }

    /// A file that its owner has locked is not written over.
    fn refuse_read_only(&self, change: &Change) -> Result<(), Error> {
        let Change::Write { at, .. } = change else { return Ok(()) };
        let path = self.home.path(at);
        match path.symlink_metadata() {
            Ok(about) if about.is_file() && about.permissions().readonly() => {
                Err(Error::file(&path, "it is read-only; make it writable, or leave it out"))
            }
            _ => Ok(()),
        }
    }

    /// Keeps what `tasks` are about to overwrite and the journal does not hold.
    pub(super) fn keep(&self, tasks: &[Task]) -> Result<(), Error> {
        for task in tasks {
            let Change::Write { at, before: Content::Kept(kept), .. } = &task.change else { continue };
            // A copy and not a second name of the file: another program may write into that.
            if self.original_bytes(kept).is_err()
                && let Some(bytes) = self.bytes(at)?
            {
                let to = self.original(kept);
                write(&to, &bytes, || Ok(()))?;
                whole_file::sync_folder(to.parent().unwrap_or(&to));
            }
        }
        Ok(())
    }

    /// Those files that are one with others by hard links, which writing parts.
    pub(super) fn shared(&self, tasks: &[Task]) -> Vec<PathBuf> {
        let mut shared = Vec::new();
        for task in tasks {
            if let Change::Write { at, .. } = &task.change
                && has_other_names(&self.home.path(at))
            {
                shared.push(self.home.path(at));
            }
        }
        shared
    }

    /// Makes changes, in their order or, where they do not touch each other, several at a time.
    pub(super) fn make(&self, tasks: &[Task]) -> Result<(), Error> {
        let only_writes = tasks.iter().all(|task| matches!(task.change, Change::Write { .. }));
        let mut spots = HashSet::new();
        let are_apart = tasks.iter().all(|task| match &task.change {
            Change::Write { at, .. } => spots.insert(at),
            Change::Move { .. } => false,
        });
        if only_writes && are_apart && tasks.len() > FEW {
            return self.make_at_once(tasks);
        }
        tasks.iter().try_for_each(|task| self.make_one(task))?;
        self.sync(tasks);
        Ok(())
    }

    fn make_at_once(&self, tasks: &[Task]) -> Result<(), Error> {
        let cause = |error: rayon::ThreadPoolBuildError| {
            Error::file(
                self.home.root(),
                format!("no threads can be started to write files ({error}); close other programs"),
            )
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(WRITERS).build().map_err(cause)?;
        pool.install(|| tasks.par_iter().try_for_each(|task| self.make_one(task)))?;
        self.sync(tasks);
        Ok(())
    }

    /// Brings the names of written files to the disk.
    fn sync(&self, tasks: &[Task]) {
        let mut folders = HashSet::new();
        for task in tasks {
            folders.extend(self.path_of(&task.change).parent().map(Path::to_owned));
        }
        folders.iter().for_each(|folder| whole_file::sync_folder(folder));
    }

    fn make_one(&self, task: &Task) -> Result<(), Error> {
        match &task.change {
            Change::Move { from, to } => {
                let path = self.home.path(from);
                whole_file::rename(&path, &self.home.path(to)).map_err(|error| match error.kind() {
                    io::ErrorKind::AlreadyExists => self.taken(to),
                    _ => Error::io(&path, "moved", &error),
                })
            }
            Change::Write { at, before, after } => {
                let path = self.home.path(at);
                if !before.is(self.bytes(at)?.as_deref()) {
                    return Err(Error::Changed { paths: vec![path], remedy: "try again" });
                }
                // Another program may have written it while this one wrote beside it.
                let may_go = || match self.bytes(at) {
                    Ok(now) if before.is(now.as_deref()) => Ok(()),
                    _ => Err(io::Error::other("another program has changed it meanwhile")),
                };
                match (after, task.bytes) {
                    (Content::Absent, _) => remove(&path),
                    (_, Some(bytes)) => write(&path, bytes, may_go),
                    (Content::Text(text), None) => write(&path, text.as_bytes(), may_go),
                    (Content::Kept(kept), None) => write(&path, &self.original_bytes(kept)?, may_go),
                }
            }
        }
    }

    /// Takes back what is made of `changes`, the last one first; returns files that somebody else has changed since, which
    /// stay as they are.
    pub(super) fn take_back(&self, changes: Vec<Change>) -> Result<Vec<PathBuf>, Error> {
        let mut left = Vec::new();
        for change in changes.into_iter().rev() {
            match self.state(&change)? {
                State::Before => {}
                State::Other => left.push(self.path_of(&change)),
                State::After => {
                    let task = Task { change: change.inverse(), bytes: None };
                    self.make_one(&task)?;
                    self.sync(&[task]);
                }
            }
        }
        Ok(left)
    }

    /// Removes half-written files in the folders of `changes`.
    pub(super) fn clean(&self, changes: &[Change]) {
        let mut folders = HashSet::new();
        for change in changes {
            let path = self.path_of(change);
            folders.extend(path.parent().map(Path::to_owned));
        }
        for folder in folders {
            for path in part_file::abandoned(&folder, |_| true) {
                std::fs::remove_file(path).ok();
            }
        }
    }

    /// The file or folder that a change is about.
    pub(super) fn path_of(&self, change: &Change) -> PathBuf {
        match change {
            Change::Write { at, .. } => self.home.path(at),
            Change::Move { from, .. } => self.home.path(from),
        }
    }

    /// What is in a file; `None` if there is none.
    fn bytes(&self, at: &Spot) -> Result<Option<Vec<u8>>, Error> {
        let path = self.home.path(at);
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Ok(about) if !about.is_file() => {
                return Err(Error::file(
                    &path,
                    "it is a link or a folder, and no file of its own; put a file in its place",
                ));
            }
            _ => {}
        }
        std::fs::read(&path).map(Some).map_err(|error| Error::io(&path, "read", &error))
    }

    fn taken(&self, at: &Spot) -> Error {
        Error::file(&self.home.path(at), "it is there already; move it away, or choose another name")
    }

    fn is_there(&self, at: &Spot) -> bool {
        self.home.path(at).symlink_metadata().is_ok()
    }

    fn original(&self, kept: &Kept) -> PathBuf {
        let mut path = self.home.journal().join(ORIGINALS);
        path.extend(kept.file.split('/'));
        path
    }

    fn original_bytes(&self, kept: &Kept) -> Result<Vec<u8>, Error> {
        let path = self.original(kept);
        let bytes = std::fs::read(&path).map_err(|error| Error::io(&path, "read", &error))?;
        if Content::Kept(kept.clone()).is(Some(&bytes)) {
            return Ok(bytes);
        }
        Err(Error::file(&path, "another program has changed this original, so that it cannot be put back"))
    }
}

/// Whether a file has further names, where the system tells.
#[cfg(unix)]
fn has_other_names(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    path.symlink_metadata().is_ok_and(|about| about.is_file() && about.nlink() > 1)
}

/// Whether a file has further names: not told here.
#[cfg(not(unix))]
fn has_other_names(_path: &Path) -> bool {
    false
}

/// Writes a file; its name comes to the disk with its folder.
fn write(path: &Path, bytes: &[u8], may_go: impl FnOnce() -> io::Result<()>) -> Result<(), Error> {
    let written = whole_file::write_one_of_many(path, |out| out.write_all(bytes), may_go);
    written.map_err(|error| Error::io(path, "written", &error))
}

/// Removes a file whose content is in the journal or among the originals.
fn remove(path: &Path) -> Result<(), Error> {
    faults::check().and_then(|()| std::fs::remove_file(path)).map_err(|error| Error::io(path, "removed", &error))
}
