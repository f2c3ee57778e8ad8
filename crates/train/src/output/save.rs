//! The network as a kohya file, with everything that its metadata tells.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use lorabake_data::Dataset;
use lorabake_data::bucket::Layout;
use lorabake_data::epoch_order::Length;
use lorabake_data::facts;
use lorabake_recipe::data::Mask;
use lorabake_recipe::data::dataset_facts::DatasetFacts;
use lorabake_recipe::model::Checkpoint;
use lorabake_recipe::output::SavePrecision;
use lorabake_recipe::{Parsed, Recipe};
use lorabake_weights::lora_size::file_bytes;
use lorabake_weights::metadata::{self, ModelHashes, RunFacts, Typed};
use lorabake_weights::{NamedTensor, lora};

use super::earlier::Earlier;
use crate::event::{Emit, Event};
use crate::session::Session;
use crate::update::finite::NotFinite;
use lorabake_generate::embedded;
use lorabake_lora::LoraNetwork;

/// Writes the files of one run.
pub(crate) struct Saver {
    facts: RunFacts,
    recipe: Recipe,
    /// Hashing a checkpoint takes seconds; it runs while training starts.
    hashes: Option<Hashing>,
    /// The VAE of its own being hashed likewise.
    vae_hashes: Option<Hashing>,
    /// What this run may replace and delete.
    pub earlier: Earlier,
}

/// A file being hashed.
type Hashing = JoinHandle<std::io::Result<ModelHashes>>;

/// How far a run is.
#[derive(Clone, Copy)]
pub(crate) struct Progress {
    /// The epoch, counted from 1.
    pub epoch: u64,
    /// Optimizer steps made.
    pub steps: u64,
}

/// The images of a run and its length.
#[derive(Clone, Copy)]
pub(crate) struct RunData<'a> {
    pub dataset: &'a Dataset,
    pub layout: &'a Layout,
    pub length: Length,
}

impl Saver {
    /// A saver for the files of a session.
    ///
    /// # Errors
    /// When the recipe cannot be kept in a file.
    pub fn new(parsed: &Parsed, session: &Session) -> Result<Self> {
        let recipe = session.recipe.clone();
        let data = RunData { dataset: &session.dataset, layout: &session.layout, length: session.length };
        let mut facts = run_facts(parsed, &recipe, data)?;
        let hashes = match &recipe.model.checkpoint {
            Checkpoint::Embedded => {
                facts.model_hashes = Some(ModelHashes::of_bytes(embedded::bytes()));
                None
            }
            Checkpoint::File(path) => Some(ModelHashes::in_background(path.clone())),
        };
        let vae_hashes = recipe.model.vae.clone().map(ModelHashes::in_background);
        let earlier = Earlier::new(&recipe.output, recipe.train.seed);
        Ok(Self { facts, recipe, hashes, vae_hashes, earlier })
    }

    /// Saves `network` at `path`; what an earlier run left there is kept under another name.
    ///
    /// # Errors
    /// When a weight is not finite, or the file cannot be written; what was at `path` is still there then.
    pub fn save(&mut self, network: &LoraNetwork, path: &Path, progress: Progress, emit: &Emit<'_>) -> Result<()> {
        if let Some(thread) = self.hashes.take() {
            self.facts.model_hashes = thread.join().ok().and_then(Result::ok);
        }
        if let (Some(thread), Some((_, hashes))) = (self.vae_hashes.take(), &mut self.facts.vae) {
            *hashes = thread.join().ok().and_then(Result::ok);
        }
        self.facts.epoch = progress.epoch;
        self.facts.steps = progress.steps;
        self.facts.finished_at = metadata::now();
        let tensors = network.tensors();
        NotFinite::check(&tensors)?;
        let mut precision = self.precision();
        if let Some(large) = too_large(&tensors, precision) {
            emit(Event::Note(format!(
                "{}: {large} is too large for --save_precision, so the file is saved as float; lower learning rates \
                 avoid that",
                path.display()
            )));
            precision = SavePrecision::F32;
        }
        let kept = self.earlier.keep(path)?;
        let saved = lora::save(path, tensors, precision, metadata::build(&self.recipe, &self.facts));
        if let (Err(_), Some(kept)) = (&saved, &kept) {
            std::fs::remove_file(kept).ok();
        }
        saved?;
        self.earlier.wrote(path);
        let kept = kept.filter(|kept| !self.earlier.is_made_again(kept, path) || std::fs::remove_file(kept).is_err());
        if let Some(kept) = kept {
            emit(Event::Note(format!("{}: the file of an earlier run is kept as {}", path.display(), kept.display())));
        }
        emit(Event::Saved(path.to_owned()));
        Ok(())
    }

