//! `grid.json`: what a folder's grid is, which pictures it has, and which files beside them are ours.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::Result;
use lorabake_recipe::model::Checkpoint;
use lorabake_weights::whole_file;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::plan::{Asked, Plan};

/// The file's name.
pub(super) const FILE: &str = "grid.json";
/// Version of the file's form.
pub(super) const FORM: u32 = 1;
/// Largest file that is read.
const LARGEST: u64 = 64 << 20;

/// Seeds that were drawn at random when a grid was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seeds {
    /// Of pictures.
    pub seed: u64,
    /// Of variations.
    pub variation_seed: u64,
}

/// What a `grid.json` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub lorabake_grid: u32,
    /// What makes it this grid, see [`identity`].
    pub identity: String,
    pub seeds: Seeds,
    pub axes: Vec<RecordedAxis>,
    pub pictures: Vec<RecordedPicture>,
    /// Sheets and pages as they were written last.
    #[serde(default)]
    pub written: Vec<Written>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RecordedAxis {
    name: String,
    typed: String,
    values: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RecordedPicture {
    file: String,
    labels: Vec<String>,
    seed: u64,
    prompt: String,
}

/// A file that was written, by which a later run knows it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Written {
    pub file: String,
    pub sha256: String,
}

/// What there is in the place of a record.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    Nothing,
    Record(Box<Record>),
    /// Something that cannot be read, and why.
    Damaged(String),
}

impl Record {
    /// Of a grid that begins.
    pub fn of(plan: &Plan, identity: &str, seeds: Seeds) -> Self {
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
        Self { lorabake_grid: FORM, identity: identity.to_owned(), seeds, axes, pictures, written: Vec::new() }
    }

    /// What is in `folder`.
    pub fn find(folder: &Path) -> Found {
        let path = folder.join(FILE);
        let size = match std::fs::metadata(&path) {
            Ok(data) if data.is_file() => data.len(),
            // A pipe would never end.
            Ok(_) => return Found::Damaged("it is no file".to_owned()),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Found::Nothing;
            }
            Err(error) => return Found::Damaged(error.to_string()),
        };
        if size > LARGEST {
            return Found::Damaged(format!("{size} bytes are too many"));
        }
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => return Found::Damaged(error.to_string()),
        };
        match serde_json::from_str::<Self>(&text) {
            Ok(record) if record.lorabake_grid == FORM => Found::Record(Box::new(record)),
            Ok(_) => Found::Damaged("it was written by another version of lorabake".to_owned()),
            Err(error) => Found::Damaged(error.to_string()),
        }
    }

    /// Writes it into `folder`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        Ok(whole_file::write(&folder.join(FILE), |out| out.write_all(text.as_bytes()))?)
    }
}

/// The SHA-256 of a file, in hex.
///
/// # Errors
/// When it cannot be read.
pub(super) fn hash_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut part = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut part)?;
        if count == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&part[..count]);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
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
    hex(&hash.finalize())
}

/// A file's name, size and time; a folder's or a lost file's name alone.
pub(crate) fn stamp(path: &Path) -> String {
    let data = std::fs::metadata(path).ok();
    let length = data.as_ref().map(std::fs::Metadata::len);
    let time = data.and_then(|data| data.modified().ok());
    format!(" {:?} {length:?} {time:?}", path.file_name())
}
