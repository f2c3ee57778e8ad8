//! `lorabake gachamax`: from one image to a LoRA, in rounds of training, painting and choosing.

mod choose;
mod paint;
mod start;
mod train;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use lorabake_diffusion::SamplerChoice;
use lorabake_judge::gachamax::Workshop;
use lorabake_recipe::{Parsed, count};

use self::choose::{Choice, Pick};
use super::train::refuse;
use crate::held_folder::HeldFolder;
use crate::picture_args::trained_on::strong_guidance;
use crate::picture_args::values;
use crate::terminal::{self, Shown};
use crate::told::Told;
use crate::{stop, words};

/// The options; their comments are the texts of `--help`.
#[derive(Debug, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    /// Image to begin with; may be given several times. Its caption lies beside it as a text file, or is --caption. A run
    /// that goes on needs none.
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// Caption of images that have none: tags, the first of which calls the character up.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    caption: Option<String>,
    /// What candidates show, in the web UI's form and without the LoRA itself; may be given several times. [default: the
    /// caption, then with one thing changed at a time]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, value_parser = values::words)]
    prompt: Vec<String>,
    /// Tag that one candidate shows beside the caption, for instance "from side"; may be given several times. [default:
    /// twelve poses and views]
    #[arg(long, value_name = "TAG", conflicts_with = "prompt", value_parser = values::words)]
    vary: Vec<String>,
    /// Folder of the run: all pictures, LoRAs and what is known of them.
    #[arg(long, value_name = "FOLDER", default_value = "gachamax")]
    out: PathBuf,
    /// Rounds of training, painting and choosing; a last training follows.
    #[arg(long, value_name = "ROUNDS", default_value = "3", value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,
    /// Candidates per round.
    #[arg(long, value_name = "PICTURES", default_value = "16", value_parser = clap::value_parser!(u16).range(1..=1000))]
    candidates: u16,
    /// Who chooses: folder (you, by deleting from the folder of candidates and giving the same command again), ask (you, in
    /// the terminal), best (the most alike, without you) or all.
    #[arg(long, value_name = "folder|ask|best|all", default_value = "folder")]
    pick: Pick,
    /// Candidates that --pick best keeps. [default: 1 in the first round, then 2]
    #[arg(long, value_name = "PICTURES", value_parser = clap::value_parser!(u16).range(1..))]
    keep: Option<u16>,
    /// Strength of the LoRA in candidates.
    #[arg(long, value_name = "STRENGTH", default_value = "1", value_parser = strength)]
    strength: f64,
    /// Begins each candidate with an original and changes so much of it, from 0 to 1; 0.6 is usual. [default: from noise]
    #[arg(long, value_name = "SHARE", value_parser = values::share)]
    denoising_strength: Option<f64>,
    /// What candidates should not show.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    negative_prompt: Option<String>,
    /// How closely the prompt is followed; above 7 contrast and saturation carry over into what is trained.
    #[arg(long, value_name = "SCALE", default_value = "6", value_parser = values::scale)]
    cfg_scale: f64,
    /// Sampling steps.
    #[arg(long, value_name = "STEPS", default_value = "20", value_parser = clap::value_parser!(u16).range(1..=1000))]
    steps: u16,
    /// Way from noise to picture, by the names of `lorabake generate`.
    #[arg(long, value_name = "NAME", default_value = "DPM++ 2M")]
    sampler: SamplerChoice,
    /// Folder in which LoRAs that --prompt names are looked up; may be given several times.
    #[arg(long, value_name = "FOLDER")]
    lora_dir: Vec<PathBuf>,
    /// A recipe, and options of `lorabake train`. [default: a quick one in the folder of the run:
    /// Prodigy, rank 16, 10 epochs, mirrored]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "RECIPE, TRAIN OPTIONS")]
    more: Vec<OsString>,
}

/// The strength of a LoRA; more leads to no picture.
fn strength(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| (0.0..=10.0).contains(value));
    value.ok_or_else(|| "it is not a number from 0 to 10".to_owned())
}

