//! The whole of a recipe, section by section: what may be typed, and what it means.

use crate::data::Data;
use crate::data::caches::{Caches, RawCaches};
use crate::data::captions::RawCaptions;
use crate::data::options::RawData;
use crate::data::validation::{RawValidation, Validation};
use crate::diffusion::prior::{Prior, RawPrior};
use crate::diffusion::{Diffusion, RawDiffusion};
use crate::judging::{Judging, RawJudging};
use crate::model::{Model, RawModel};
use crate::network::Network;
use crate::network::options::RawNetwork;
use crate::optim::Optim;
use crate::optim::options::RawOptim;
use crate::output::samples::{RawSamples, Samples};
use crate::output::{Output, RawOutput};
use crate::train::{RawTrain, Train};

/// A validated recipe: everything a bake depends on except the files themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// The checkpoint and how its text encoder is used.
    pub model: Model,
    /// Image folders, captions, buckets.
    pub data: Data,
    /// What is computed once and kept.
    pub caches: Caches,
    /// The adapter that is trained.
    pub network: Network,
    /// Noise and loss.
    pub diffusion: Diffusion,
    /// What is kept of what the model knew.
    pub prior: Prior,
    /// Optimizer and learning rates.
    pub optim: Optim,
    /// Length, accumulation, precision, seed.
    pub train: Train,
    /// How often the loss over held-out images is measured.
    pub validation: Option<Validation>,
    /// When the LoRA is judged while it trains.
    pub judging: Option<Judging>,
    /// Where results and logs go.
    pub output: Output,
    /// Pictures while it trains.
    pub samples: Option<Samples>,
}

impl Recipe {
    /// The recipe as TOML with every default written out; `--config_file` and [`crate::parse_toml`] read it back to an
    /// equal recipe.
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
    pub model: RawModel,
    /// Image folders, captions, buckets.
    #[command(flatten)]
    pub data: RawData,
    /// What is computed once and kept.
    #[command(flatten)]
    pub caches: RawCaches,
    /// What happens to captions.
    #[command(flatten)]
    pub captions: RawCaptions,
    /// The adapter that is trained.
    #[command(flatten)]
    pub network: RawNetwork,
    /// Optimizer and learning rates.
    #[command(flatten)]
    pub optim: RawOptim,
    /// Noise and loss.
    #[command(flatten)]
    pub diffusion: RawDiffusion,
    /// What is kept of what the model knew.
    #[command(flatten)]
    pub prior: RawPrior,
    /// Length, accumulation, precision, seed.
    #[command(flatten)]
    pub train: RawTrain,
    /// Held-out images.
    #[command(flatten)]
    pub validation: RawValidation,
    /// Judging while it trains.
    #[command(flatten)]
    pub judging: RawJudging,
    /// Where results and logs go.
    #[command(flatten)]
    pub output: RawOutput,
    /// Pictures while it trains.
    #[command(flatten)]
    pub samples: RawSamples,
}

/// A recipe that cannot be put into TOML.
#[derive(Debug, thiserror::Error)]
#[error("the recipe cannot be written as TOML ({0}); a path that is not valid UTF-8 has to be renamed")]
pub struct WriteError(#[from] toml::ser::Error);

impl RawRecipe {
    /// The recipe as a TOML file that `--config_file` reads, one section per part; what is not given is left out.
    ///
    /// # Errors
    /// If a path is not valid UTF-8.
    pub fn to_toml(&self) -> Result<String, WriteError> {
        Ok(toml::to_string_pretty(self)?)
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
            validation: RawValidation::of(recipe.data.hold_out, recipe.validation),
            judging: recipe.judging.map(Into::into).unwrap_or_default(),
            output: (&recipe.output).into(),
            samples: recipe.samples.as_ref().map(Into::into).unwrap_or_default(),
        }
    }
}
