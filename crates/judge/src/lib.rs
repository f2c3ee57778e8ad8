//! Is this LoRA good, which snapshot is the best, and what should the next bake change?
//!
//! ```text
//! features       a picture → what the base sees in it, and distances between pictures
//! gachamax       one image → rounds of a LoRA, candidates and a choice among them, as files
//! regularization folders and captions → what the base model has to paint as regularization images
//! runs           a folder and a name → the snapshots of a run, in the order in which they were saved
//! material       recipe → images that were trained on, and some that were not; plain: pictures of the checkpoint alone;
//!                loss_size: at which size errors are measured; told: what the UNet is told meanwhile
//! scenes         captions → prompts with the trigger that the set has no picture of
//! bench          snapshots (worn) → Measures (measure): losses beside the checkpoint's own (losses), drift, text_drift, strength, tags, captions
//! studio         a snapshot → its pictures; gallery: what is seen in each; paintings: these → PictureMeasures (pictures):
//!                likeness, copies, diversity, bleed, fry, noise_blobs
//! setting        a checkpoint and a recipe → what LoRAs are measured with there; progress: how far that is;
//!                shelf: what of it was measured already
//! appraisal      a run on its own checkpoint, all of the above; elsewhere: a LoRA on others; standing: how it does there
//! bootstrap      how sure a number is; wilson: that of a share
//! rules          Measures, PictureMeasures, RunFacts → Judgement (thresholds, keep); advice: → what to change next
//! while_training a run that trains → a verdict behind each epoch, and whether the run should end
//! grid           settings and axes → a grid of pictures: one file a picture, a sheet with labels, an HTML page
//! html           what pages have in common; sheet: pictures and labels → one picture; lettering: text → labels on it
//! ```
//!
//! What is found out is plain data; words for a screen are made in `cli`. Not here: painting (`generate`), training.

pub mod runs;

pub mod features;
pub mod picture;

pub mod grid;
pub mod html;
pub mod lettering;
pub mod sheet;

pub mod gachamax;
pub mod regularization;

pub mod loss_size;
pub mod material;
pub mod plain;
pub mod progress;
pub mod scenes;
pub mod told;

pub mod captions;
pub mod drift;
pub mod losses;
pub mod strength;
pub mod tags;
pub mod text_drift;

pub mod adherence;
pub mod bleed;
pub mod copies;
pub mod diversity;
pub mod fry;
pub mod likeness;
pub mod noise_blobs;

pub mod bootstrap;
pub mod nearest;
pub mod quantile;
pub mod wilson;

pub mod bench;
pub mod gallery;
pub mod measure;
pub mod paintings;
pub mod pictures;
pub mod studio;
pub mod worn;

pub mod advice;
pub mod facts;
mod keep;
pub mod rules;
mod thresholds;
pub mod verdict;
pub mod while_training;

pub mod appraisal;
pub mod elsewhere;
pub mod setting;
pub mod shelf;
pub mod standing;

use serde::{Deserialize, Serialize};

/// All that is known of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The run's name.
    pub run: String,
    /// What of its recipe matters.
    pub facts: facts::RunFacts,
    /// What was measured.
    pub measures: measure::Measures,
    /// What was measured of pictures, by the snapshots' numbers.
    pub pictures: Vec<(usize, pictures::PictureMeasures)>,
    /// The verdict.
    pub judgement: verdict::Judgement,
    /// What to change.
    pub advice: Vec<advice::Advice>,
    /// How much was done.
    #[serde(default)]
    pub budget: Option<setting::Budget>,
    /// The ONNX file that pictures were compared by, if it was not the checkpoint.
    #[serde(default)]
    pub features: Option<String>,
    /// How the snapshot to keep does on other checkpoints, if that was asked for.
    #[serde(default)]
    pub elsewhere: Option<standing::Elsewhere>,
}
