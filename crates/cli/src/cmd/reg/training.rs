//! The training that the regularization images are for: which model, how large, with which seed.

use std::ffi::OsString;

use anyhow::Result;
use lorabake_generate::open_model;
use lorabake_judge::regularization::Replacement;
use lorabake_recipe::{ParseError, Parsed, parse_run};
use lorabake_train::session::settled;

use super::{Args, SEED};
use crate::terminal;

/// The recipe of a training, and where its seed comes from.
pub struct Training {
    /// The recipe, now that its checkpoint is open.
    pub parsed: Parsed,
    /// Seed of training, and of the pictures.
    pub seed: u64,
    /// Who says so, in words.
    pub seed_from: &'static str,
}

impl Training {
    /// Reads the recipe of `args`, and opens its checkpoint: that may fail otherwise.
    ///
    /// # Errors
    /// What `lorabake train` has to say about the options.
    pub fn read(args: &Args) -> Result<Result<Self>, ParseError> {
        let mut argv = args.more.clone();
        // What training needs and this command has no use for.
        argv.push(option("--output_dir", args.out.as_os_str().to_owned()));
        if args.class_prompt.is_some() {
            argv.push(option("--train_data_dir", args.out.as_os_str().to_owned()));
        }
        let mut stages = parse_run(&argv)?;
        if stages.len() > 1 {
            let count = stages.len();
            terminal::say(&format!("note: the recipe has {count} stages; pictures are for the images of the first"));
        }
        Ok(Self::settled(stages.swap_remove(0)))
    }

    fn settled(parsed: Parsed) -> Result<Self> {
        let checkpoint = open_model(&parsed.recipe.model)?;
        let parsed = settled(&parsed, &checkpoint)?;
        let (seed, seed_from) = match parsed.raw.train.seed {
            Some(seed) => (u64::from(seed), "the one of training"),
            None => (SEED, "the guides' one; give that of training with --seed, and train with the same"),
        };
        Ok(Self { parsed, seed, seed_from })
    }

    /// The trigger that the recipe names, whether or not training drops it now and then.
    pub fn trigger(&self) -> Option<Replacement> {
        let raw = &self.parsed.raw.prior;
        let words = raw.trigger_word.as_deref()?.trim();
        let class = raw.trigger_class.as_deref().unwrap_or_default().trim();
        if words.is_empty() {
            return None;
        }
        let class = if class.is_empty() { None } else { Some(class.to_owned()) };
        Some(Replacement { words: words.to_owned(), class })
    }
}

/// `--name=value`.
fn option(name: &str, value: OsString) -> OsString {
    let mut word = OsString::from(name);
    word.push("=");
    word.push(value);
    word
}
