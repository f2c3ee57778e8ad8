//! Validation: which images are held out of the training, and how often the loss over them is measured.

use serde::Serialize;

use crate::Recipe;
use crate::data::Data;
use crate::report::Report;

/// Which of a folder's training images are held out.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct HoldOut {
    /// Share of the images of each folder; 0 = none (`--validation_split`).
    pub share: f64,
    /// What they are shuffled with before (`--validation_seed`); `None` = `run_seed`.
    pub seed: Option<u32>,
    /// The seed of the run, or of the first of its stages: an image that one of them learns from is held out by none.
    pub run_seed: u64,
}

impl HoldOut {
    /// What the images are shuffled with, and what noise and latents of the validation come from.
    pub fn seed(&self) -> u64 {
        self.seed.map_or(self.run_seed, u64::from)
    }
}

impl Data {
    /// Whether images are to be held out for validation.
    pub fn holds_out(&self) -> bool {
        match &self.config {
            None => self.hold_out.share > 0.0,
            Some(config) => config.subsets.iter().any(|subset| !subset.is_reg && subset.settings.hold_out.share > 0.0),
        }
    }

    /// Makes `seed` the one that decides which images are held out, wherever none was given for that.
    pub fn split_by(&mut self, seed: u64) {
        self.hold_out.run_seed = seed;
        let subsets = self.config.iter_mut().flat_map(|config| &mut config.subsets);
        subsets.for_each(|subset| subset.settings.hold_out.run_seed = seed);
    }
}

/// How often the loss over the images that are held out is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validation {
    /// After every so many epochs (`--validate_every_n_epochs`).
    pub every_epochs: u64,
    /// After every so many steps too (`--validate_every_n_steps`).
    pub every_steps: Option<u64>,
    /// Over the first so many batches only (`--max_validation_steps`).
    pub most_batches: Option<usize>,
}

/// What may be typed about validation; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Validation", rename_all = "verbatim")]
pub struct RawValidation {
    /// Share of each folder's images that is not trained on, 0.1 to 0.2 is usual: the loss over these images, always
    /// with the same noise, tells when the LoRA begins to know the others by heart. [default: 0, no validation]
    #[arg(long, value_name = "SHARE")]
    pub validation_split: Option<f64>,
    /// Seed that decides which images are held out, and their noise. [default: the seed]
    #[arg(long, value_name = "NUMBER")]
    pub validation_seed: Option<u32>,
    /// Validate after every so many steps, and after epochs too.
    #[arg(long, value_name = "STEPS")]
    pub validate_every_n_steps: Option<u32>,
    /// Validate after every so many epochs. [default: 1]
    #[arg(long, value_name = "EPOCHS")]
    pub validate_every_n_epochs: Option<u32>,
    /// Validate with the first so many batches only. [default: all]
    #[arg(long, value_name = "BATCHES")]
    pub max_validation_steps: Option<u32>,
}

impl RawValidation {
    /// What is held out; `run_seed` is set once it is known.
    pub(crate) fn hold_out(&self, report: &mut Report) -> HoldOut {
        let share = report.share("validation_split", self.validation_split);
        HoldOut { share, seed: self.validation_seed, run_seed: 0 }
    }

    /// When to validate; never if `data` holds no image out.
    pub(crate) fn resolve(&self, data: &Data, report: &mut Report) -> Option<Validation> {
        let given = [
            ("validate_every_n_steps", self.validate_every_n_steps),
            ("validate_every_n_epochs", self.validate_every_n_epochs),
            ("max_validation_steps", self.max_validation_steps),
        ];
        if !data.holds_out() {
            let seed = [("validation_seed", self.validation_seed)];
            for (option, _) in seed.into_iter().chain(given).filter(|(_, number)| number.is_some_and(|n| n > 0)) {
                report.note(option, "has no effect without --validation_split");
            }
            return None;
        }
        let [every_steps, every_epochs, most_batches] =
            given.map(|(option, number)| number.map(|number| report.count(option, Some(number), 1)));
        Some(Validation {
            every_epochs: every_epochs.unwrap_or(1).into(),
            every_steps: every_steps.map(u64::from),
            most_batches: most_batches.map(|batches| batches as usize),
        })
    }
}

impl From<&Recipe> for RawValidation {
    fn from(recipe: &Recipe) -> Self {
        let HoldOut { share, seed, .. } = recipe.data.hold_out;
        let validation = recipe.validation;
        Self {
            validation_split: Some(share),
            validation_seed: seed,
            validate_every_n_steps: validation.and_then(|own| own.every_steps).map(|steps| steps as u32),
            validate_every_n_epochs: validation.map(|own| own.every_epochs as u32),
            max_validation_steps: validation.and_then(|own| own.most_batches).map(|batches| batches as u32),
        }
    }
}
