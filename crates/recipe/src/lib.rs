//! What the user wants: kohya flags and TOML in, one validated [`Recipe`] out.
//!
//! Each section of the recipe has one file: what may be typed (`Raw…`), what it means once validated, and the rules
//! between the two. This crate knows no tensors and reads no file but the recipe itself and its `--dataset_config`.

pub mod adapter;
pub mod advise;
pub mod blocks;
pub mod caches;
pub mod captions;
pub mod dampening;
pub mod data;
pub mod dataset_config;
pub mod device;
pub mod diffusion;
pub mod import;
pub mod keep;
pub mod lora_plus;
pub mod lycoris_preset;
pub mod model;
pub mod network;
pub mod optim;
pub mod optimizer;
pub mod output;
pub mod prior;
pub mod samples;
pub mod seed;
pub mod train;
pub mod validation;

mod adapter_args;
mod argv;
mod easy;
mod file;
mod foreign;
mod found;
mod names;
mod optimizer_args;
mod pairs;
mod parse;
mod rates;
mod report;
mod setting;
mod stages;

pub use file::WriteError;
pub use found::Found;
pub use parse::{ParseError, Parsed, command, parse_toml, parse_train};
pub use report::{Note, Problem, Problems};
pub use stages::parse_run;

use report::Report;

/// A validated recipe: everything a bake depends on except the files themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// The checkpoint and how its text encoder is used.
    pub model: model::Model,
    /// Image folders, captions, buckets.
    pub data: data::Data,
    /// What is computed once and kept.
    pub caches: caches::Caches,
    /// The adapter that is trained.
    pub network: network::Network,
    /// Noise and loss.
    pub diffusion: diffusion::Diffusion,
    /// What is kept of what the model knew.
    pub prior: prior::Prior,
    /// Optimizer and learning rates.
    pub optim: optim::Optim,
    /// Length, accumulation, precision, seed.
    pub train: train::Train,
    /// How often the loss over held-out images is measured.
    pub validation: Option<validation::Validation>,
    /// Where results and logs go.
    pub output: output::Output,
    /// Pictures while it trains.
    pub samples: Option<samples::Samples>,
}

impl Recipe {
    /// The recipe as TOML with every default written out; `--config_file` and [`parse_toml`] read it back to an equal
    /// recipe.
    ///
    /// # Errors
    /// If a path is not valid UTF-8.
    pub fn to_toml(&self) -> Result<String, WriteError> {
        RawRecipe::from(self).to_toml()
    }
}

/// What may be typed, option by option, before it is known to make sense; an absent option is `None`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, serde::Serialize)]
pub struct RawRecipe {
    /// The checkpoint and how its text encoder is used.
    #[command(flatten)]
    pub model: model::RawModel,
    /// Image folders, captions, buckets.
    #[command(flatten)]
    pub data: data::RawData,
    /// What is computed once and kept.
    #[command(flatten)]
    pub caches: caches::RawCaches,
    /// What happens to captions.
    #[command(flatten)]
    pub captions: captions::RawCaptions,
    /// The adapter that is trained.
    #[command(flatten)]
    pub network: network::RawNetwork,
    /// Optimizer and learning rates.
    #[command(flatten)]
    pub optim: optim::RawOptim,
    /// Noise and loss.
    #[command(flatten)]
    pub diffusion: diffusion::RawDiffusion,
    /// What is kept of what the model knew.
    #[command(flatten)]
    pub prior: prior::RawPrior,
    /// Length, accumulation, precision, seed.
    #[command(flatten)]
    pub train: train::RawTrain,
    /// Held-out images.
    #[command(flatten)]
    pub validation: validation::RawValidation,
    /// Where results and logs go.
    #[command(flatten)]
    pub output: output::RawOutput,
    /// Pictures while it trains.
    #[command(flatten)]
    pub samples: samples::RawSamples,
}

/// A recipe that makes sense, and what its author should know about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The recipe.
    pub recipe: Recipe,
    /// Options without effect and defaults that matter.
    pub notes: Vec<Note>,
}

impl RawRecipe {
    /// Checks the options against each other and fills in defaults; a seed that is not given is drawn here.
    ///
    /// # Errors
    /// All that is wrong, at once.
    pub fn resolve(&self) -> Result<Resolved, Problems> {
        let mut report = Report::default();
        let recipe = self.resolve_into(&mut report);
        if report.problems.is_empty() {
            Ok(Resolved { recipe, notes: report.notes })
        } else {
            Err(Problems(report.problems))
        }
    }

    /// The recipe, of use only if `report` holds no problem afterwards.
    fn resolve_into(&self, report: &mut Report) -> Recipe {
        let model = self.model.resolve(report);
        let mut data = self.images(&model, report);
        let family = model.family;
        let network = self.network.resolve(family, report);
        let caches = self.caches.resolve(&data, network.scope, report);
        let optim = self.optim.resolve(network.scope, family, report);
        blocks::check(&self.network, &network, &optim.optimizer, report);
        let diffusion = self.diffusion.resolve(report);
        let prior = self.prior.resolve(data.has_reg(), &caches, report);
        let (train, output) = (self.train.resolve(report), self.output.resolve(report));
        let (validation, samples) = (self.validation.resolve(&data, report), self.samples.resolve(report));
        data.split_by(train.seed);
        Recipe { model, data, caches, network, diffusion, prior, optim, train, validation, output, samples }
    }

    fn images(&self, model: &model::Model, report: &mut Report) -> data::Data {
        if self.caches.cache_latents_to_disk == Some(true) && self.data.cache_latents != Some(true) {
            // Latents on disk are kept latents, as in sd-scripts.
            let data = data::RawData { cache_latents: Some(true), ..self.data.clone() };
            return Self { data, ..self.clone() }.images(model, report);
        }
        let Some(file) = self.data.dataset_config.as_deref() else {
            let captions = self.captions.resolve(report);
            let mut data = self.data.resolve(model, captions, report);
            data.hold_out = self.validation.hold_out(report);
            if data.reg_pairing == data::RegPairing::SameName && !data.has_reg() {
                report.note("reg_pairing", "has no effect without --reg_data_dir");
            }
            return data;
        };
        // What stands outside the file is told about with the folders that it is for.
        let told = &mut Report::default();
        let mut data = self.data.resolve(model, self.captions.resolve(told), told);
        data.hold_out = self.validation.hold_out(told);
        data.config = Some(dataset_config::read(file, self, report));
        if data.reg_pairing == data::RegPairing::SameName && !data.has_reg() {
            report.note("reg_pairing", "has no effect without a subset with is_reg");
        }
        data
    }
}

impl From<&Recipe> for RawRecipe {
    fn from(recipe: &Recipe) -> Self {
        Self {
            model: (&recipe.model).into(),
            data: (&recipe.data).into(),
            caches: (&recipe.caches).into(),
            captions: (&recipe.data.captions).into(),
            network: (&recipe.network).into(),
            optim: (&recipe.optim).into(),
            diffusion: (&recipe.diffusion).into(),
            prior: (&recipe.prior).into(),
            train: (&recipe.train).into(),
            validation: recipe.into(),
            output: (&recipe.output).into(),
            samples: recipe.samples.as_ref().map(Into::into).unwrap_or_default(),
        }
    }
}
