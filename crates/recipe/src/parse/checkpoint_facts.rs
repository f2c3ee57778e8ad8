//! What only the checkpoint itself says, and what that changes in a recipe.
//!
//! A recipe is read before any other file, and some of its options mean different things for different families. So it
//! is read once more when the checkpoint is open. Nothing here opens files.

use super::command_line::Parsed;
use crate::model::{Checkpoint, Family};
use crate::network::Network;
use crate::recipe::{RawRecipe, Recipe};
use crate::report::{Problems, Report};

/// What a checkpoint says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckpointFacts {
    /// What it is.
    pub family: Family,
    /// Whether its UNet predicts velocities, if it says so.
    pub velocity: Option<bool>,
    /// Whether the model was trained with noise that leaves nothing of the image at the last timestep.
    pub zero_terminal_snr: bool,
}

impl Parsed {
    /// These options read again, now that the checkpoint is known. The notes are only those that are new. What stages
    /// and the run itself have changed in the recipe stays.
    ///
    /// # Errors
    /// Options that do not go together with this checkpoint.
    pub fn with(&self, facts: CheckpointFacts) -> Result<Self, Problems> {
        let mut report = Report::default();
        let mut raw = self.raw.clone();
        raw.model.found = Some(facts.family);
        // Drawn once, and the same for the whole run.
        raw.train.seed = Some(self.recipe.train.seed as u32);
        let is_embedded = self.recipe.model.checkpoint == Checkpoint::Embedded;
        set_prediction(&mut raw, facts, is_embedded, &mut report);
        let again = raw.resolve_into(&mut report);
        if !report.problems.is_empty() {
            return Err(Problems(report.problems));
        }
        report.notes.retain(|note| !self.notes.contains(note));
        raw.train.seed = self.raw.train.seed;
        let recipe = merge(self.recipe.clone(), again);
        Ok(Self { raw, recipe, notes: report.notes, write_to: self.write_to.clone() })
    }
}

/// The recipe of a run with what was read `again` for its checkpoint. Every section is named, so that the compiler asks
/// about a new one: does the checkpoint decide it, or does the run keep its own?
fn merge(run: Recipe, again: Recipe) -> Recipe {
    let Recipe {
        model,
        mut data,
        caches: _,
        network,
        diffusion,
        prior: _,
        optim,
        train: _,
        validation: _,
        judging: _,
        output: _,
        samples: _,
    } = again;
    data.split_by(run.data.hold_out.run_seed);
    // Weights to begin with are those of the stage before.
    let network = Network { blocks: network.blocks, conv: network.conv, args: network.args, ..run.network };
    Recipe {
        model,
        data,
        caches: run.caches,
        network,
        diffusion,
        prior: run.prior,
        optim,
        train: run.train,
        validation: run.validation,
        judging: run.judging,
        output: run.output,
        samples: run.samples,
    }
}

/// Fills in what the UNet predicts, unless the options say it.
fn set_prediction(raw: &mut RawRecipe, facts: CheckpointFacts, is_embedded: bool, report: &mut Report) {
    const OPTION: &str = "v_parameterization";
    let typed = raw.diffusion.v_parameterization;
    match (typed, facts.velocity) {
        (None, Some(true)) => {
            report.note(OPTION, "not given, and the checkpoint says that it predicts v, so that is trained");
            raw.diffusion.v_parameterization = Some(true);
        }
        (None, None) if facts.family == Family::Sd2 && !is_embedded => {
            let text = "not given, and this checkpoint of Stable Diffusion 2.x does not say what it predicts, so it is \
                        taken for one that predicts noise; those for 768 pixels predict v and need this option";
            report.note(OPTION, text);
        }
        (Some(typed), Some(found)) if typed != found => {
            let says = if found { "v" } else { "noise" };
            report.note(OPTION, format!("the checkpoint says that it predicts {says}; the option wins"));
        }
        _ => {}
    }
    let velocity = raw.diffusion.v_parameterization == Some(true);
    if facts.zero_terminal_snr && velocity && raw.diffusion.zero_terminal_snr.is_none() {
        report.note("zero_terminal_snr", "not given, and the checkpoint says that it was trained so, so it is used");
        raw.diffusion.zero_terminal_snr = Some(true);
    }
}
