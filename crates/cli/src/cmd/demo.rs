//! `lorabake demo`: bakes an example on the model inside the program, then paints the same pictures without and with it.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use include_dir::{Dir, DirEntry, include_dir};
use lorabake_diffusion::Sampler;
use lorabake_generate::easel::{Easel, ModelFacts, Order, Ordered};
use lorabake_generate::from_settings::{Library, Originals};
use lorabake_generate::open_model;
use lorabake_generate::painter::{Painter, Predicts};
use lorabake_generate::picture_file;
use lorabake_generate::png_text::PictureSettings;
use lorabake_generate::prompt_file::{self, Choices, FilePrompt};
use lorabake_generate::sample::picture_dtypes;
use lorabake_recipe::model::Model;
use lorabake_recipe::seed::Seed;
use lorabake_recipe::{Parsed, Recipe, count, parse_train};
use lorabake_train::event::Outcome;

use super::train;
use crate::bake::{bake, summary};
use crate::paint::{self, Stopped};
use crate::stop;
use crate::terminal::{self, Shown};

/// Recipes, pictures and prompts of all demonstrations, so that the program needs nothing beside it.
static EXAMPLES: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../examples");
const FOLDER: &str = "examples";
/// The regularization images of all examples, under `examples`.
const SHARED: &str = "reg";
const SAMPLING_STEPS: usize = 30;
const SCALE: f64 = 3.0;
/// How many pictures without the trigger are shown beside the others: the model should still draw them as before.
const PLAIN: usize = 3;

/// What a LoRA can teach; each is a recipe, a picture set and a list of prompts under `examples`.
#[derive(Clone, Copy, clap::ValueEnum)]
pub enum Subject {
    /// A character, drawn for this project
    Penny,
    /// A style of drawing
    Style,
    /// A concept: a sticker's border around anything
    Sticker,
}

/// The options; their comments are the texts of `--help`.
#[derive(clap::Args)]
pub struct Args {
    /// What to bake.
    #[arg(value_enum, default_value = "penny")]
    subject: Subject,
    /// Options of `lorabake train`, which win over the example's recipe.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "TRAIN OPTIONS")]
    more: Vec<OsString>,
}

/// Bakes and paints.
///
/// # Errors
/// When the example cannot be written into the current folder, and whatever ends a bake.
pub fn run(args: &Args) -> Result<ExitCode> {
    let name = match args.subject {
        Subject::Penny => "penny",
        Subject::Style => "style",
        Subject::Sticker => "sticker",
    };
    let written = unpack(name, Path::new(FOLDER))?;
    if written > 0 {
        terminal::say(&format!(
            "note: wrote the example's recipe, pictures and prompts ({}) into {FOLDER}",
            count(written, "file")
        ));
    }
    let recipe = format!("{FOLDER}/{name}.toml");
    let argv = ["--config_file".into(), recipe.into()].into_iter().chain(args.more.iter().cloned());
    let parsed = match parse_train(&argv.collect::<Vec<_>>()) {
        Ok(parsed) => parsed,
        Err(error) => return Ok(train::refuse(&error)),
    };
    let mut prompts = read_prompts(name, "prompts")?;
    prompts.extend(read_prompts(name, "plain.prompts")?.into_iter().take(PLAIN));
    let outcome = bake(&parsed)?;
    if outcome.steps < outcome.planned {
        // Ctrl-C ends the whole demonstration.
        terminal::result(&summary(&parsed, &outcome));
        return Ok(ExitCode::SUCCESS);
    }
    let sheet = match paint_sheet(&parsed, &outcome, &prompts) {
        Err(error) if error.is::<Stopped>() => {
            terminal::result(&summary(&parsed, &outcome));
            return Ok(ExitCode::from(stop::INTERRUPTED as u8));
        }
        sheet => sheet?,
    };
    terminal::result(&summary(&parsed, &outcome));
    terminal::result(&format!("{}  the same pictures without and with the LoRA", Shown(sheet)));
    Ok(ExitCode::SUCCESS)
}

/// The prompts of one kind that belong to the example `name`.
fn read_prompts(name: &str, kind: &str) -> Result<Vec<FilePrompt>> {
    let choices = Choices { repeat: 1, seed: Seed(1) };
    let lines = prompt_file::read_pictures(Path::new(&format!("{FOLDER}/{name}.{kind}.txt")), "demo", choices)?;
    Ok(lines.into_iter().flatten().collect())
}

