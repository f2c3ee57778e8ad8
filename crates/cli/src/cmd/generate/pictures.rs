//! Paints the pictures of a command one after the other, and writes each as soon as it is done.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use lorabake_generate::file_hashes;
use lorabake_generate::file_names::{Facts, next_number};
use lorabake_generate::nets::{FoundNetwork, Nets};
use lorabake_generate::painter::Painter;
use lorabake_generate::picture_file::{Pixels, Target, save, write_over};
use lorabake_generate::picture_grid::{PictureGrid, Rows};
use lorabake_generate::picture_text::{Told, fields};
use lorabake_generate::png_text::{Fields, NamedHash};
use lorabake_generate::request::{Painted, Request};
use lorabake_recipe::model::Checkpoint;
use lorabake_weights::metadata::ModelHashes;

use super::jobs::{Jobs, Picture};
use super::output::Naming;
use super::{Args, model_name};
use crate::progress::Counter;
use crate::terminal::{self, Shown};
use crate::{grid, stop, words};

/// What `watch` ends a picture with when the user wishes that.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
struct Stopped;

/// Networks in memory, and whose they are.
struct Held {
    networks: Vec<FoundNetwork>,
    nets: Nets,
}

/// Paints everything; pictures with the same networks share them.
///
/// # Errors
/// As [`Painter::paint`], and when a picture cannot be written.
pub fn paint_all(args: &Args, painter: &Painter, jobs: &Jobs, target: &Target) -> Result<ExitCode> {
    if args.output.compare {
        return compare(args, painter, jobs, target);
    }
    let model = Model::of(args);
    let place = args.output.naming()?;
    let mut done: Vec<Pixels> = Vec::new();
    let mut text = String::new();
    if args.output.preview.is_some() && preview_path(target).exists() {
        bail!("--preview: {} is there already; move it away or delete it", preview_path(target).display());
    }
    let mut held: Option<Held> = None;
    let mut held_hires: Option<Held> = None;
    let count = jobs.pictures.len();
    for (index, picture) in jobs.pictures.iter().enumerate().skip(args.output.skip as usize) {
        hold(&mut held, painter, &picture.request.networks)?;
        let hires = picture.request.hires.as_ref().and_then(|hires| hires.networks.as_ref());
        if let Some(networks) = hires {
            hold(&mut held_hires, painter, networks)?;
        }
        let hires_nets = held_hires.as_ref().filter(|_| hires.is_some()).map(|held| &held.nets);
        for skipped in painter.embeddings.skipped_in(&format!("{} {}", picture.prompt, picture.negative_prompt)) {
            terminal::say(&format!("note: {}", skipped.reason));
        }
        let nets = &held.as_ref().expect("held above").nets;
        let name = format!("picture {} of {count}", index + 1);
        let preview = args.output.preview.map(|every| (usize::from(every), preview_path(target)));
        let painted = match paint(painter, &picture.request, nets, hires_nets, &name, preview) {
            Err(error) if error.is::<Stopped>() => return Ok(stopped(jobs, index)),
            painted => painted?,
        };
        let told = model.told(painter, jobs, picture, nets)?;
        let fields = fields(&picture.request, &told);
        let painted = pixels(&painted);
        let path = place.path(target, index, picture, &fields, &painted);
        if let Some(kept) = save(&path, &painted, &fields.text())? {
            terminal::say(&format!("note: {}: the earlier picture is kept as {}", path.display(), kept.display()));
        }
        terminal::result(&Shown(path.display()).to_string());
        if args.output.grid {
            done.push(painted);
            text = fields.text();
        }
    }
    if args.output.grid {
        save_grid(target, &done, &text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes one sheet of all pictures beside them.
fn save_grid(target: &Target, pictures: &[Pixels], text: &str) -> Result<()> {
    let sizes: Vec<[usize; 2]> = pictures.iter().map(|picture| [picture.width, picture.height]).collect();
    let Some(grid) = PictureGrid::new(&sizes, Rows::Square) else { return Ok(()) };
    let path = match target {
        Target::Folder(folder) => folder.join(format!("grid-{:04}.png", next_number(folder, "grid"))),
        Target::File(path) | Target::Files(path) => path.with_extension("grid.png"),
    };
    save(&path, &grid.paste(pictures)?, text)?;
    terminal::result(&Shown(path.display()).to_string());
    Ok(())
}

/// Where previews go.
fn preview_path(target: &Target) -> PathBuf {
    match target {
        Target::Folder(folder) => folder.join("lorabake-preview.png"),
        Target::File(path) | Target::Files(path) => path.with_extension("preview.png"),
    }
}

/// Tells how a batch goes on that was stopped.
fn stopped(jobs: &Jobs, done: usize) -> ExitCode {
    let seed = jobs.pictures[0].request.seed.seed;
    terminal::say(&format!(
        "stopped: {done} of {} pictures are written; the same command with --seed {seed} --skip {done} goes on",
        jobs.pictures.len()
    ));
    ExitCode::from(stop::INTERRUPTED as u8)
}

impl Naming {
    /// The path of picture `index`, counted from 0.
    fn path(&self, target: &Target, index: usize, picture: &Picture, fields: &Fields, painted: &Pixels) -> PathBuf {
        let Target::Folder(folder) = target else { return target.path(index + 1, picture.request.seed.seed) };
        if let Some(name) = &picture.file_name {
            let name = Path::new(name);
            return if name.extension().is_some() {
                folder.join(name)
            } else {
                folder.join(name).with_extension("png")
            };
        }
        let facts = Facts {
            fields,
            rgb: &painted.rgb,
            time: chrono::Local::now(),
            batch_number: None,
            batch_size: 1,
            generation_number: Some(index + 1),
        };
        let name = self.pattern.file_name(&facts);
        let number = next_number(folder, "").max(1);
        let dash = if name.is_empty() { "" } else { "-" };
        folder.join(format!("{number:05}{dash}{name}.{}", self.format))
    }
}

/// Makes `held` hold `networks`.
fn hold(held: &mut Option<Held>, painter: &Painter, networks: &[FoundNetwork]) -> Result<()> {
    if held.as_ref().is_some_and(|held| held.networks == networks) {
        return Ok(());
    }
    let nets = painter.nets(networks)?;
    for (report, network) in nets.reports.iter().zip(networks) {
        report.lines(network).iter().for_each(|line| terminal::say(line));
    }
    *held = Some(Held { networks: networks.to_vec(), nets });
    Ok(())
}

/// Paints one picture and shows how far it is.
fn paint(
    painter: &Painter,
    request: &Request,
    nets: &Nets,
    hires_nets: Option<&Nets>,
    name: &str,
    preview: Option<(usize, PathBuf)>,
) -> Result<Painted> {
    let wished = stop::wished()?;
    let told = Arc::new(AtomicBool::new(false));
    let telling = tell_wish(wished, Arc::clone(&told));
    let began = Instant::now();
    let mut counter: Option<Counter> = None;
    let painted = painter.paint(request, nets, hires_nets, &mut |progress| {
        if wished.load(Ordering::Relaxed) {
            return Err(anyhow!(Stopped));
        }
        let of = progress.total.map_or_else(String::new, |total| format!(" of {total}"));
        let last = if progress.total == Some(progress.done) { ", decoding" } else { "" };
        let counter = counter.get_or_insert_with(|| Counter::new("painting", progress.total.unwrap_or(0) as u64));
        counter.set(progress.done as u64, format!("{name}: step {}{of}{last}", progress.done));
        if let Some((every, path)) = &preview
            && progress.done.is_multiple_of(*every)
        {
            let rough = painter.preview(progress.denoised());
            write_over(path, &Pixels { width: rough.width, height: rough.height, rgb: rough.rgb }, "")?;
        }
        Ok(())
    });
    told.store(true, Ordering::Relaxed);
    // It only tells, so that nothing is lost if it failed.
    let _ = telling.join();
    if let Some(counter) = counter {
        counter.clear();
    }
    if let Some((_, path)) = &preview {
        let _ = std::fs::remove_file(path);
    }
    let painted = painted?;
    terminal::say(&format!("{name} in {}", words::duration(began.elapsed().as_secs_f64())));
    Ok(painted)
}

/// Tells that the wish to end was heard, which may take effect after minutes only.
fn tell_wish(wished: &'static AtomicBool, done: Arc<AtomicBool>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        while !done.load(Ordering::Relaxed) {
            if wished.load(Ordering::Relaxed) {
                terminal::say("stopping after this step; Ctrl-C again ends at once");
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    })
}

fn pixels(painted: &Painted) -> Pixels {
    let image = &painted.image;
    Pixels { width: image.width as usize, height: image.height as usize, rgb: image.data.clone() }
}

/// Paints every picture without and with its LoRAs; one labelled grid, a column a picture.
fn compare(args: &Args, painter: &Painter, jobs: &Jobs, target: &Target) -> Result<ExitCode> {
    if let Some(picture) = jobs.pictures.iter().find(|picture| picture.request.networks.is_empty()) {
        bail!("--compare: there is no LoRA in the prompt \"{}\"; write for instance <lora:NAME:1>", picture.prompt);
    }
    let columns: Vec<String> = jobs
        .pictures
        .iter()
        .map(|picture| format!("{} #{}", picture.request.prompt, picture.request.seed.seed))
        .collect();
    let plain = painter.nets(&[])?;
    let mut rows = vec![("without".to_owned(), Vec::new()), ("with".to_owned(), Vec::new())];
    let mut held: Option<Held> = None;
    for (index, picture) in jobs.pictures.iter().enumerate() {
        hold(&mut held, painter, &picture.request.networks)?;
        let nets = &held.as_ref().expect("held above").nets;
        for ((label, row), nets) in rows.iter_mut().zip([&plain, nets]) {
            let name = format!("picture {} of {} {label} LoRA", index + 1, jobs.pictures.len());
            row.push(pixels(&paint(painter, &picture.request, nets, None, &name, None)?));
        }
    }
    let first = &jobs.pictures[0];
    let path = target.path(1, first.request.seed.seed);
    let told = Model::of(args).told(painter, jobs, first, &plain)?;
    save(&path, &grid::compose(&columns, &rows), &fields(&first.request, &told).text())?;
    terminal::result(&Shown(path.display()).to_string());
    Ok(ExitCode::SUCCESS)
}

/// What is told of the checkpoint. Its hash takes seconds and is made while the first picture is painted.
struct Model {
    name: String,
    vae: Option<String>,
    hashes: std::cell::RefCell<Hashing>,
}

enum Hashing {
    Running(JoinHandle<[Option<String>; 2]>),
    Done([Option<String>; 2]),
}

impl Model {
    fn of(args: &Args) -> Self {
        let which = args.checkpoint();
        let vae = args.vae.clone();
        let name = model_name(&which);
        let of_vae = vae.clone();
        let running = std::thread::spawn(move || {
            let model = match which {
                Checkpoint::Embedded => Some(ModelHashes::of_bytes(lorabake_generate::embedded::bytes())),
                Checkpoint::File(path) => ModelHashes::of_file(&path).ok(),
            };
            let vae = of_vae.and_then(|path| ModelHashes::of_file(&path).ok());
            [model, vae].map(|hashes| hashes.as_ref().and_then(file_hashes::short_model_hash))
        });
        let vae = vae.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        Self { name, vae, hashes: Hashing::Running(running).into() }
    }

    fn hashes(&self) -> [Option<String>; 2] {
        let mut hashes = self.hashes.borrow_mut();
        let done = match std::mem::replace(&mut *hashes, Hashing::Done([None, None])) {
            Hashing::Running(running) => running.join().unwrap_or([None, None]),
            Hashing::Done(done) => done,
        };
        *hashes = Hashing::Done(done.clone());
        done
    }

    fn told(&self, painter: &Painter, jobs: &Jobs, picture: &Picture, nets: &Nets) -> Result<Told> {
        let [model_hash, vae_hash] = self.hashes();
        let mut loras: Vec<NamedHash> = Vec::new();
        let hires = picture.request.hires.as_ref().and_then(|hires| hires.networks.as_ref());
        for network in picture.request.networks.iter().chain(hires.into_iter().flatten()) {
            let name = network.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if !loras.iter().any(|known| known.name == name) {
                loras.push(NamedHash { name, hash: file_hashes::lora_hash(&network.path)? });
            }
        }
        let weight = picture.request.init.as_ref().map(|init| init.conditional_mask_weight);
        let told = Told {
            prompt: picture.prompt.clone(),
            negative_prompt: picture.negative_prompt.clone(),
            hires_prompt: picture.hires_prompt.clone(),
            model: self.name.clone(),
            model_hash,
            vae: self.vae.clone(),
            vae_hash,
            loras,
            embeddings: painter.embedding_hashes(&picture.request, nets)?,
            control: jobs.control.clone(),
            conditional_mask_weight: painter.is_inpainting_model().then(|| weight.unwrap_or(1.0)),
        };
        if let Some(like) = &jobs.like {
            differs(like, &told);
        }
        Ok(told)
    }
}

/// Tells what of a picture that is painted like another one is not the same.
fn differs(like: &lorabake_generate::png_text::PictureSettings, told: &Told) {
    if let (Some(wanted), Some(own)) = (&like.model_hash, &told.model_hash)
        && !file_hashes::agree(wanted, own)
    {
        let name = like.model.as_deref().unwrap_or("another model");
        terminal::say(&format!("note: --like: it was painted with {name} [{wanted}], this is {} [{own}]", told.model));
    }
    let mut lines = file_hashes::differences("LoRA", &like.loras, &told.loras);
    lines.extend(file_hashes::differences("embedding", &like.embeddings, &told.embeddings));
    for said in &like.embeddings {
        if !told.embeddings.iter().any(|own| own.name.eq_ignore_ascii_case(&said.name)) {
            lines.push(format!(
                "it has the embedding {}, which is not here; give its folder by --embedding_dir",
                said.name
            ));
        }
    }
    for line in lines {
        terminal::say(&format!("note: --like: {line}"));
    }
}
