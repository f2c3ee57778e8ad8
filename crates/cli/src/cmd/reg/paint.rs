//! Paints regularization images one after the other; those that are there already, of the same text, are done.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lorabake_generate::easel::{Easel, Finished, Order};
use lorabake_generate::from_settings::{Library, Originals};
use lorabake_generate::picture_file::{read_text, write_over};
use lorabake_generate::png_text::PictureSettings;
use lorabake_generate::prompt::check_length;
use lorabake_judge::regularization::RegPicture;
use lorabake_recipe::count;
use lorabake_weights::whole_file;

use super::Args;
use super::training::Training;
use crate::held_folder::HeldFolder;
use crate::paint::{Stopped, paint};
use crate::picture_args::model::ModelArgs;
use crate::terminal::{self, Shown};
use crate::told::Told;
use crate::{stop, words};

/// A picture with all that is needed to paint it.
struct Job<'a> {
    wish: &'a RegPicture,
    order: Order,
    picture: PathBuf,
    caption: PathBuf,
    /// The picture is there, and as it should be.
    is_there: bool,
}

/// Paints all of `pictures`.
///
/// # Errors
/// When there are other files in the way, and whatever keeps a picture from being painted or written.
pub fn all(args: &Args, training: Training, pictures: &[RegPicture]) -> Result<ExitCode> {
    let model = ModelArgs::of_recipe(&training.parsed);
    let mut told = Told::default();
    let opened = model.open_model(&mut told)?;
    let settings = args.settings(&training);
    let mut jobs = Vec::new();
    for wish in pictures {
        let order = order(wish, &settings, opened.side)?;
        let picture = args.out.join(&wish.picture);
        jobs.push(Job { wish, order, picture, caption: args.out.join(&wish.caption_file), is_there: false });
    }
    let _held = HeldFolder::take(&args.out)?;
    model.set_threads()?;
    let mut easel = model.easel(opened, false, &[], &mut told)?;
    look(&mut jobs, &mut easel)?;
    let there = jobs.iter().filter(|job| job.is_there).count();
    if there > 0 && there < jobs.len() {
        terminal::say(&format!("{there} of {} are there already", count(jobs.len(), "picture")));
    }
    for (index, job) in jobs.iter().enumerate() {
        if !job.is_there {
            let name = format!("picture {} of {}", index + 1, jobs.len());
            match paint(&mut easel, &job.order, &name, None) {
                Err(error) if error.is::<Stopped>() => {
                    tell_there("stopped", &jobs);
                    return Ok(ExitCode::from(stop::INTERRUPTED as u8));
                }
                Err(error) => return Err(error),
                Ok(finished) => write(job, &finished).inspect_err(|_| tell_there("note", &jobs))?,
            }
        }
        write_caption(job).inspect_err(|_| tell_there("note", &jobs))?;
    }
    terminal::result(&done(args, &training, pictures, there));
    Ok(ExitCode::SUCCESS)
}

/// What is asked of the painter. A caption has no tags, comments or networks, so that its prompt is not read for them.
fn order(wish: &RegPicture, settings: &PictureSettings, side: usize) -> Result<Order> {
    check_length(&wish.prompt)?;
    let mut settings = settings.clone();
    settings.width = Some(wish.size[0]);
    settings.height = Some(wish.size[1]);
    settings.sampling.seed = Some(wish.seed);
    let nothing = Library::of_loras(Vec::new());
    let mut order = Order::of(&settings, &nothing, &Originals::default(), side)?.order;
    order.prompt = wish.prompt.clone();
    order.request.prompt = wish.prompt.clone();
    Ok(order)
}

/// Finds out which pictures are there; refuses to paint over others.
fn look(jobs: &mut [Job<'_>], easel: &mut Easel) -> Result<()> {
    let mut others = Vec::new();
    for job in jobs {
        if job.picture.exists() {
            // What has no text is somebody's own picture.
            let text = read_text(&job.picture).unwrap_or_default();
            job.is_there = text == easel.text_of(&job.order)?;
            if !job.is_there {
                others.push(job.picture.clone());
            }
        }
        if job.caption.exists() && std::fs::read(&job.caption).ok() != Some(caption_text(job.wish).into_bytes()) {
            others.push(job.caption.clone());
        }
    }
    if let Some(first) = others.first() {
        let more = if others.len() > 1 { format!(" and {} more", others.len() - 1) } else { String::new() };
        bail!(
            "--out: {}{more}: made otherwise than asked for now; repeat the command as it was, move the files away or name \
             another folder",
            Shown(first.display())
        );
    }
    Ok(())
}

/// The caption as a file; one of nothing but an end of line is an empty caption.
fn caption_text(wish: &RegPicture) -> String {
    format!("{}\n", wish.caption)
}

fn write_caption(job: &Job<'_>) -> Result<()> {
    if job.caption.exists() {
        return Ok(());
    }
    let text = caption_text(job.wish);
    let written = whole_file::write(&job.caption, |out| out.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", job.caption.display()))
}

fn write(job: &Job<'_>, finished: &Finished) -> Result<()> {
    write_over(&job.picture, &finished.pixels(), &finished.fields.text())
}

/// How many pictures there are, and how they become more.
fn tell_there(why: &str, jobs: &[Job<'_>]) {
    let there = jobs.iter().filter(|job| job.picture.is_file()).count();
    terminal::say(&format!("{why}: {there} of {} pictures are there; the same command goes on", jobs.len()));
}

/// What there is now, and what to do with it.
fn done(args: &Args, training: &Training, pictures: &[RegPicture], there: usize) -> String {
    let out = args.out.display().to_string();
    let earlier = if there > 0 { format!(", {there} of them from before") } else { String::new() };
    let text = format!("{}  {} with captions{earlier}\n", Shown(&out), count(pictures.len(), "picture"));
    let pairing = if args.class_prompt.is_none() { " --reg_pairing same_name" } else { "" };
    if let Some(config) = &training.parsed.recipe.data.config {
        let mut lines = format!("{text}To use them, write into {}:", Shown(config.file.display()));
        for subset in subsets(args, pictures) {
            lines += &format!("\n  {}", Shown(subset));
        }
        if !pairing.is_empty() {
            lines += &format!("\nand train with: {pairing}");
        }
        return lines;
    }
    text + &format!("To use them, train with:  --reg_data_dir {}{pairing}", Shown(words::quoted(&out)))
}

/// The subsets of a `--dataset_config` that take the pictures, a line each.
fn subsets(args: &Args, pictures: &[RegPicture]) -> Vec<String> {
    let mut lines = Vec::new();
    for RegPicture { picture, dataset, .. } in pictures {
        let folder = args.out.join(picture.parent().unwrap_or(Path::new("")));
        let folder = folder.display().to_string();
        // What stands between single marks is taken as it is.
        let quoted = if folder.contains('\'') { format!("{folder:?}") } else { format!("'{folder}'") };
        let line = format!("data set {}: a subset with image_dir = {quoted} and is_reg = true", dataset + 1);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}
