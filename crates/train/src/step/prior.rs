//! Which uses of images teach what the model predicts without the LoRA, and what their captions say.

use anyhow::{Result, bail};
use lorabake_data::caption::{self, CaptionUse};
use lorabake_data::{Dataset, Item};
use lorabake_recipe::Recipe;
use lorabake_recipe::data::captions::CaptionRules;
use lorabake_recipe::diffusion::prior::{Prior, Trigger};
use lorabake_recipe::seed::Seed;
use rand::Rng;

/// The caption that was drawn for one use of an image.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DrawnCaption {
    /// The prompt for the text encoder.
    pub prompt: String,
    /// Whether the use teaches what the model predicts without the LoRA.
    pub preserve_prior: bool,
}

/// Draws the caption of one use of an image, or of a regularization image; some lose their trigger.
pub(crate) fn draw_caption(
    item: &Item,
    rules: &CaptionRules,
    prior: &Prior,
    seed: Seed,
    at: CaptionUse,
) -> DrawnCaption {
    let prompt = caption::draw(&item.caption, rules, seed, at);
    if item.is_reg {
        return DrawnCaption { prompt, preserve_prior: prior.prediction };
    }
    if let Some(trigger) = &prior.trigger
        && seed.stream("trigger", &[at.id.epoch, at.id.position]).random_bool(trigger.dropout_rate)
        && let Some(prompt) = dropped(&prompt, trigger, rules)
    {
        return DrawnCaption { prompt, preserve_prior: true };
    }
    DrawnCaption { prompt, preserve_prior: false }
}

fn dropped(caption: &str, trigger: &Trigger, rules: &CaptionRules) -> Option<String> {
    caption::without_trigger(caption, &trigger.words, trigger.class.as_deref(), &rules.separator)
}

/// A note about training images whose caption lacks the trigger, which they then cannot lose.
///
/// # Errors
/// When all lack it.
pub(crate) fn missing_triggers(dataset: &Dataset, recipe: &Recipe) -> Result<Option<String>> {
    let Some(trigger) = &recipe.prior.trigger else { return Ok(None) };
    let lacks = |item: &&&Item| {
        let rules = &dataset.settings(&recipe.data, item).captions;
        !caption::lines(&item.caption, rules).any(|line| dropped(&line, trigger, rules).is_some())
    };
    let images: Vec<&Item> = dataset.items.iter().filter(|item| item.uses > 0 && !item.is_reg).collect();
    let missing: Vec<_> = images.iter().filter(lacks).collect();
    let Some(first) = missing.first() else { return Ok(None) };
    let (words, path) = (&trigger.words, first.path.display());
    if missing.len() == images.len() {
        bail!(
            "--trigger_word: no caption has `{words}` (first: {path}); give the words that they have for what is learnt"
        );
    }
    Ok(Some(format!(
        "--trigger_word: {} of {} captions lack `{words}` (first: {path}), so --trigger_dropout_rate does nothing to them",
        missing.len(),
        images.len()
    )))
}
