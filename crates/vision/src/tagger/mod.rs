//! Taggers: which tags a picture has, by networks such as WD, JoyTag or cl_tagger that users bring as ONNX files.
//!
//! ```text
//! find       a folder or file     → the network's file; what it is, if it is no tagger
//! recognise  files beside it      → its contract: what it wants of a picture (family, described, stage, stage_file), and
//!                                   what its outputs mean (label)
//! scores     picture              → a score for each tag; scores_file keeps them
//! choose     scores, thresholds   → tags that count; combine: of several taggers
//! wording    tags that count      → words of a caption
//! self_test  whether a file works here
//! ```

mod choose;
mod combine;
mod contract;
mod csv;
mod described;
mod family;
mod find;
mod label;
mod recognise;
mod scores;
mod scores_file;
mod self_test;
mod stage;
mod stage_file;
mod wording;
mod words;

use std::path::Path;

use lorabake_onnx::{Network, Side, Values};
use lorabake_pixels::{Rgba, Size};

use crate::error::Error;
pub use choose::{Choice, Cut, Tag};
pub use combine::{Combine, Opinion, combined};
pub use contract::{Activation, Contract};
pub use find::find;
pub use label::{Category, Label};
pub use scores::{LEAST_KEPT, ScoredTag, Scores};
pub use scores_file::{Kept, Row};
pub use self_test::{SelfTest, sample_picture};
pub use stage::{Colors, Layout, Numbers, Parts, Resampling, Stage, on_color};
pub use wording::{Order, Place, Replacement, Underscores, Wording, folded};

/// A tagger that can be asked.
#[derive(Debug)]
pub struct Tagger {
    network: Network,
    contract: Contract,
}

/// A picture as numbers, as a tagger wants it.
#[derive(Debug, Clone)]
pub struct Prepared(Vec<f32>);

impl Prepared {
    /// Its numbers, row-major.
    pub fn values(&self) -> &[f32] {
        &self.0
    }
}

impl Tagger {
    /// Opens the tagger at `path`, an ONNX file or its folder. With `resize` pictures are brought to its size in another way
    /// than it was made with.
    ///
    /// # Errors
    /// When it is no tagger, cannot be read, or the files beside it do not fit.
    pub fn open(path: &Path, resize: Option<Resampling>) -> Result<Self, Error> {
        let network = Network::open(&find(path)?)?;
        let mut contract = recognise::recognised(&network)?;
        if let Some(by) = resize {
            contract.stages.iter_mut().for_each(|stage| *stage = stage.with(by));
        }
        Ok(Self { network, contract })
    }

    /// What it wants and gives.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// Its network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// How many pictures it takes at once, if that is fixed.
    pub fn fixed_batch(&self) -> Option<usize> {
        match self.network.inputs().first().and_then(|input| input.shape.as_ref()).and_then(|shape| shape.first()) {
            Some(Side::Fixed(count)) => Some(*count),
            _ => None,
        }
    }

    /// Whether a picture of this size would be padded to a square that takes too much memory.
    pub fn is_too_long(&self, size: Size) -> bool {
        const LONGEST: u32 = 12_000;
        let pads = self.contract.stages.iter().any(|stage| matches!(stage, Stage::Square(_)));
        pads && size.0.max(size.1) > LONGEST
    }

    /// A picture as it wants it.
    pub fn prepare(&self, picture: &Rgba) -> Prepared {
        let Contract { stages, numbers, background, .. } = &self.contract;
        let mut seen = on_color(picture, *background);
        for stage in stages {
            seen = stage.apply(&seen);
        }
        Prepared(numbers.of(&seen))
    }

    /// The scores of all its tags for each picture, 0 to 1, in the order of its list.
    ///
    /// # Errors
    /// When it cannot be computed, or gives another number of scores than its list has tags.
    pub fn scores(&self, pictures: &[Prepared]) -> Result<Vec<Vec<f32>>, Error> {
        let mut all = Vec::with_capacity(pictures.len());
        for batch in pictures.chunks(self.fixed_batch().unwrap_or(pictures.len()).max(1)) {
            all.extend(self.batch(batch)?);
        }
        Ok(all)
    }

    fn batch(&self, pictures: &[Prepared]) -> Result<Vec<Vec<f32>>, Error> {
        let Contract { size, numbers, output, activation, labels, .. } = &self.contract;
        let [width, height] = [size.0 as usize, size.1 as usize];
        let count = self.fixed_batch().unwrap_or(pictures.len());
        let shape = match numbers.layout {
            Layout::ColorsLast => vec![count, height, width, 3],
            Layout::ColorsFirst => vec![count, 3, height, width],
        };
        let mut values = Vec::with_capacity(count * 3 * width * height);
        for picture in pictures {
            values.extend_from_slice(&picture.0);
        }
        // Black pictures fill what a fixed batch has too much.
        values.resize(count * 3 * width * height, 0.0);
        let given = self.network.run(Values { shape, values }, *output)?;
        let wrong = given.values.len() != count * labels.len();
        if wrong || given.values.iter().any(|value| !value.is_finite()) {
            let what = if wrong {
                let scores = given.values.len() / count.max(1);
                let tags = labels.len();
                format!("it gives {scores} scores and its list has {tags} tags; take both from the same model's page")
            } else {
                "it gives scores that are no numbers; download it again".to_owned()
            };
            return Err(Error::of(self.network.path(), what));
        }
        let mut rows: Vec<Vec<f32>> = given.values.chunks_exact(labels.len()).map(<[f32]>::to_vec).collect();
        rows.truncate(pictures.len());
        activation.apply(&mut rows);
        Ok(rows)
    }
}

impl Activation {
    /// Makes probabilities of what a network gives for some pictures.
    fn apply(self, rows: &mut [Vec<f32>]) {
        let is_probable = |value: &f32| (0.0..=1.0).contains(value);
        match self {
            Self::None => {}
            Self::ByRange if rows.iter().flatten().all(is_probable) => {}
            Self::Sigmoid | Self::ByRange => {
                for value in rows.iter_mut().flatten() {
                    *value = 1.0 / (1.0 + (-*value).exp());
                }
            }
            Self::Softmax => {
                for row in rows {
                    let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    row.iter_mut().for_each(|value| *value = (*value - highest).exp());
                    let sum: f32 = row.iter().sum();
                    row.iter_mut().for_each(|value| *value /= sum);
                }
            }
        }
    }
}