/// Writes what belongs to the example `name`, or to all, into `folder`, and leaves alone what is there; the number of files
/// written.
///
/// # Errors
/// When the folder cannot be written into.
pub fn unpack(name: &str, folder: &Path) -> Result<u64> {
    let mut written = 0;
    for file in files(&EXAMPLES) {
        let inside = file.path();
        let belongs = inside.starts_with(name)
            || inside.starts_with(SHARED)
            || inside.to_string_lossy().starts_with(&format!("{name}."));
        let path = folder.join(inside);
        if !belongs || path.exists() {
            continue;
        }
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).with_context(|| format!("{} cannot be made", parent.display()))?;
        std::fs::write(&path, file.contents()).with_context(|| format!("{} cannot be written", path.display()))?;
        written += 1;
    }
    Ok(written)
}

fn files<'a>(dir: &'a Dir<'a>) -> Vec<&'a include_dir::File<'a>> {
    let all = dir.entries().iter().map(|entry| match entry {
        DirEntry::Dir(inner) => files(inner),
        DirEntry::File(file) => vec![file],
    });
    all.flatten().collect()
}

/// Paints every prompt without and with the LoRA; the path of the sheet.
fn paint_sheet(parsed: &Parsed, outcome: &Outcome, prompts: &[FilePrompt]) -> Result<String> {
    let recipe = &parsed.recipe;
    let mut easel = easel(recipe)?;
    let mut orders = Vec::new();
    for prompt in prompts {
        orders.push(order(recipe, outcome, prompt)?);
    }
    let compared = paint::compare(&mut easel, &orders.iter().collect::<Vec<_>>())?;
    let path = outcome.file.with_file_name(format!("{}_before_after.png", recipe.output.name));
    picture_file::save(&path, &compared.sheet, &compared.text)?;
    Ok(path.display().to_string())
}

/// Paints with what the recipe trains from.
fn easel(recipe: &Recipe) -> Result<Easel> {
    let Model { checkpoint: which, vae, .. } = &recipe.model;
    let predicts = match (recipe.diffusion.v_parameterization, recipe.diffusion.zero_terminal_snr) {
        (true, true) => Predicts::VelocityZeroTerminalSnr,
        (true, false) => Predicts::Velocity,
        _ => Predicts::AsFile,
    };
    let device = lorabake_device::open(recipe.train.device)?.device;
    let dtypes = picture_dtypes(recipe.train.precision, recipe.train.vae, &device);
    let painter = Painter::open(open_model(&recipe.model)?, dtypes, predicts, false, device)?;
    Ok(Easel::new(painter, ModelFacts::of(which, vae.as_deref())))
}

/// The picture of `prompt` with the LoRA.
fn order(recipe: &Recipe, outcome: &Outcome, prompt: &FilePrompt) -> Result<Order> {
    let (width, height) = recipe.data.resolution;
    let mut base = PictureSettings {
        width: Some(width as usize),
        height: Some(height as usize),
        clip_skip: Some(recipe.model.clip_skip as usize),
        ..PictureSettings::default()
    };
    base.sampling.steps = Some(SAMPLING_STEPS);
    base.sampling.sampler = Some(Sampler::Ddim.to_string());
    base.sampling.cfg_scale = Some(SCALE);
    base.sampling.seed = Some(1);
    let mut settings = prompt.settings.clone().over(&base);
    let name = outcome.file.file_stem().unwrap_or_default().to_string_lossy();
    settings.prompt = Some(format!("{} <lora:{name}:1>", settings.prompt.unwrap_or_default()));
    if let Some(seed) = prompt.seeds.first() {
        settings.sampling.seed = Some(*seed);
    }
    let library = Library::of_loras(vec![outcome.file.parent().unwrap_or(Path::new("")).to_owned()]);
    let Ordered { order, notes } = Order::of(&settings, &library, &Originals::default(), width as usize)?;
    notes.iter().for_each(|note| terminal::say(&format!("note: {note}")));
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_unpacked_whole_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = folder.path().join("sticker.toml");
        std::fs::write(&recipe, "mine").unwrap();
        unpack("sticker", folder.path()).unwrap();
        assert_eq!(std::fs::read_to_string(&recipe).unwrap(), "mine");
        assert!(folder.path().join("sticker.prompts.txt").is_file());
        assert!(folder.path().join("sticker").is_dir() && folder.path().join("reg").is_dir());
        assert!(!folder.path().join("penny").exists());
    }
}
