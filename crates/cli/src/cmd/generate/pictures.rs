//! Paints the pictures of a command one after the other, and writes each as soon as it is done.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use lorabake_generate::adetailer::{Base, OpenUnit, detail};
use lorabake_generate::easel::{Easel, Finished, ModelFacts, Order};
use lorabake_generate::file_hashes;
use lorabake_generate::file_names::{Facts, next_number};
use lorabake_generate::picture_file::{Pixels, Target, save};
use lorabake_generate::picture_grid::{PictureGrid, Rows};
use lorabake_generate::picture_text::Told;
use lorabake_generate::png_text::{Fields, PictureSettings};

use super::output::{Naming, OutputArgs};
use super::own_easels::OwnEasels;
use crate::paint::{self, Preview, Stopped};
use crate::picture_args::jobs::{Jobs, Picture};
use crate::stop;
use crate::terminal::{self, Shown};

/// What is painted, and where it goes.
pub struct Work<'a> {
    /// The pictures.
    pub jobs: &'a Jobs,
    /// What of each is found and painted again.
    pub units: &'a [OpenUnit],
    /// Where they go.
    pub target: &'a Target,
    /// Networks of detectors' own.
    pub own: RefCell<OwnEasels>,
}

/// Paints everything; pictures with the same networks share them.
///
/// # Errors
/// As [`Easel::paint`], and when a picture cannot be written.
pub fn paint_all(output: &OutputArgs, mut easel: Easel, work: &Work<'_>) -> Result<ExitCode> {
    let Work { jobs, target, .. } = work;
    if output.compare {
        return compare(easel, jobs, target);
    }
    let place = output.naming()?;
    let mut done: Vec<Pixels> = Vec::new();
    let mut text = String::new();
    if output.preview.is_some() && preview_path(target).exists() {
        bail!("--preview: {} is there already; move it away or delete it", preview_path(target).display());
    }
    let count = jobs.pictures.len();
    for (index, picture) in jobs.pictures.iter().enumerate().skip(output.skip as usize) {
        paint::hold(&mut easel, &picture.order)?;
        if let Some(like) = &jobs.like {
            differs(like, &easel.told(&picture.order)?);
        }
        let name = format!("picture {} of {count}", index + 1);
        let preview = output.preview.map(|every| Preview { every: usize::from(every), path: preview_path(target) });
        let painted = paint::paint(&mut easel, &picture.order, &name, preview);
        let mut finished = match painted {
            Err(error) if error.is::<Stopped>() => return Ok(stopped(jobs, index)),
            finished => finished?,
        };
        let detailed = paint_details(&mut easel, work, picture, &name, &mut finished);
        if detailed.as_ref().is_err_and(|error| error.is::<Stopped>()) {
            return Ok(stopped(jobs, index));
        }
        let pixels = finished.pixels();
        let path = place.path(target, index, picture, &finished.fields, &pixels);
        if let Some(kept) = save(&path, &pixels, &finished.fields.text())? {
            terminal::say(&format!("note: {}: the earlier picture is kept as {}", path.display(), kept.display()));
        }
        terminal::result(&Shown(path.display()).to_string());
        // The picture is kept as far as it came.
        detailed?;
        if output.grid {
            // The sheet tells of its first picture, as the web UI's.
            if done.is_empty() {
                text = finished.fields.text();
            }
            done.push(pixels);
        }
    }
    if output.grid {
        save_grid(target, &done, &text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Paints what the detectors find in the picture again.
fn paint_details(
    easel: &mut Easel,
    work: &Work<'_>,
    picture: &Picture,
    name: &str,
    finished: &mut Finished,
) -> Result<()> {
    if work.units.is_empty() {
        return Ok(());
    }
    let Jobs { library, originals, side, .. } = work.jobs;
    let base = Base { settings: &picture.settings, library, originals, side: *side };
    let counts = detail(easel, work.units, base, finished, &mut |easel, order, which| {
        let mut own = work.own.borrow_mut();
        let easel = own.of(&work.units[which.unit].unit.own)?.unwrap_or(easel);
        paint::hold(easel, order)?;
        paint::paint(easel, order, &format!("{name}, detail {} of {}", which.area + 1, which.of), None)
    })?;
    for (count, OpenUnit { unit, .. }) in counts.into_iter().zip(work.units) {
        if count == 0 {
            let model = Shown(unit.model.display());
            terminal::say(&format!("{name}: {model} found nothing that is painted again"));
        }
    }
    Ok(())
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
    let seed = jobs.pictures[0].order.request.seed.seed;
    terminal::say(&format!(
        "stopped: {done} of {} pictures are written; the same command with --seed {seed} --skip {done} goes on",
        jobs.pictures.len()
    ));
    ExitCode::from(stop::INTERRUPTED as u8)
}

impl Naming {
    /// The path of picture `index`, counted from 0.
    fn path(&self, target: &Target, index: usize, picture: &Picture, fields: &Fields, painted: &Pixels) -> PathBuf {
        let Target::Folder(folder) = target else { return target.path(index + 1, picture.order.request.seed.seed) };
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

/// Paints every picture without and with its LoRAs; one labelled grid, a column a picture.
fn compare(mut easel: Easel, jobs: &Jobs, target: &Target) -> Result<ExitCode> {
    let orders: Vec<&Order> = jobs.pictures.iter().map(|picture| &picture.order).collect();
    let compared = match paint::compare(&mut easel, &orders) {
        Err(error) if error.is::<Stopped>() => {
            terminal::say("stopped: nothing is written");
            return Ok(ExitCode::from(stop::INTERRUPTED as u8));
        }
        compared => compared?,
    };
    let path = target.path(1, orders[0].request.seed.seed);
    save(&path, &compared.sheet, &compared.text)?;
    terminal::result(&Shown(path.display()).to_string());
    Ok(ExitCode::SUCCESS)
}

/// Tells if a picture was painted with another model than `facts` tell of; waits for its hash.
pub fn differs_in_model(like: &PictureSettings, facts: &mut ModelFacts) {
    let own = facts.model_hash();
    tell_other_model(like, &facts.name, own.as_deref());
}

fn tell_other_model(like: &PictureSettings, name: &str, own: Option<&str>) {
    if let (Some(wanted), Some(own)) = (&like.model_hash, own)
        && !file_hashes::agree(wanted, own)
    {
        let other = like.model.as_deref().unwrap_or("another model");
        terminal::say(&format!("note: --like: it was painted with {other} [{wanted}], this is {name} [{own}]"));
    }
}

/// Tells what of a picture that is painted like another one is not the same.
pub fn differs(like: &PictureSettings, told: &Told) {
    tell_other_model(like, &told.model, told.model_hash.as_deref());
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
    terminal::say_some(lines.iter().map(|line| format!("note: --like: {line}")));
}
