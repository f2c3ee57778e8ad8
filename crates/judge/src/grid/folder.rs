//! The folder of a grid: where one goes on that was interrupted, and which files are ours to replace. Another grid gets a
//! folder of its own, and so does one whose folder holds other files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lorabake_generate::picture_file::keep_earlier;

use super::plan::Plan;
use super::record::{FILE, Found, Record, Seeds, Written, hash_of};

/// Most folders of one name.
const MOST_FOLDERS: usize = 1000;
/// The name of a grid's folder where `--out` has none of its own.
const NAME: &str = "grid";
/// What begins so is nobody's work: locks and half-written files.
const OURS: &str = ".lorabake-";

/// A folder for a grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its path.
    pub path: PathBuf,
    /// The seeds of the grid that was begun there, if it is the same one.
    pub begun: Option<Seeds>,
    /// Why it is another one than was named, and what was passed over, a line each.
    pub notes: Vec<String>,
}

/// What a folder is for a grid.
enum Use {
    /// It is empty, or not there.
    Free,
    /// The same grid was begun there.
    Begun(Seeds),
    /// It is taken, and by what.
    Taken(&'static str),
    /// It is taken by a grid of which nothing is known, and why.
    Damaged(String),
}

impl Folder {
    /// The folder for the grid of this identity: `out` if it is empty or holds that grid, else `out-2`, `out-3` and so
    /// on. Where `out` has no name, as `.` and `/`, it is a folder `grid` in it. Nothing is made yet.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn find(out: &Path, identity: &str) -> Result<Self> {
        let mut notes = Vec::new();
        let mut why = None;
        for path in places(out) {
            if path.exists() && !path.is_dir() {
                bail!("--out {}: it is a file; name a folder", path.display());
            }
            let begun = match look(&path, identity)? {
                Use::Free => None,
                Use::Begun(seeds) => Some(seeds),
                Use::Taken(by) => {
                    why.get_or_insert(by);
                    continue;
                }
                Use::Damaged(reason) => {
                    notes.push(format!(
                        "{}: it cannot be read ({reason}), so that nothing is known of the grid there; its files stay as \
                         they are",
                        path.join(FILE).display()
                    ));
                    why.get_or_insert("a grid of which nothing is known");
                    continue;
                }
            };
            if let Some(by) = why {
                notes.push(format!("--out {}: there is {by} in it; this grid is in {}", out.display(), path.display()));
            }
            return Ok(Self { path, begun, notes });
        }
        bail!("--out {}: {MOST_FOLDERS} folders of that name are there; name another one", out.display())
    }

    /// Writes `grid.json`, which makes the folder that grid's.
    ///
    /// # Errors
    /// When it cannot be written, or another grid was begun there in the meantime.
    pub fn claim(&self, plan: &Plan, identity: &str, seeds: Seeds) -> Result<()> {
        let mut record = Record::of(plan, identity, seeds);
        if let Found::Record(earlier) = Record::find(&self.path) {
            if earlier.identity != identity {
                bail!(
                    "--out {}: another grid was begun there just now; give the same command again",
                    self.path.display()
                );
            }
            record.written = earlier.written;
        }
        let written = record.write(&self.path);
        written.with_context(|| format!("--out {}: cannot write there; name another folder", self.path.display()))
    }

    /// Where a cell's picture is.
    pub fn picture(&self, file: &str) -> PathBuf {
        self.path.join("cells").join(file)
    }

    /// Has a sheet or page written by `write`, in the place of the one that was written there before. What is there else
    /// is the user's and gets another name, which is returned.
    ///
    /// # Errors
    /// When it cannot be kept or written.
    pub fn replace(&self, file: &str, write: impl FnOnce(&Path) -> Result<()>) -> Result<Option<PathBuf>> {
        let path = self.path.join(file);
        let record = match Record::find(&self.path) {
            Found::Record(record) => Some(record),
            // It was there when the grid was begun.
            _ => None,
        };
        let is_ours = match hash_of(&path) {
            Ok(sha256) => {
                let file = Written { file: file.to_owned(), sha256 };
                record.as_ref().is_some_and(|record| record.written.contains(&file))
            }
            Err(_) => !path.exists(),
        };
        let kept = if is_ours { None } else { keep_earlier(&path)? };
        write(&path)?;
        let Some(mut record) = record else { return Ok(kept) };
        let sha256 = hash_of(&path).with_context(|| format!("{}: it cannot be read again", path.display()))?;
        record.written.retain(|written| written.file != file);
        record.written.push(Written { file: file.to_owned(), sha256 });
        record.write(&self.path).with_context(|| format!("cannot write {}", self.path.join(FILE).display()))?;
        Ok(kept)
    }
}

