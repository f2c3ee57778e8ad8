//! Where a resumed run stands, and what has to be as it was (`--resume`).

use std::sync::mpsc::Sender;

use anyhow::{Result, bail};
use lorabake_recipe::{Parsed, Recipe};
use lorabake_weights::file_names;

use crate::event::Event;
use crate::output::earlier::{Earlier, resumes_itself};
use crate::output::state::{Position, Saved};
use crate::session::Session;
use crate::watch::validate;

/// The options with the seed of the run that is resumed.
pub(super) fn with_seed_of(parsed: &Parsed, resumed: Option<&Saved>) -> Result<Parsed> {
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
pub(super) fn check_position(session: &Session, position: &Position, events: &Sender<Event>) -> Result<u64> {
    let length = session.length;
    let &Position { step, batches_per_epoch, .. } = position;
    let lacks_result = step == length.steps && lacks_result(&session.recipe);
    if step >= length.steps && !lacks_result {
        bail!(
            "--resume: the state stands at step {step} and the run ends at {}; its LoRA is the file of the state's name, and \
             a larger --max_train_epochs or --max_train_steps trains on",
            length.steps
        );
    }
    let held_out = validate::names(&session.dataset);
    if let Some(learnt) = held_out.iter().find(|name| !position.held_out.contains(name)) {
        bail!(
            "--resume: {learnt} was trained on and would be held out now; give the images, --validation_split and \
             --validation_seed of the first run, or --validation_split=0"
        );
    }
    if held_out.len() < position.held_out.len() {
        let fewer = position.held_out.len() - held_out.len();
        let text = format!("--resume: {fewer} images that were held out are so no longer");
        events.send(Event::Note(text)).unwrap_or_default();
    }
    if batches_per_epoch != length.batches_per_epoch {
        let text = format!(
            "--resume: an epoch had {batches_per_epoch} batches and now has {}; training goes on with these images",
            length.batches_per_epoch
        );
        events.send(Event::Note(text)).unwrap_or_default();
    }
    events.send(Event::Note(format!("going on after step {step}"))).unwrap_or_default();
    Ok(step)
}

/// Whether a run was killed behind its last step, before it saved its result.
fn lacks_result(recipe: &Recipe) -> bool {
    let result = recipe.output.dir.join(file_names::last(&recipe.output.name));
    resumes_itself(&recipe.output) && !Earlier::new(&recipe.output, recipe.train.seed).is_own(&result)
}
