//! `lorabake reg`: regularization images painted by the model that is trained from.

mod paint;
mod training;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use lorabake_data::bucket::Layout;
use lorabake_data::{Dataset, scan};
use lorabake_diffusion::SamplerChoice;
use lorabake_generate::png_text::PictureSettings;
use lorabake_generate::prompt::tags;
use lorabake_judge::regularization::{ClassWish, PairsWish, RegPicture, Replacement, of_class, of_images};

use self::training::Training;
use super::train;
use crate::picture_args::trained_on::{TrainedOn, strong_guidance};
use crate::picture_args::values;
use crate::terminal::{self, Shown};

/// The seed of the guides, where neither the recipe nor the command line has one.
const SEED: u64 = 420;

/// The options; their comments are the texts of `--help`.
#[derive(Debug, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    /// The easy route: paints --number pictures of this prompt, for instance "1girl, solo". Without it (the hard route) each
    /// image of --train_data_dir gets a picture of its own: its caption as prompt, and its name.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    class_prompt: Option<String>,
    /// Pictures of --class_prompt; their seeds go up from --seed. [default: 100]
    #[arg(long, value_name = "PICTURES", requires = "class_prompt", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    number: Option<u32>,
    /// What captions say otherwise, for instance penny=girl; may be given several times. [default: --trigger_class in place
    /// of --trigger_word, where there is one]
    #[arg(long, value_name = "WORDS=WORDS", conflicts_with = "class_prompt", value_parser = replacement)]
    replace: Vec<Replacement>,
    /// Makes each picture as large as its training image's bucket (--enable_bucket), not as --resolution.
    #[arg(long, conflicts_with = "class_prompt")]
    bucket_size: bool,
    /// Folder for the pictures, which --reg_data_dir names then.
    #[arg(long, value_name = "FOLDER", default_value = "reg")]
    out: PathBuf,
    /// What the pictures should not show.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    negative_prompt: Option<String>,
    /// How closely the prompt is followed; above 7 contrast and saturation carry over into what is trained.
    #[arg(long, value_name = "SCALE", default_value = "6", value_parser = values::scale)]
    cfg_scale: f64,
    /// Sampling steps.
    #[arg(long, value_name = "STEPS", default_value = "30", value_parser = clap::value_parser!(u16).range(1..=1000))]
    steps: u16,
    /// Way from noise to picture, by the names of `lorabake generate`.
    #[arg(long, value_name = "NAME", default_value = "DDIM")]
    sampler: SamplerChoice,
    /// A recipe, and options of `lorabake train`, as the training will have them: --pretrained_model_name_or_path,
    /// --train_data_dir or --dataset_config, --resolution, --seed [default: 420], --clip_skip, --vae, --v_parameterization,
    /// --caption_extension, --mixed_precision, --device and so on.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "RECIPE, TRAIN OPTIONS")]
    more: Vec<OsString>,
}

/// Reads `penny=girl`, or `penny=` for words that go.
fn replacement(text: &str) -> Result<Replacement, String> {
    let Some((words, class)) = text.split_once('=') else {
        return Err("write what captions say and what they should say, as in penny=girl".to_owned());
    };
    let words = words.trim();
    if words.is_empty() {
        return Err("there are no words before `=`; write for instance penny=girl".to_owned());
    }
    let class = class.trim();
    Ok(Replacement { words: words.to_owned(), class: if class.is_empty() { None } else { Some(class.to_owned()) } })
}

/// Paints what `args` ask for.
///
/// # Errors
/// Whatever is wrong with options, folders or files.
pub fn run(args: &Args) -> Result<ExitCode> {
    let training = match Training::read(args) {
        Ok(training) => training?,
        Err(problems) => return Ok(train::refuse_for("reg", &problems)),
    };
    check_places(args, &training)?;
    let pictures = match &args.class_prompt {
        Some(prompt) => class_pictures(args, prompt, &training)?,
        None => pairs(args, &training)?,
    };
    if let Some(warning) = strong_guidance(args.cfg_scale) {
        terminal::say(&warning);
    }
    terminal::say(&format!("note: the seed is {}, {}", training.seed, training.seed_from));
    paint::all(args, training, &pictures)
}

/// Refuses to paint where training would take the pictures for its own, and captions that are no files beside them.
///
/// # Errors
/// Names the option.
fn check_places(args: &Args, training: &Training) -> Result<()> {
    let data = &training.parsed.recipe.data;
    let subsets = data.config.iter().flat_map(|config| &config.subsets);
    let suffixes = subsets.map(|subset| &subset.settings.caption_extension).chain([&data.caption_extension]);
    for suffix in suffixes.flatten() {
        let is_picture = [".png", ".jpg", ".jpeg", ".webp", ".bmp"].iter().any(|own| suffix.eq_ignore_ascii_case(own));
        if is_picture || suffix.contains(['/', '\\']) || suffix.contains("..") {
            bail!("--caption_extension {suffix}: it is no suffix of captions; give for instance .txt");
        }
    }
    if args.class_prompt.as_ref().is_some_and(|prompt| prompt.trim().is_empty()) {
        bail!("--class_prompt: it is empty; say what the pictures should show, for instance \"1girl, solo\"");
    }
    let [out, train] = [&args.out, &data.train_dir].map(|path| std::fs::canonicalize(path).ok());
    if args.class_prompt.is_none() && out.is_some() && out == train {
        bail!(
            "--out {}: it is the training folder, and training would learn from them; name another folder",
            args.out.display()
        );
    }
    Ok(())
}

