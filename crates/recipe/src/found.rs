//! What only the checkpoint itself tells, and what it changes in a recipe.
//!
//! A recipe is read before any other file, and some of its options mean different things for different families. So it
//! is read once more when the checkpoint is open. Nothing here opens files.

use crate::Parsed;
use crate::model::{Checkpoint, Family};
use crate::report::{Problems, Report};

/// What a checkpoint says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// What it is.
    pub family: Family,
    /// Whether its UNet predicts velocities, if it says so.
    pub velocity: Option<bool>,
    /// It was trained with noise that leaves nothing of the image at the last timestep.
    pub zero_terminal_snr: bool,
}

impl Parsed {
    /// The same options, now that the checkpoint is known; of the notes only those that were not told before. What
    /// stages and the run itself have changed in the recipe stays.
    ///
    /// # Errors
    /// Options that do not go together with this checkpoint.
    pub fn with(&self, found: Found) -> Result<Self, Problems> {
        let (mut raw, mut report) = (self.raw.clone(), Report::default());
        raw.model.found = Some(found.family);
        // Drawn once, and the same for the whole run.
        raw.train.seed = Some(self.recipe.train.seed as u32);
        prediction(&mut raw, found, self.recipe.model.checkpoint == Checkpoint::Embedded, &mut report);
        let resolved = raw.resolve_into(&mut report);
        if !report.problems.is_empty() {
            return Err(Problems(report.problems));
        }
        let mut recipe = self.recipe.clone();
        let split = recipe.data.hold_out.run_seed;
        (recipe.model, recipe.data, recipe.optim) = (resolved.model, resolved.data, resolved.optim);
        recipe.data.split_by(split);
        (recipe.network.blocks, recipe.network.conv) = (resolved.network.blocks, resolved.network.conv);
        recipe.network.args = resolved.network.args;
        recipe.diffusion = resolved.diffusion;
        report.notes.retain(|note| !self.notes.contains(note));
        raw.train.seed = self.raw.train.seed;
        Ok(Self { raw, recipe, notes: report.notes, write_to: self.write_to.clone() })
    }
}

/// Fills in what the UNet predicts, unless the options say it.
fn prediction(raw: &mut crate::RawRecipe, found: Found, embedded: bool, report: &mut Report) {
    const OPTION: &str = "v_parameterization";
    let typed = raw.diffusion.v_parameterization;
    match (typed, found.velocity) {
        (None, Some(true)) => {
            report.note(OPTION, "not given, and the checkpoint says that it predicts v, so that is trained");
            raw.diffusion.v_parameterization = Some(true);
        }
        (None, None) if found.family == Family::Sd2 && !embedded => {
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
    if found.zero_terminal_snr && velocity && raw.diffusion.zero_terminal_snr.is_none() {
        report.note("zero_terminal_snr", "not given, and the checkpoint says that it was trained so, so it is used");
        raw.diffusion.zero_terminal_snr = Some(true);
    }
}
