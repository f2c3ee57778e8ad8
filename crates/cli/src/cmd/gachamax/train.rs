//! The LoRA of a round.

use std::ffi::OsString;

use anyhow::{Context, Result, bail};
use lorabake_judge::gachamax::Workshop;
use lorabake_recipe::{ParseError, Parsed, parse_run};
use lorabake_weights::whole_file;

use super::{Args, At};
use crate::bake::bake_telling;

/// The seed of the guides.
pub const SEED: u64 = 420;

/// What a quick LoRA is trained with, whatever optimizer.
const RECIPE: &str = "\
# The recipe of the quick LoRAs of this run. Change it at will: the next round is trained by it.
# Options that are typed behind `lorabake gachamax` win over it.

caption_extension = \".txt\"
enable_bucket = true
cache_latents = true
# One image teaches a side as well as its mirror image; take this out for what is not symmetric.
flip_aug = true
shuffle_caption = true
keep_tokens = 1

# A small rank cannot learn one image by heart as fast as a large one.
network_module = \"networks.lora\"
network_dim = 16
network_alpha = 16

max_train_epochs = 10
min_snr_gamma = 5
";
/// An optimizer that finds its rate, since nobody knows the right one for one image.
const OPTIMIZER: &str = "
optimizer_type = \"Prodigy\"
optimizer_args = [\"decouple=True\", \"weight_decay=0.01\", \"use_bias_correction=True\", \"betas=0.9,0.999\"]
learning_rate = 1.0
lr_scheduler = \"constant\"
";

/// Options that say where a recipe is.
const PLACES: [&str; 3] = ["--config_file", "--like", "--preset"];

/// Whether the command line names a recipe of its own.
fn names_recipe(args: &Args) -> bool {
    let is_first = args.more.first().is_some_and(|word| !word.to_string_lossy().starts_with('-'));
    is_first || PLACES.iter().any(|place| has(args, place))
}

/// Whether the option `name` was typed.
fn has(args: &Args, name: &str) -> bool {
    let is_it = |word: &OsString| word.to_string_lossy().split('=').next() == Some(name);
    args.more.iter().any(is_it)
}

/// Refuses options of training that each round has its own of.
///
/// # Errors
/// Names the option.
pub fn check(args: &Args) -> Result<()> {
    for option in ["--train_data_dir", "--dataset_config", "--output_dir", "--output_name", "--resume"] {
        if has(args, option) {
            bail!("{option}: each round has its own; leave it out, and name the folder of the run with --out");
        }
    }
    Ok(())
}

/// Writes the recipe of quick LoRAs into the run's folder, unless the user has one.
///
/// # Errors
/// When it cannot be written.
pub fn write_recipe(args: &Args, workshop: &Workshop) -> Result<()> {
    let path = workshop.recipe();
    if names_recipe(args) || path.exists() {
        return Ok(());
    }
    let mut text = RECIPE.to_owned();
    if !has(args, "--optimizer_type") {
        text += OPTIMIZER;
    }
    text += &format!("seed = {SEED}\n");
    let written = whole_file::write(&path, |out| out.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// The words that a round's training takes, but for its folders.
fn words(args: &Args, workshop: &Workshop) -> Vec<String> {
    let mut words = Vec::new();
    if !names_recipe(args) {
        words.push(format!("--config_file={}", workshop.recipe().display()));
    }
    words.extend(args.more.iter().map(|word| word.to_string_lossy().into_owned()));
    words
}

/// The recipe of round `index`; several if it has stages.
///
/// # Errors
/// What `lorabake train` has to say about the options.
pub fn recipe(args: &Args, workshop: &Workshop, index: usize) -> Result<Vec<Parsed>, ParseError> {
    let mut argv: Vec<OsString> = words(args, workshop).into_iter().map(OsString::from).collect();
    let folder = workshop.round_folder(index);
    argv.push(format!("--train_data_dir={}", folder.join("images").display()).into());
    argv.push(format!("--output_dir={}", folder.display()).into());
    argv.push(format!("--output_name={}", workshop.lora_name(index)).into());
    let stages = parse_run(&argv)?;
    if stages.iter().all(|stage| stage.raw.train.seed.is_some()) {
        return Ok(stages);
    }
    argv.push(format!("--seed={}", workshop.run.seed).into());
    parse_run(&argv)
}

/// Trains a round, whose folder of images is filled; whether it came to its end.
///
/// # Errors
/// What ended the bake.
pub fn train(at: &mut At<'_>, recipe: &Parsed) -> Result<bool> {
    let words = words(at.args, at.workshop);
    at.workshop.run.rounds[at.index].options = words;
    at.workshop.save()?;
    let outcome = bake_telling(recipe, at.told)?;
    if outcome.steps < outcome.planned {
        return Ok(false);
    }
    at.workshop.run.rounds[at.index].steps = outcome.steps;
    at.workshop.save()?;
    Ok(true)
}