impl Args {
    /// What all pictures have in common.
    fn settings(&self, training: &Training) -> PictureSettings {
        let sampled = TrainedOn {
            negative_prompt: self.negative_prompt.as_deref(),
            clip_skip: training.parsed.recipe.model.clip_skip,
            steps: self.steps,
            cfg_scale: self.cfg_scale,
            sampler: self.sampler,
        };
        sampled.settings()
    }
}

/// Pictures of a class prompt.
fn class_pictures(args: &Args, prompt: &str, training: &Training) -> Result<Vec<RegPicture>> {
    if let Some(tag) = tags::take(prompt).tags.first() {
        bail!("--class_prompt: {tag}: these are pictures of the model alone; leave it out");
    }
    let data = &training.parsed.recipe.data;
    Ok(of_class(&ClassWish {
        prompt,
        number: args.number.unwrap_or(100),
        seed: training.seed,
        resolution: data.resolution,
        suffix: data.caption_extension.as_deref().unwrap_or(".txt"),
    }))
}

/// A picture for each training image.
fn pairs(args: &Args, training: &Training) -> Result<Vec<RegPicture>> {
    // The regularization images that the recipe names may be those that are to be made now.
    let mut data = training.parsed.recipe.data.clone();
    data.reg_dir = None;
    if let Some(config) = &mut data.config {
        config.subsets.retain(|subset| !subset.is_reg);
    }
    let dataset = scan(&data)?;
    let layout = Layout::new(&dataset, &data)?;
    tell(&dataset);
    let mut replacements = args.replace.clone();
    if replacements.is_empty()
        && let Some(trigger) = training.trigger()
    {
        let class = Shown(trigger.class.as_deref().unwrap_or_default()).to_string();
        let words = Shown(&trigger.words);
        terminal::say(&format!(
            "note: --trigger_word: captions have `{class}` in place of `{words}`; --replace changes that"
        ));
        replacements.push(trigger);
    }
    let wish = PairsWish { replacements: &replacements, bucket_size: args.bucket_size, seed: training.seed };
    let pairs = of_images(&dataset, &layout, &data, &wish);
    if let Some(Replacement { words, class }) = pairs.not_found.first() {
        let option = if args.replace.is_empty() { "--trigger_word" } else { "--replace" };
        let class = class.as_deref().unwrap_or_default();
        bail!("{option}: no caption has `{words}`, so there is nothing to call `{class}`; give words of your captions");
    }
    for path in &pairs.shared {
        let path = Shown(path.display());
        terminal::say(&format!("note: {path}: another image has its name, so that one picture serves both"));
    }
    let trained = true_folders(dataset.items.iter().map(|item| item.path.clone()));
    let painted = true_folders(pairs.pictures.iter().map(|picture| args.out.join(&picture.picture)));
    if trained.intersection(&painted).next().is_some() {
        bail!("--out {}: pictures would lie among the training images; name another folder", args.out.display());
    }
    if args.bucket_size && !layout.bucketing {
        terminal::say("note: --bucket_size: without --enable_bucket all pictures have the size of --resolution");
    }
    Ok(pairs.pictures)
}

/// The folders of files, those that there are, without links.
fn true_folders(files: impl Iterator<Item = PathBuf>) -> BTreeSet<PathBuf> {
    let folders: BTreeSet<PathBuf> = files.filter_map(|file| Some(file.parent()?.to_owned())).collect();
    folders.iter().filter_map(|folder| std::fs::canonicalize(folder).ok()).collect()
}

/// What is odd about the training images.
fn tell(dataset: &Dataset) {
    for problem in &dataset.problems {
        terminal::say(&format!("warning: {problem}"));
    }
    if !dataset.left_out.is_empty() {
        let count = dataset.left_out.len();
        terminal::say(&format!("note: left out: {count}, which `lorabake plan` names with their reasons"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_captions_say_otherwise_is_read() {
        let read = replacement("red hat = hat=cap").unwrap();
        assert_eq!((read.words.as_str(), read.class.as_deref()), ("red hat", Some("hat=cap")));
        assert_eq!(replacement("penny=").unwrap().class, None);
        assert!(replacement("penny").is_err() && replacement("=girl").is_err());
    }
}
