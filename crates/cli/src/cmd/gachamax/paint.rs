//! The candidates of a round: painted, and ranked by how alike they are to the originals.

use std::path::Path;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail};
use lorabake_generate::easel::{Easel, Order, Ordered};
use lorabake_generate::from_settings::{Library, Originals};
use lorabake_generate::painter::Painter;
use lorabake_generate::picture_file::{read_text, save};
use lorabake_generate::png_text::PictureSettings;
use lorabake_generate::resize_mode::ResizeMode;
use lorabake_judge::gachamax::{Candidate, PlannedPrompt, VIEWS, Workshop, caption_of, likeness, variations};
use lorabake_pixels::Rgb;
use lorabake_pixels::decode::decode_rgba;
use lorabake_pixels::pillow::flattened;
use lorabake_recipe::Parsed;
use lorabake_weights::whole_file;

use super::{Args, At};
use crate::paint::{self, Stopped};
use crate::picture_args::model::ModelArgs;
use crate::picture_args::trained_on::TrainedOn;
use crate::progress::Counter;
use crate::stop;
use crate::terminal::{self, Shown};

/// Paints and ranks the candidates of round `index`; whether it came to its end.
///
/// # Errors
/// When a prompt, a file or the LoRA cannot be used, or a picture cannot be written.
pub fn paint(at: &mut At<'_>, recipe: &Parsed) -> Result<bool> {
    let At { args, workshop, index, told } = at;
    let index = *index;
    if workshop.run.rounds[index].candidates.is_empty() {
        let prompts = prompts(args, workshop)?;
        workshop.plan(index, &prompts);
        workshop.save()?;
    }
    let model = ModelArgs::of_recipe(recipe);
    let opened = model.open_model(told)?;
    let side = opened.side;
    let mut easel = model.easel(opened, false, &[], told)?;
    let originals = pictures(workshop)?;
    let candidates = workshop.run.rounds[index].candidates.clone();
    let folder = workshop.candidates(index);
    for (place, candidate) in candidates.iter().enumerate() {
        let original = &originals[place % originals.len()];
        let wanted = Wanted { index, recipe, candidate, original, side };
        let Ordered { order, notes } = order(args, workshop, wanted)?;
        notes.iter().for_each(|note| told.say(note));
        paint::hold(&mut easel, &order)?;
        let path = folder.join(&candidate.file);
        if is_painted(&path, &mut easel, &order)? {
            continue;
        }
        let name = format!("candidate {} of {}", place + 1, candidates.len());
        let finished = match paint::paint(&mut easel, &order, &name, None) {
            Err(error) if error.is::<Stopped>() => return Ok(false),
            finished => finished?,
        };
        // The caption first: a picture that is there is done.
        let text = path.with_extension("txt");
        whole_file::write(&text, |out| writeln!(out, "{}", candidate.caption))
            .with_context(|| format!("cannot write {}", text.display()))?;
        save(&path, &finished.pixels(), &finished.fields.text())?;
    }
    let mut painted = Vec::new();
    for candidate in &candidates {
        painted.push(read(&folder.join(&candidate.file))?);
    }
    let found = match compared(&easel.painter, side, &originals, &painted) {
        Err(error) if error.is::<Stopped>() => return Ok(false),
        found => found?,
    };
    let round = &mut workshop.run.rounds[index];
    for (candidate, likeness) in round.candidates.iter_mut().zip(found) {
        candidate.likeness = Some(likeness);
    }
    round.painted = true;
    workshop.save()?;
    Ok(true)
}

/// How alike each candidate is to the nearest original, with a line of how far it is: large models take minutes.
fn compared(painter: &Painter, side: usize, originals: &[Rgb], painted: &[Rgb]) -> Result<Vec<f64>> {
    terminal::say("comparing the candidates with the originals");
    let wished = stop::wished()?;
    let mut counter = Counter::new("comparing", (originals.len() + painted.len()) as u64);
    let found = likeness(painter, side, originals, painted, &mut |done| {
        if wished.load(Ordering::Relaxed) {
            bail!(Stopped);
        }
        counter.set(done as u64, String::new());
        Ok(())
    });
    counter.clear();
    found
}

