//! `grid.json`: which grid a folder holds. A grid that was interrupted goes on in its folder, another one gets a folder
//! of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lorabake_recipe::model::Checkpoint;
use lorabake_weights::whole_file;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::plan::{Asked, Plan};

/// The file's name.
const FILE: &str = "grid.json";
/// Version of the file's form.
const FORM: u32 = 1;
/// Largest file that is read.
const LARGEST: u64 = 64 << 20;
/// Most folders of one name.
const MOST_FOLDERS: usize = 1000;

/// Seeds that were drawn at random when a grid was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seeds {
    /// Of pictures.
    pub seed: u64,
    /// Of variations.
    pub variation_seed: u64,
}

/// A folder for a grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its path.
    pub path: PathBuf,
    /// The seeds of the grid that was begun there, if it is the same one.
    pub begun: Option<Seeds>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    lorabake_grid: u32,
    identity: String,
    seeds: Seeds,
    axes: Vec<RecordedAxis>,
    pictures: Vec<RecordedPicture>,
}

#[derive(Debug, Serialize, Deserialize)]
struct RecordedAxis {
    name: String,
    typed: String,
    values: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct RecordedPicture {
    file: String,
    labels: Vec<String>,
    seed: u64,
    prompt: String,
}

/// What makes a grid the same one: all that was asked for, and the files of checkpoints and LoRAs by size and time, but
/// for seeds that are drawn at random; `more` is what of the command line acts besides.
pub fn identity(asked: &Asked, plan: &Plan, has_drawn_seeds: bool, more: &str) -> String {
    let mut settings = asked.settings.clone();
    if has_drawn_seeds {
        settings.sampling.seed = None;
    }
    // Drawn wherever none is given; without a strength it has no effect.
    if has_drawn_seeds || settings.sampling.variation_strength.unwrap_or(0.0) == 0.0 {
        settings.sampling.variation_seed = None;
    }
    let mut text = format!("{FORM} {more} {settings:?} {} {:?}", asked.per_cell, asked.control);
    for axis in plan.axes.iter().flatten() {
        let labels: Vec<&str> = axis.values.iter().map(|value| value.label.as_str()).collect();
        let _ = write!(text, " {} {:?} {labels:?}", axis.axis.name, axis.typed);
    }
    for model in &plan.models {
        if let Checkpoint::File(path) = &model.choice.checkpoint {
            text += &stamp(path);
        }
        if let Some(path) = &model.choice.vae {
            text += &stamp(path);
        }
    }
    for path in &plan.network_files {
        text += &stamp(path);
    }
    let mut hash = Sha256::new();
    hash.update(text);
    let originals = &asked.originals;
    hash.update(format!("{:?} {:?} {}", originals.resize_mode, originals.step_rule, originals.color_correction));
    if let Some(image) = &originals.image {
        hash.update(&image.data);
    }
    if let Some(mask) = &originals.mask {
        hash.update(&mask.data);
    }
    for unit in &originals.control {
        hash.update(&unit.image.data);
    }
    hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A file's name, size and time; a folder's or a lost file's name alone.
fn stamp(path: &Path) -> String {
    let data = std::fs::metadata(path).ok();
    let length = data.as_ref().map(std::fs::Metadata::len);
    let time = data.and_then(|data| data.modified().ok());
    format!(" {:?} {length:?} {time:?}", path.file_name())
}

impl Folder {
    /// The folder for the grid of this identity: `out` if it is empty or holds that grid, else `out-2`, `out-3` and so
    /// on. Nothing is made yet.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn find(out: &Path, identity: &str) -> Result<Self> {
        let name = out.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for number in 1..=MOST_FOLDERS {
            let path = match number {
                1 => out.to_owned(),
                _ if name.is_empty() => out.join(number.to_string()),
                _ => out.with_file_name(format!("{name}-{number}")),
            };
            if path.exists() && !path.is_dir() {
                bail!("--out {}: it is a file; name a folder", path.display());
            }
            if let Some(record) = read(&path.join(FILE)) {
                if record.lorabake_grid == FORM && record.identity == identity {
                    return Ok(Self { path, begun: Some(record.seeds) });
                }
                continue;
            }
            if is_empty(&path) {
                return Ok(Self { path, begun: None });
            }
        }
        bail!("--out {}: {MOST_FOLDERS} folders of that name are there; name another one", out.display())
    }

    /// Writes `grid.json`, which makes the folder that grid's.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn claim(&self, plan: &Plan, identity: &str, seeds: Seeds) -> Result<()> {
        let mut axes = Vec::new();
        for axis in plan.axes.iter().flatten() {
            axes.push(RecordedAxis {
                name: axis.axis.name.to_owned(),
                typed: axis.typed.clone(),
                values: axis.values.iter().map(|value| value.label.clone()).collect(),
            });
        }
        let mut pictures = Vec::new();
        for picture in &plan.pictures {
            pictures.push(RecordedPicture {
                file: picture.file.clone(),
                labels: plan.labels(picture.cell).into_iter().map(str::to_owned).collect(),
                seed: picture.settings.sampling.seed.unwrap_or(0),
                prompt: picture.settings.prompt.clone().unwrap_or_default(),
            });
        }
        let record = Record { lorabake_grid: FORM, identity: identity.to_owned(), seeds, axes, pictures };
        let text = serde_json::to_string_pretty(&record)?;
        let path = self.path.join(FILE);
        let written = whole_file::write(&path, |out| out.write_all(text.as_bytes()));
        written.with_context(|| format!("--out {}: cannot write there; name another folder", self.path.display()))
    }

    /// Where a cell's picture is.
    pub fn picture(&self, file: &str) -> PathBuf {
        self.path.join("cells").join(file)
    }
}

/// What a `grid.json` says; one that is none belongs to somebody else.
fn read(path: &Path) -> Option<Record> {
    if std::fs::metadata(path).ok()?.len() > LARGEST {
        return None;
    }
    serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
}

/// Whether there is nothing in a folder, or no folder yet.
fn is_empty(path: &Path) -> bool {
    match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !path.exists(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_grid_gets_a_folder_of_its_own_and_the_same_one_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("grid");
        let find = |identity: &str| Folder::find(&out, identity).unwrap();
        assert_eq!(find("a"), Folder { path: out.clone(), begun: None });
        let seeds = Seeds { seed: 7, variation_seed: 8 };
        let record = |identity: &str| Record {
            lorabake_grid: FORM,
            identity: identity.to_owned(),
            seeds,
            axes: Vec::new(),
            pictures: Vec::new(),
        };
        std::fs::create_dir(&out).unwrap();
        std::fs::write(out.join(FILE), serde_json::to_string(&record("a")).unwrap()).unwrap();
        assert_eq!(find("a").begun, Some(seeds));
        let second = folder.path().join("grid-2");
        assert_eq!(find("b"), Folder { path: second.clone(), begun: None });
        // What is somebody else's is left alone, and so is a file that is not ours.
        std::fs::create_dir(&second).unwrap();
        std::fs::write(second.join(FILE), "{}").unwrap();
        assert_eq!(find("b").path, folder.path().join("grid-3"));
        assert!(Folder::find(&out.join(FILE), "a").unwrap_err().to_string().contains("it is a file"));
    }
}
