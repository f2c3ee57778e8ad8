//! What a bake tells, and what it can be told. The bake prints nothing itself.

use std::path::PathBuf;

use lorabake_data::DatasetReport;

use lorabake_generate::sample::{Picture, Request};
use lorabake_recipe::network::RankAlpha;
use serde::{Deserialize, Serialize};

use crate::estimate::MemoryReport;
use crate::update::max_norm::Norms;
use crate::watch::Milestone;

/// Where the stages of a run send what happens.
pub(crate) type Emit<'a> = dyn Fn(Event) + 'a;

/// Something that happened; consumers print it, log it or draw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A warning or remark that the user should read, one line.
    Note(String),
    /// What was found in the image folders, and how many steps it makes.
    Dataset(DatasetReport),
    /// What the run needs of memory and what there is; comes before anything large is read.
    Memory(MemoryReport),
    /// A stage of the preparation ended after this many seconds.
    Prepared {
        /// Which one.
        stage: Stage,
        /// How long it took.
        seconds: f64,
    },
    /// An image was turned into latents.
    Cached {
        /// Images done.
        done: usize,
        /// Images in all.
        total: usize,
    },
    /// Training begins.
    Started(RunInfo),
    /// One optimizer step was made.
    Stepped(Step),
    /// An epoch ended with this average loss.
    EpochEnded {
        /// Counted from 1.
        epoch: u64,
        /// Mean of the loss over the epoch's batches.
        average: f64,
    },
    /// The loss over the images that are held out was measured.
    Validated(Validated),
    /// A file was written.
    Saved(PathBuf),
    /// A picture was painted while training.
    Painted(Box<Painted>),
}

/// A stage of the preparation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Folders, captions and the headers of images.
    ImagesLookedThrough,
    /// The checkpoint's tensors found, none read.
    CheckpointOpened,
    /// Images encoded by the VAE, or their latents read.
    LatentsMade,
    /// The text encoders' weights in memory.
    TextEncodersRead,
    /// The text states of all captions made (`--cache_text_encoder_outputs`).
    CaptionsEncoded,
    /// The UNet's weights in memory.
    UnetRead,
}

/// The loss over the images that are held out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Validated {
    /// Optimizer steps made.
    pub step: u64,
    /// The epoch that has just ended, counted from 1; `None` in between (`--validate_every_n_steps`).
    pub epoch: Option<u64>,
    /// Mean over images and timesteps.
    pub loss: f64,
    /// This loss less the moving average of the training's loss.
    pub divergence: f64,
}

/// A picture of a prompt of `--sample_prompts`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Painted {
    /// When.
    pub milestone: Milestone,
    /// Which prompt, from 0.
    pub index: usize,
    /// The prompt and how it was painted.
    pub request: Request,
    /// The picture.
    pub picture: Picture,
}

/// The length and size of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Optimizer steps in all.
    pub steps: u64,
    /// Epochs in all.
    pub epochs: u64,
    /// Number of adapted layers in the UNet.
    pub unet_modules: usize,
    /// Number of adapted layers in the text encoder.
    pub text_modules: usize,
    /// Trainable numbers.
    pub parameters: usize,
    /// Rank and rate of each block of the UNet, where they differ; else empty.
    pub blocks: Vec<BlockRow>,
}

/// One block of the UNet, and what it is trained with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlockRow {
    /// Such as `IN00`.
    pub name: String,
    /// Adapted layers; 0 if the block is not trained, or has nothing to adapt.
    pub modules: usize,
    /// Rank and alpha of its linear layers, if one is adapted.
    pub linear: Option<RankAlpha>,
    /// Rank and alpha of its 3×3 convolutions, if one is adapted.
    pub conv: Option<RankAlpha>,
    /// The learning rate before the schedule; 0 if it is not trained.
    pub rate: f64,
}

/// One optimizer step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Counted from 1.
    pub step: u64,
    /// Counted from 1.
    pub epoch: u64,
    /// Mean loss of the step's batches.
    pub loss: f64,
    /// Moving average over one epoch's worth of batches, as sd-scripts shows it.
    pub average: f64,
    /// Learning rate of each optimizer group in this step, by sd-scripts' names: `textencoder`, `unet`, `unet_block4`, each
    /// also with ` plus`.
    pub rates: Vec<(String, f64)>,
    /// These learning rates multiplied with d, as the step left it; empty unless the optimizer is an adaptive one.
    pub d_times_lr: Vec<(String, f64)>,
    /// The d of an adaptive optimizer, as the step left it; `None` unless the optimizer is an adaptive one.
    pub d: Option<f64>,
    /// L2 norm of all gradients before clipping.
    pub gradient_norm: f64,
    /// Norms of the layers' changes, with `--scale_weight_norms`.
    pub norms: Option<Norms>,
    /// Wall time of the step, in seconds.
    pub seconds: f64,
}

/// What a running bake can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Finish the current step, save and end.
    Stop,
}

/// How a bake ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The file with the result.
    pub file: PathBuf,
    /// Optimizer steps made.
    pub steps: u64,
    /// Steps that were planned.
    pub planned: u64,
    /// Average loss at the end.
    pub average: f64,
    /// Seconds from the first step to the end of the last.
    pub seconds: f64,
    /// The epoch whose LoRA is the result, where the onlooker has ended the run.
    pub best_epoch: Option<u64>,
}
