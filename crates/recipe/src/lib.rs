//! What the user wants: kohya flags and TOML in, one validated [`Recipe`] out.
//!
//! Each section of the recipe has one file: what may be typed (`Raw…`), what it means once validated, and the rules
//! between the two. This crate knows no tensors and reads no file but the recipe itself.

pub mod adapter;
pub mod captions;
pub mod data;
pub mod diffusion;
pub mod model;
pub mod network;
pub mod optim;
pub mod optimizer;
pub mod output;
pub mod preset;
pub mod seed;
pub mod train;

mod adapter_args;
mod argv;
mod file;
mod foreign;
mod names;
mod optimizer_args;
mod pairs;
mod parse;
mod report;
mod setting;

pub use file::WriteError;
pub use parse::{ParseError, Parsed, command, parse_toml, parse_train};
pub use report::{Note, Problem, Problems};

use report::Report;

/// A validated recipe: everything a bake depends on except the files themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// The checkpoint and how its text encoder is used.
    pub model: model::Model,
    /// Image folders, captions, buckets.
    pub data: data::Data,
    /// The adapter that is trained.
    pub network: network::Network,
    /// Noise and loss.
    pub diffusion: diffusion::Diffusion,
    /// Optimizer and learning rates.
    pub optim: optim::Optim,
    /// Length, accumulation, precision, seed.
    pub train: train::Train,
    /// Where results and logs go.
    pub output: output::Output,
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
    /// Length, accumulation, precision, seed.
    #[command(flatten)]
    pub train: train::RawTrain,
    /// Where results and logs go.
    #[command(flatten)]
    pub output: output::RawOutput,
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
        let captions = self.captions.resolve(report);
        let data = self.data.resolve(&model.checkpoint, captions, report);
        let network = self.network.resolve(report);
        let optim = self.optim.resolve(network.scope, report);
        let diffusion = self.diffusion.resolve(data.reg_dir.is_some(), report);
        let (train, output) = (self.train.resolve(report), self.output.resolve(report));
        Recipe { model, data, network, diffusion, optim, train, output }
    }
}

impl From<&Recipe> for RawRecipe {
    fn from(recipe: &Recipe) -> Self {
        Self {
            model: (&recipe.model).into(),
            data: (&recipe.data).into(),
            captions: (&recipe.data.captions).into(),
            network: (&recipe.network).into(),
            optim: (&recipe.optim).into(),
            diffusion: (&recipe.diffusion).into(),
            train: (&recipe.train).into(),
            output: (&recipe.output).into(),
        }
    }
}