/// Begins a run, or goes on with it.
///
/// # Errors
/// Whatever is wrong with options, images or files.
pub fn run(args: &Args) -> Result<ExitCode> {
    if let Some(warning) = strong_guidance(args.cfg_scale) {
        terminal::say(&warning);
    }
    train::check(args)?;
    // Nothing is made for a command that is refused.
    let mut held = if args.out.is_dir() { Some(HeldFolder::take(&args.out)?) } else { None };
    let mut workshop = start::open_or_begin(args)?;
    if held.is_none() {
        held = Some(HeldFolder::take(&args.out)?);
    }
    let mut told = Told::default();
    for index in 0..=usize::from(args.rounds) {
        if index >= workshop.run.rounds.len() {
            tell_gone(&workshop.begin_round()?);
        }
        let stages = match train::recipe(args, &workshop, index) {
            Ok(stages) => stages,
            Err(problems) => return Ok(refuse(&problems)),
        };
        let [recipe] = stages.as_slice() else {
            bail!(
                "--config_file: the recipe has {} stages, and a round trains once; leave [[stage]] out",
                stages.len()
            );
        };
        if recipe.recipe.data.config.is_some() {
            bail!("--dataset_config: each round has images of its own; leave it out");
        }
        let mut at = At { args, workshop: &mut workshop, index, told: &mut told };
        if !at.train(recipe)? {
            return Ok(stopped());
        }
        if at.is_last() {
            break;
        }
        if let Some(code) = at.candidates(recipe)? {
            return Ok(code);
        }
    }
    drop(held);
    terminal::result(&done(args, &workshop));
    Ok(ExitCode::SUCCESS)
}

/// A round at work.
struct At<'a> {
    args: &'a Args,
    workshop: &'a mut Workshop,
    index: usize,
    /// Notes of all rounds.
    told: &'a mut Told,
}

impl At<'_> {
    /// Whether it is the training after the last round.
    fn is_last(&self) -> bool {
        self.index == usize::from(self.args.rounds)
    }

    /// Trains the round's LoRA, unless it is there; whether it came to its end.
    fn train(&mut self, recipe: &Parsed) -> Result<bool> {
        let lora = self.workshop.lora(self.index);
        let is_needed = self.is_last() || !self.workshop.run.rounds[self.index].painted;
        let round = &mut self.workshop.run.rounds[self.index];
        if round.steps > 0 && is_needed && !lora.is_file() {
            terminal::say(&format!("{}: it is gone, so that it is trained again", Shown(lora.display())));
            round.steps = 0;
        }
        if round.steps > 0 {
            return Ok(true);
        }
        if !self.is_last() {
            paint::check(self, recipe)?;
        }
        tell_gone(&self.workshop.fill(self.index)?);
        let images = count(self.workshop.run.rounds[self.index].images.len(), "image");
        let what = if self.is_last() { "the last LoRA".to_owned() } else { format!("round {}", self.index + 1) };
        terminal::say_lines(&format!("\n{what}: training on {images}"));
        train::train(self, recipe)
    }

    /// Paints the candidates of the round and has them chosen; the exit code if the command ends with that.
    fn candidates(&mut self, recipe: &Parsed) -> Result<Option<ExitCode>> {
        while !self.workshop.run.rounds[self.index].chosen {
            let is_new = !self.workshop.run.rounds[self.index].painted;
            if is_new && !paint::paint(self, recipe)? {
                return Ok(Some(stopped()));
            }
            match choose::choose(self.args, self.workshop, self.index, is_new)? {
                Choice::Made => {}
                Choice::None => {
                    terminal::say("no candidate is left, so others are painted");
                    self.workshop.try_again(self.index)?;
                }
                Choice::Later => return Ok(Some(ExitCode::SUCCESS)),
                Choice::Stopped => return Ok(Some(stopped())),
            }
        }
        Ok(None)
    }
}

/// That images of earlier rounds are trained on no longer.
fn tell_gone(gone: &[String]) {
    for image in gone {
        terminal::say(&format!("note: {}: it is gone, so that this round does without it", Shown(image)));
    }
}

fn stopped() -> ExitCode {
    terminal::say("stopped; the same command goes on");
    ExitCode::from(stop::INTERRUPTED as u8)
}

/// How it ended.
fn done(args: &Args, workshop: &Workshop) -> String {
    let last = workshop.run.rounds.len() - 1;
    let name = workshop.lora_name(last);
    let folder = workshop.round_folder(last);
    let file = workshop.lora(last);
    let images = workshop.run.rounds[last].images.len();
    format!(
        "{}  trained on {} of {}\nTo use it:  lorabake generate --lora_dir {} --prompt {}\nTo go on:  the same command \
         with --rounds {}",
        Shown(file.display()),
        count(images, "image"),
        count(last, "round"),
        Shown(words::quoted(&folder.to_string_lossy())),
        Shown(words::quoted(&format!("YOUR WORDS <lora:{name}:1>"))),
        args.rounds + 1,
    )
}