    /// Bytes of the file with `network`.
    pub fn bytes(&self, network: &LoraNetwork) -> u64 {
        let mut tensors = Vec::new();
        for tensor in network.tensors() {
            tensors.push((tensor.name, tensor.shape));
        }
        file_bytes(&tensors, self.precision(), &metadata::build(&self.recipe, &self.facts))
    }

    fn precision(&self) -> SavePrecision {
        self.recipe.output.save_precision.unwrap_or(SavePrecision::F32)
    }
}

/// The first tensor with a number that is no longer finite once it is saved.
fn too_large(tensors: &[NamedTensor], precision: SavePrecision) -> Option<&str> {
    for tensor in tensors {
        let largest = tensor.values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let fits = match precision {
            SavePrecision::F32 => true,
            SavePrecision::F16 => largest < LARGEST_F16,
            SavePrecision::Bf16 => largest < LARGEST_BF16,
        };
        if !fits {
            return Some(&tensor.name);
        }
    }
    None
}

/// From here on numbers become infinite in fp16.
const LARGEST_F16: f32 = 65520.0;
/// From here on numbers become infinite in bf16: half a unit of the last place above its largest.
const LARGEST_BF16: f32 = f32::from_bits(0x7f7f_8000);

/// What a run that begins now has to tell, without the checkpoint's hashes.
///
/// # Errors
/// When the recipe cannot be written as TOML.
pub(crate) fn run_facts(parsed: &Parsed, recipe: &Recipe, data: RunData<'_>) -> Result<RunFacts> {
    let RunData { dataset, layout, length } = data;
    let typed = Typed {
        unet_lr: parsed.raw.optim.unet_lr,
        text_encoder_lr: parsed.raw.optim.text_encoder_lr.as_ref().and_then(|rates| rates.first().copied()),
        clip_skip: parsed.raw.model.clip_skip,
    };
    let started_at = metadata::now();
    Ok(RunFacts {
        session_id: (started_at * 1e6) as u64 as u32 ^ std::process::id().rotate_left(16),
        started_at,
        finished_at: started_at,
        steps: 0,
        epoch: 0,
        num_epochs: length.epochs,
        max_train_steps: length.steps,
        batches_per_epoch: length.batches_per_epoch,
        dataset: DatasetFacts {
            sets: facts::of_sets(dataset, layout, &recipe.data),
            ..facts::of_dataset(dataset, layout)
        },
        model_name: match &recipe.model.checkpoint {
            Checkpoint::Embedded => embedded::NAME.to_string(),
            Checkpoint::File(path) => file_name(path),
        },
        model_hashes: None,
        vae: recipe.model.vae.as_deref().map(|path| (file_name(path), None)),
        typed,
        recipe_toml: without_folders(recipe).to_toml().context("the recipe cannot be kept in the file")?,
    })
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// The recipe with file names only: a LoRA is passed on, and whose folders are called what is nobody's business.
fn without_folders(recipe: &Recipe) -> Recipe {
    let mut recipe = recipe.clone();
    let short = |path: &mut PathBuf| *path = PathBuf::from(file_name(path));
    if let Checkpoint::File(path) = &mut recipe.model.checkpoint {
        short(path);
    }
    recipe.model.vae.as_mut().map(short);
    short(&mut recipe.data.train_dir);
    recipe.data.reg_dir.as_mut().map(short);
    if let Some(Mask::Folder(dir)) = &mut recipe.data.mask {
        short(dir);
    }
    if let Some(config) = &mut recipe.data.config {
        short(&mut config.file);
    }
    recipe.network.weights.as_mut().map(short);
    for (_, preset) in recipe.network.args.iter_mut().filter(|(key, _)| key == "preset") {
        *preset = file_name(Path::new(preset.as_str()));
    }
    short(&mut recipe.output.dir);
    recipe.output.logging_dir.as_mut().map(short);
    recipe.output.resume.as_mut().map(short);
    recipe
}
