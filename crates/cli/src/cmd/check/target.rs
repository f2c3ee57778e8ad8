//! What is checked: folders by themselves, or those of a recipe with its settings.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use lorabake_check::{RunFacts, data_of};
use lorabake_data::bucket::Layout;
use lorabake_data::epoch_order::{EpochOrder, Length};
use lorabake_data::full_path;
use lorabake_data::scan::survey;
use lorabake_recipe::data::Data;
use lorabake_recipe::seed::Seed;
use lorabake_recipe::{ParseError, Recipe, parse_train};

use super::Args;

/// The resolution without a recipe.
const RESOLUTION: &str = "512";

/// What is checked.
pub struct Target {
    /// The data section, as training has it.
    pub data: Data,
    /// What else is known of the run.
    pub run: RunFacts,
    /// The folders that were named, by the user or the recipe.
    pub folders: Vec<PathBuf>,
}

impl Target {
    /// What the options name.
    ///
    /// # Errors
    /// When a folder is not there or empty, or a recipe is wrong.
    pub fn of(args: &Args) -> Result<Self> {
        let recipes: Vec<&PathBuf> = args.targets.iter().filter(|path| is_recipe(path)).collect();
        let mut target = match recipes[..] {
            [] => Self::of_folders(args)?,
            [recipe] if args.targets.len() == 1 => Self::of_recipe(args, recipe)?,
            [recipe, ..] => {
                bail!("{}: a recipe stands alone, since it names its folders; leave the others out", recipe.display())
            }
        };
        target.run.category = args.category;
        if args.trigger_word.is_some() {
            target.run.trigger = args.trigger_word.clone();
        }
        Ok(target)
    }

    fn of_folders(args: &Args) -> Result<Self> {
        for folder in &args.targets {
            if folder.is_file() {
                bail!("{}: it is a file; name the folder of your images, or a recipe (.toml)", folder.display());
            }
        }
        let first = args.targets.first().map_or(Path::new("."), PathBuf::as_path);
        let mut argv: Vec<OsString> = vec![joined("--train_data_dir=", first), "--enable_bucket".into()];
        argv.push(format!("--resolution={}", args.resolution.as_deref().unwrap_or(RESOLUTION)).into());
        argv.extend(reg(args));
        let base = parsed(argv)?.data;
        let mut folders = Vec::new();
        for folder in &args.targets {
            // `.` has no name to show.
            folders.push(if folder.file_name().is_some() { folder.clone() } else { full_path(folder) });
        }
        Ok(Self { data: data_of(&folders, &base)?, run: RunFacts::default(), folders })
    }

    fn of_recipe(args: &Args, path: &Path) -> Result<Self> {
        let mut argv: Vec<OsString> = vec!["--config_file".into(), path.into()];
        if let Some(resolution) = &args.resolution {
            argv.push(format!("--resolution={resolution}").into());
        }
        argv.extend(reg(args));
        let recipe = parsed(argv)?;
        let run = RunFacts {
            images_seen: images_seen(&recipe),
            category: None,
            trigger: recipe.prior.trigger.as_ref().map(|trigger| trigger.words.clone()),
            most_tokens: Some(recipe.model.max_token_length as usize),
        };
        let mut folders = vec![recipe.data.train_dir.clone()];
        folders.extend(recipe.data.reg_dir.clone());
        if let Some(config) = &recipe.data.config {
            folders = config.subsets.iter().map(|subset| subset.settings.train_dir.clone()).collect();
        }
        Ok(Self { data: recipe.data, run, folders })
    }
}

fn is_recipe(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("toml"))
}

fn reg(args: &Args) -> Option<OsString> {
    args.reg_data_dir.as_ref().map(|folder| joined("--reg_data_dir=", folder))
}

/// Option and path in one word, since a folder may be called `-x`.
fn joined(option: &str, path: &Path) -> OsString {
    let mut word = OsString::from(option);
    word.push(path);
    word
}

fn parsed(mut argv: Vec<OsString>) -> Result<Recipe> {
    // Nothing is written there; training wants a place.
    argv.push("--output_dir=.".into());
    match parse_train(&argv) {
        Ok(parsed) => Ok(parsed.recipe),
        Err(ParseError::Unusable(problems)) => Err(problems.into()),
        Err(ParseError::Asked(text)) => Err(anyhow!(text)),
    }
}

/// Steps × images per step of a run; `None` where its folders do not let it start.
fn images_seen(recipe: &Recipe) -> Option<u64> {
    let found = survey(&recipe.data);
    if !found.errors.is_empty() {
        return None;
    }
    let layout = Layout::new(&found.dataset, &recipe.data).ok()?;
    let order = EpochOrder::new(&found.dataset, &layout, &recipe.data, Seed(recipe.train.seed));
    let length = Length::new(order.batches_per_epoch(), recipe.train.accumulation, recipe.train.duration);
    Some(length.steps * recipe.data.batch_size as u64 * recipe.train.accumulation as u64)
}