/// What candidates show, one prompt for each.
fn prompts(args: &Args, workshop: &Workshop) -> Result<Vec<PlannedPrompt>> {
    let count = usize::from(args.candidates);
    let mut all = Vec::new();
    if !args.prompt.is_empty() {
        for prompt in args.prompt.iter().cycle().take(count) {
            all.push(PlannedPrompt { prompt: prompt.clone(), caption: caption_of(prompt).context("--prompt")? });
        }
        return Ok(all);
    }
    let views = if args.vary.is_empty() { VIEWS.map(str::to_owned).to_vec() } else { args.vary.clone() };
    let originals = &workshop.run.originals;
    let each = count.div_ceil(originals.len());
    let captions: Vec<_> = originals.iter().map(|original| variations(&original.caption, &views, each)).collect();
    // In turn, as the originals are that pictures may begin with.
    for place in 0..count {
        let caption = &captions[place % originals.len()][place / originals.len()];
        all.push(PlannedPrompt::of_caption(caption.clone()));
    }
    Ok(all)
}

/// Looks whether candidates can be painted once there is a LoRA: better now than after an hour of training.
///
/// # Errors
/// What is wrong with a prompt, or a LoRA that it names.
pub fn check(at: &At<'_>, recipe: &Parsed) -> Result<()> {
    prompts(at.args, at.workshop)?;
    let image = at.args.denoising_strength.map(|_| Rgb::filled((64, 64), [0; 3]));
    let originals = Originals { image, ..Originals::default() };
    let mut all = at.args.prompt.clone();
    if all.is_empty() {
        all.push(String::new());
    }
    for prompt in all {
        let settings = settings(at.args, recipe, prompt);
        Order::of(
            &settings,
            &library(at.args, at.workshop, at.index),
            &originals,
            recipe.recipe.data.resolution.0 as usize,
        )?;
    }
    Ok(())
}

/// What a candidate of this prompt is to be, but for its seed.
fn settings(args: &Args, recipe: &Parsed, prompt: String) -> PictureSettings {
    let recipe = &recipe.recipe;
    let given = recipe.data.resolution;
    let sampled = TrainedOn {
        negative_prompt: args.negative_prompt.as_deref(),
        clip_skip: recipe.model.clip_skip,
        steps: args.steps,
        cfg_scale: args.cfg_scale,
        sampler: args.sampler,
    };
    PictureSettings {
        prompt: Some(prompt),
        width: Some((given.0 / 8 * 8) as usize),
        height: Some((given.1 / 8 * 8) as usize),
        denoising_strength: args.denoising_strength,
        ..sampled.settings()
    }
}

/// Where LoRAs of a round's prompts are found: its own first.
fn library(args: &Args, workshop: &Workshop, index: usize) -> Library {
    let mut folders = vec![workshop.round_folder(index)];
    folders.extend(args.lora_dir.iter().cloned());
    Library::of_loras(folders)
}

/// A candidate that is to be painted.
struct Wanted<'a> {
    index: usize,
    recipe: &'a Parsed,
    candidate: &'a Candidate,
    original: &'a Rgb,
    side: usize,
}

/// What is asked of the painter.
fn order(args: &Args, workshop: &Workshop, wanted: Wanted<'_>) -> Result<Ordered> {
    let Wanted { index, recipe, candidate, original, side } = wanted;
    let tag = format!("<lora:{}:{}>", workshop.lora_name(index), args.strength);
    let mut settings = settings(args, recipe, format!("{} {tag}", candidate.prompt));
    settings.sampling.seed = Some(candidate.seed);
    let image = if args.denoising_strength.is_some() { Some(original.clone()) } else { None };
    let originals = Originals { image, resize_mode: ResizeMode::CropAndResize, ..Originals::default() };
    Order::of(&settings, &library(args, workshop, index), &originals, side)
}

/// Whether a candidate is there, of just these settings; other pictures under its name are not painted over.
fn is_painted(path: &Path, easel: &mut Easel, order: &Order) -> Result<bool> {
    if !path.exists() {
        return Ok(false);
    }
    let text = read_text(path).unwrap_or_default();
    if text == easel.text_of(order)? {
        return Ok(true);
    }
    bail!(
        "{}: made with other options than those of this command; repeat that as it was, or move the file away",
        Shown(path.display())
    );
}

/// The images that the run began with.
fn pictures(workshop: &Workshop) -> Result<Vec<Rgb>> {
    let mut all = Vec::new();
    for original in workshop.originals() {
        all.push(read(&original.path)?);
    }
    Ok(all)
}

/// A picture; what is transparent is white.
fn read(path: &Path) -> Result<Rgb> {
    Ok(flattened(&decode_rgba(path)?, [255; 3]))
}