/// The folders that a grid may go to, the one that was named first.
fn places(out: &Path) -> impl Iterator<Item = PathBuf> {
    let (named, begin) = match out.file_name() {
        Some(name) => (out.to_owned(), name.to_string_lossy().into_owned()),
        None => (out.join(NAME), NAME.to_owned()),
    };
    let others = (2..=MOST_FOLDERS).map({
        let named = named.clone();
        move |number| named.with_file_name(format!("{begin}-{number}"))
    });
    let first = if named == out { None } else { Some(out.to_owned()) };
    first.into_iter().chain([named]).chain(others)
}

fn look(path: &Path, identity: &str) -> Result<Use> {
    match Record::find(path) {
        Found::Record(record) if record.identity == identity => return Ok(Use::Begun(record.seeds)),
        Found::Record(_) => return Ok(Use::Taken("another grid")),
        Found::Damaged(reason) => return Ok(Use::Damaged(reason)),
        Found::Nothing => {}
    }
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(_) if !path.exists() => return Ok(Use::Free),
        Err(error) => bail!("--out {}: it cannot be looked into ({error}); name another folder", path.display()),
    };
    for entry in entries {
        let is_ours = entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(OURS));
        if !is_ours {
            return Ok(Use::Taken("something else"));
        }
    }
    Ok(Use::Free)
}

#[cfg(test)]
mod tests {
    use lorabake_weights::whole_file;

    use super::*;
    use crate::grid::record::FORM;

    const SEEDS: Seeds = Seeds { seed: 7, variation_seed: 8 };

    /// Begins a grid of this identity in a folder.
    fn begin(folder: &Path, identity: &str) {
        std::fs::create_dir_all(folder).unwrap();
        let record = Record {
            lorabake_grid: FORM,
            identity: identity.to_owned(),
            seeds: SEEDS,
            axes: Vec::new(),
            pictures: Vec::new(),
            written: Vec::new(),
        };
        record.write(folder).unwrap();
    }

    #[test]
    fn another_grid_gets_a_folder_of_its_own_and_the_same_one_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("grid");
        let find = |identity: &str| Folder::find(&out, identity).unwrap();
        assert_eq!(find("a"), Folder { path: out.clone(), begun: None, notes: Vec::new() });
        begin(&out, "a");
        assert_eq!(find("a").begun, Some(SEEDS));
        let second = folder.path().join("grid-2");
        let other = find("b");
        assert_eq!((&other.path, other.begun), (&second, None));
        assert!(
            other.notes[0].ends_with(&format!("there is another grid in it; this grid is in {}", second.display()))
        );
        // What is somebody else's is left alone, and so is a record that tells nothing; both are told.
        std::fs::create_dir(&second).unwrap();
        std::fs::write(second.join(FILE), "{\"lorabake_grid\": 1, \"iden").unwrap();
        let third = find("b");
        assert_eq!(third.path, folder.path().join("grid-3"));
        assert!(third.notes[0].starts_with(&format!("{}: it cannot be read (", second.join(FILE).display())));
        assert!(third.notes[0].ends_with("its files stay as they are"), "{third:?}");
        assert!(Folder::find(&out.join(FILE), "a").unwrap_err().to_string().contains("it is a file"));
    }

    #[test]
    fn a_folder_without_a_name_gets_one_within() {
        let folder = tempfile::tempdir().unwrap();
        let nameless = folder.path().join("work").join("..");
        std::fs::create_dir(folder.path().join("work")).unwrap();
        let find = |identity: &str| Folder::find(&nameless, identity).unwrap();
        let found = find("a");
        assert_eq!((&found.path, found.notes.len()), (&nameless.join("grid"), 1));
        begin(&nameless.join("grid"), "a");
        assert_eq!(find("b").path, nameless.join("grid-2"));
        // One that holds this very grid is meant, and an empty one.
        let empty = folder.path().join("work").join(".");
        assert_eq!(Folder::find(&empty, "a").unwrap().notes, Vec::<String>::new());
        begin(&nameless, "c");
        assert_eq!(find("c"), Folder { path: nameless.clone(), begun: Some(SEEDS), notes: Vec::new() });
    }

    #[test]
    fn only_what_was_written_here_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        begin(folder.path(), "a");
        let found = Folder::find(folder.path(), "a").unwrap();
        let whole = |path: &Path, text: &str| whole_file::write(path, |out| out.write_all(text.as_bytes()));
        let write = |text: &str| found.replace("grid.html", |path| Ok(whole(path, text)?)).unwrap();
        assert_eq!(write("one"), None);
        assert_eq!(write("two"), None);
        std::fs::write(folder.path().join("grid.html"), "my notes").unwrap();
        let kept = write("three").unwrap();
        assert_eq!(std::fs::read_to_string(kept).unwrap(), "my notes");
        assert_eq!(std::fs::read_to_string(folder.path().join("grid.html")).unwrap(), "three");
        assert_eq!(write("four"), None);
    }
}
