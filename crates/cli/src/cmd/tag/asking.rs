//! Asks taggers about images, a batch at a time; what a file of scores has is not asked again.

use std::fmt::Write;
use std::fs;

use anyhow::{Result, bail};
use lorabake_data::scan::pairs::Pair;
use lorabake_pixels::{Rgba, decode_rgba};
use lorabake_vision::tagger::{Choice, Kept, Prepared, Row, Scores, Tagger};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::args::Args;
use crate::terminal::{self, Shown};

/// A tagger with its thresholds.
pub struct Asked {
    /// The tagger.
    tagger: Tagger,
    /// What its scores are called in a file.
    model: String,
    /// From which score on its tags count.
    pub choice: Choice,
}

/// Taggers, and the scores that are there already.
pub struct Asking {
    taggers: Vec<Asked>,
    kept: Option<Kept>,
}

/// Images that are ready to be looked at, and those that cannot be.
#[derive(Default)]
pub struct Batch {
    images: Vec<Ready>,
    /// What is wrong with others, a line each.
    pub problems: Vec<String>,
}

struct Ready {
    pair: Pair,
    key: String,
    size: [u32; 2],
    /// For each tagger what it is shown, or nothing if its scores are there.
    prepared: Vec<Option<Prepared>>,
}

/// An image with what each tagger says of it.
pub struct Seen {
    /// The image.
    pub pair: Pair,
    /// Its width and height in pixels.
    pub size: [u32; 2],
    /// What each tagger says.
    pub rows: Vec<Row>,
    /// Which of them are new.
    is_new: Vec<bool>,
}

impl Asking {
    /// Opens the taggers of `args`, and its file of scores.
    ///
    /// # Errors
    /// When there is none, one is none, or the file cannot be written.
    pub fn of(args: &Args) -> Result<Self> {
        let mut paths = args.tagger.model.clone();
        paths.extend(args.accepted.model()?);
        if paths.is_empty() {
            bail!(
                "--model: there is no tagger; name the folder of one, with model.onnx and selected_tags.csv (docs/tagging.md \
                 says where they are had)"
            );
        }
        let mut taggers = Vec::new();
        for path in paths {
            let tagger = Tagger::open(&path, args.tagger.resize)?;
            let usual = tagger.contract().thresholds.clone();
            let choice = Choice { usual, wanted: args.choice.wanted(), cut: args.choice.cut() };
            taggers.push(Asked { model: model_name(&tagger), tagger, choice });
        }
        let kept = args.output.scores.as_deref().map(Kept::open).transpose()?;
        if let Some(kept) = kept.as_ref().filter(|kept| kept.passed_over > 0) {
            terminal::say(&format!("note: --scores: {} lines of it are damaged and passed over", kept.passed_over));
        }
        Ok(Self { taggers, kept })
    }

    /// Whether scores are kept in a file.
    pub fn keeps_scores(&self) -> bool {
        self.kept.is_some()
    }

    /// The taggers.
    pub fn taggers(&self) -> &[Asked] {
        &self.taggers
    }

    /// Reads and prepares images, several at a time.
    pub fn read(&self, pairs: &[Pair]) -> Batch {
        let read: Vec<Result<Ready, String>> = pairs.par_iter().map(|pair| self.ready(pair)).collect();
        let mut batch = Batch::default();
        for one in read {
            match one {
                Ok(ready) => batch.images.push(ready),
                Err(problem) => batch.problems.push(problem),
            }
        }
        batch
    }

    fn ready(&self, pair: &Pair) -> Result<Ready, String> {
        let key = if self.kept.is_some() { hash(pair)? } else { String::new() };
        let mut prepared = Vec::new();
        let mut picture: Option<Rgba> = None;
        let mut size = [0; 2];
        for asked in &self.taggers {
            if let Some(row) = self.kept.as_ref().and_then(|kept| kept.get(&key, &asked.model)) {
                size = row.size;
                prepared.push(None);
                continue;
            }
            if picture.is_none() {
                picture = Some(decode_rgba(&pair.image).map_err(|why| why.to_string())?);
            }
            if let Some(picture) = &picture {
                size = [picture.width, picture.height];
                if asked.tagger.is_too_long(picture.size()) {
                    let [width, height] = size;
                    let path = pair.image.display();
                    return Err(format!(
                        "{path}: {width} × {height} is too long for a tagger, which sees squares; crop it"
                    ));
                }
                prepared.push(Some(asked.tagger.prepare(picture)));
            }
        }
        Ok(Ready { pair: pair.clone(), key, size, prepared })
    }

    /// What the taggers say of a batch.
    ///
    /// # Errors
    /// When one cannot be computed.
    pub fn ask(&self, batch: &Batch) -> Result<Vec<Seen>> {
        let mut seen: Vec<Seen> = Vec::new();
        for ready in &batch.images {
            seen.push(Seen { pair: ready.pair.clone(), size: ready.size, rows: Vec::new(), is_new: Vec::new() });
        }
        for (index, asked) in self.taggers.iter().enumerate() {
            let mut shown = Vec::new();
            for ready in &batch.images {
                shown.extend(ready.prepared[index].clone());
            }
            let mut scored = asked.tagger.scores(&shown)?.into_iter();
            for (ready, seen) in batch.images.iter().zip(&mut seen) {
                let known = self.kept.as_ref().and_then(|kept| kept.get(&ready.key, &asked.model));
                let is_new = ready.prepared[index].is_some();
                let row = match (is_new, known) {
                    (false, Some(row)) => row.clone(),
                    _ => {
                        let values = scored.next().unwrap_or_default();
                        Row {
                            image: ready.pair.image.display().to_string(),
                            key: ready.key.clone(),
                            size: ready.size,
                            model: asked.model.clone(),
                            scores: Scores::of(&asked.tagger.contract().labels, &values),
                        }
                    }
                };
                seen.rows.push(row);
                seen.is_new.push(is_new);
            }
        }
        Ok(seen)
    }

    /// Keeps what is new in the file of scores, if there is one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&mut self, seen: &Seen) -> Result<()> {
        let Some(kept) = &mut self.kept else { return Ok(()) };
        for (row, is_new) in seen.rows.iter().zip(&seen.is_new) {
            if *is_new {
                kept.add(row.clone())?;
            }
        }
        Ok(())
    }
}

/// What a tagger's scores are called: its file and folder, its size, and how pictures come to it.
fn model_name(tagger: &Tagger) -> String {
    let path = tagger.network().path();
    let name = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let folder = name(whole.parent().and_then(|folder| folder.file_name()));
    let bytes = fs::metadata(path).map_or(0, |about| about.len());
    let stages: Vec<String> = tagger.contract().stages.iter().map(|stage| format!("{stage:?}")).collect();
    let stages = format!("{:x}", Sha256::digest(stages.join(" ")));
    format!("{folder}/{} {bytes} {}", name(path.file_name()), &stages[..6])
}

/// The SHA-256 of an image's file in hex digits.
fn hash(pair: &Pair) -> Result<String, String> {
    let shown = pair.image.display();
    let bytes = fs::read(&pair.image).map_err(|why| format!("{}: {why}; make it readable", Shown(shown)))?;
    let mut hex = String::new();
    for byte in Sha256::digest(&bytes) {
        let _ = write!(hex, "{byte:02x}");
    }
    Ok(hex)
}
