//! One line for `lorabake plan`: what is wrong with the folders of a recipe, as far as it is known without looking at images.

use std::path::Path;

use anyhow::Result;
use lorabake_check::{Level, Measuring, RunFacts, Wanted, cache, gather, report};
use lorabake_model::tokenizer::Tokenizer;
use lorabake_recipe::{Recipe, count};

use super::{Args, settings};
use crate::terminal::Shown;

/// Checks that compare images or captions with each other, which takes time.
const SLOW: [&str; 3] = ["set.near", "cap.same", "tag.redundant"];

/// What is to be said of the folders of `recipe`, which was read from `file` or typed; `None` if no error is known.
///
/// # Errors
/// When `lorabake-check.toml` is wrong.
pub fn line(recipe: &Recipe, file: Option<&Path>) -> Result<Option<String>> {
    let folder = &recipe.data.train_dir;
    let args = Args { targets: vec![file.unwrap_or(folder).to_owned()], ..Args::default() };
    let mut settings = settings(&args)?;
    settings.off.extend(SLOW.map(str::to_owned));
    let tokenizer = Tokenizer::new();
    let count_tokens = |text: &str| tokenizer.encode(text).len();
    let wanted = Wanted {
        data: &recipe.data,
        settings: &settings,
        run: RunFacts {
            images_seen: None,
            category: None,
            trigger: recipe.prior.trigger.as_ref().map(|trigger| trigger.words.clone()),
            most_tokens: Some(recipe.model.max_token_length as usize),
        },
        count_tokens: Some(&count_tokens),
        tag_lists: &[],
        tag_scores: None,
        cache: cache::user_folder(),
        measuring: Measuring::Nothing,
    };
    let Some(set) = gather(&wanted, &|_| {}, &|| false) else { return Ok(None) };
    let found = report(&set);
    let Some(first) = found.findings.iter().find(|finding| finding.level == Level::Error) else { return Ok(None) };
    let errors = count(found.counts.errors, "error");
    let target = crate::words::quoted(&args.targets[0].to_string_lossy());
    Ok(Some(format!(
        "{errors} in images and captions, such as {}: {}; `lorabake check {target}` tells all",
        Shown(&first.subject),
        Shown(&first.sentence),
    )))
}
