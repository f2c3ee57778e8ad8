//! Where a resumed run stands, and what has to be as it was (`--resume`).

use anyhow::{Result, bail};
use lorabake_data::Dataset;
use lorabake_data::epoch_order::Length;
use lorabake_recipe::{Parsed, Recipe};
use lorabake_weights::file_names;

use crate::event::{Emit, Event};
use crate::output::earlier::{Earlier, resumes_itself};
use crate::output::state::{Position, Saved};
use crate::watch::validate;

/// A run as its options have it, to compare with what is resumed.
#[derive(Clone, Copy)]
pub(crate) struct Resuming<'a> {
    pub recipe: &'a Recipe,
    pub dataset: &'a Dataset,
    pub length: Length,
}

/// The options with the seed of the run that is resumed.
///
/// # Errors
/// When another seed was given.
pub(crate) fn with_seed_of(parsed: &Parsed, resumed: Option<&Saved>) -> Result<Parsed> {
    let mut parsed = parsed.clone();
    if let Some(Saved { position, .. }) = resumed {
        if parsed.raw.train.seed.is_some() && parsed.recipe.train.seed != position.seed {
            let given = parsed.recipe.train.seed;
            bail!("seed {given}: the run that is resumed has seed {}; give that one, or none", position.seed);
        }
        parsed.recipe.train.seed = position.seed;
        parsed.recipe.data.split_by(position.split_seed);
    }
    Ok(parsed)
}

/// The step at which the resumed run stands, if there is anything left to do.
///
/// # Errors
/// When there is not, or images are held out now that it has learned from.
pub(crate) fn check_position(run: Resuming<'_>, position: &Position, emit: &Emit<'_>) -> Result<u64> {
    let length = run.length;
    let &Position { step, batches_per_epoch, .. } = position;
    let lacks_result = step == length.steps && lacks_result(run.recipe);
    if step >= length.steps && !lacks_result {
        bail!(
            "--resume: the state stands at step {step} and the run ends at {}; its LoRA is the file of the state's name, and \
             a larger --max_train_epochs or --max_train_steps trains on",
            length.steps
        );
    }
    let held_out = validate::names(run.dataset);
    if let Some(learnt) = held_out.iter().find(|name| !position.held_out.contains(name)) {
        bail!(
            "--resume: {learnt} was trained on and would be held out now; give the images, --validation_split and \
             --validation_seed of the first run, or --validation_split=0"
        );
    }
    if held_out.len() < position.held_out.len() {
        let fewer = position.held_out.len() - held_out.len();
        let images = match fewer {
            1 => "1 image that was held out is".to_owned(),
            _ => format!("{fewer} images that were held out are"),
        };
        let text = format!("--resume: {images} so no longer");
        emit(Event::Note(text));
    }
    if batches_per_epoch != length.batches_per_epoch {
        let text = format!(
            "--resume: an epoch had {} of images and now has {}; training goes on with these images",
            if batches_per_epoch == 1 { "1 batch".to_owned() } else { format!("{batches_per_epoch} batches") },
            length.batches_per_epoch
        );
        emit(Event::Note(text));
    }
    emit(Event::Note(format!("going on after step {step}")));
    Ok(step)
}

/// Whether a run was killed behind its last step, before it saved its result.
pub(crate) fn lacks_result(recipe: &Recipe) -> bool {
    let result = recipe.output.dir.join(file_names::last(&recipe.output.name));
    resumes_itself(&recipe.output) && !Earlier::new(&recipe.output, recipe.train.seed).is_own(&result)
}
