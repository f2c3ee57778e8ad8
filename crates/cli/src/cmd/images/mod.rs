//! `lorabake images`: edits the images of a data set, through its journal.

mod args;
mod closeups;
mod masks;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use lorabake_generate::adetailer::FoundArea;
use lorabake_pixels::pillow;
use lorabake_recipe::count;
use lorabake_tags::Edit;
use lorabake_tags::images::{Anchor, Caches, Edited, Fill, ImageEdit, Picture};
use lorabake_tags::journal::Home;

pub use args::Args;
use args::{Borders, Crop, Flatten, Pad, Target, What};

use crate::cmd::tags::{past, scope};
use crate::detector::Eyes;
use crate::terminal::{self, Shown};

/// Images that are shown of a dry run unless all are asked for.
const SOME: usize = 20;

/// Does what is asked.
///
/// # Errors
/// Whatever is wrong with options, folders or files.
pub fn run(args: &Args) -> Result<ExitCode> {
    match &args.what {
        What::Crop(Crop { target, shape, detector }) => {
            let edit = ImageEdit::Crop { shape: shape.shape()?, anchor: shape.position.anchor() };
            edit_images("crop", &Wish { edit, eyes: detector.open()? }, target)
        }
        What::Closeups(closeups) => closeups::run(closeups),
        What::Pad(Pad { target, shape, color }) => {
            let fill = if color == "edge" { Fill::Edge } else { Fill::Color(parsed_color(color)?) };
            let edit = ImageEdit::Pad { shape: shape.shape()?, anchor: shape.position.anchor(), fill };
            edit_images("pad", &Wish::of(edit), target)
        }
        What::Borders(Borders { target, one_side }) => {
            edit_images("borders", &Wish::of(ImageEdit::RemoveBorders { one_side: *one_side }), target)
        }
        What::Flatten(Flatten { target, color }) => {
            edit_images("flatten", &Wish::of(ImageEdit::Flatten(parsed_color(color)?)), target)
        }
        What::Masks(args) => masks::run(args),
        What::Undo(undo) => past::undo(undo),
        What::Redo(redo) => past::redo(redo),
        What::History(history) => past::history(history),
    }
}

fn parsed_color(text: &str) -> Result<[u8; 3]> {
    let named = [("white", [255; 3]), ("black", [0; 3]), ("grey", [128; 3]), ("gray", [128; 3])];
    if let Some((_, color)) = named.iter().find(|(name, _)| *name == text) {
        return Ok(*color);
    }
    let digits = text.strip_prefix('#').unwrap_or(text);
    if digits.len() == 6
        && let Ok(number) = u32::from_str_radix(digits, 16)
    {
        let [_, color @ ..] = number.to_be_bytes();
        return Ok(color);
    }
    bail!("--color: {} is no colour; write white, black, grey, or one such as #ff8800", Shown(text))
}

/// An edit, and who looks where it is done.
struct Wish {
    edit: ImageEdit,
    eyes: Option<Eyes>,
}

impl Wish {
    /// An edit that looks at nothing.
    fn of(edit: ImageEdit) -> Self {
        Self { edit, eyes: None }
    }

    /// The edit of one image: what is seen in it stays in the middle of a crop.
    fn of_picture(&self, picture: &Picture) -> Result<ImageEdit> {
        let mut edit = self.edit.clone();
        if let (Some(eyes), ImageEdit::Crop { anchor, .. }) = (&self.eyes, &mut edit)
            && let Some([x, y]) = middle(&eyes.areas(&pillow::without_alpha(picture.pixels()))?)
        {
            *anchor = Anchor::Point(x, y);
        }
        Ok(edit)
    }
}

/// The middle of all that is seen.
fn middle(areas: &[FoundArea]) -> Option<[u32; 2]> {
    let mut all = areas.first()?.detection.bounds;
    for FoundArea { detection, .. } in areas {
        let [left, top, right, bottom] = detection.bounds;
        all = [all[0].min(left), all[1].min(top), all[2].max(right), all[3].max(bottom)];
    }
    Some([(all[0] + all[2]) / 2.0, (all[1] + all[3]) / 2.0].map(|place| place.round() as u32))
}

/// What became of the images.
#[derive(Default)]
struct Report {
    changed: usize,
    /// Latents of trainers that were set aside.
    caches: usize,
    /// Images that were compressed anew, with what is to be known of that.
    costs: Vec<&'static str>,
}

fn edit_images(verb: &str, wish: &Wish, target: &Target) -> Result<ExitCode> {
    let found = target.scope.find()?;
    let images: Vec<&PathBuf> = found.entries().flat_map(|entry| &entry.images).collect();
    let mut report = Report::default();
    let mut caches = Caches::default();
    let mut journal = target.scope.journal()?;
    let home = journal.home().clone();
    let mut action = journal.start(&format!("images {verb}"));
    for path in &images {
        let picture = match Picture::load(path) {
            Ok(picture) => picture,
            Err(error) => {
                terminal::say(&format!("note: {}", Shown(error)));
                continue;
            }
        };
        let pixels = match wish.of_picture(&picture)?.act_on(&picture) {
            Edited::Pixels(pixels) => pixels,
            Edited::Nothing => continue,
            Edited::NoPlace => {
                let name = Shown(path.display());
                terminal::say(&format!("note: {name}: no bucket takes it, or it would be too large; it stays"));
                continue;
            }
        };
        let before = picture.pixels().size();
        report.costs.extend(picture.costs());
        report.changed += 1;
        if target.dry_run {
            if target.all || report.changed <= SOME {
                let name = Shown(found.shown(&target.scope.folder, path));
                let [from, to] = [before, pixels.size()].map(|(width, height)| format!("{width} × {height}"));
                terminal::result(&format!("{name}: {from} → {to}"));
            }
            continue;
        }
        let mut edits = vec![picture.edit(&pixels, target.jpeg_quality)?];
        for cache in caches.of(path) {
            edits.push(Edit::Move { to: home.free_set_aside(&cache)?, from: cache });
            report.caches += 1;
        }
        action.apply(&edits)?;
    }
    tell(&report, target, images.len(), &home);
    scope::tell_parted(&journal);
    Ok(ExitCode::SUCCESS)
}

fn tell(report: &Report, target: &Target, images: usize, home: &Home) {
    let mut costs = report.costs.clone();
    costs.sort_unstable();
    costs.dedup();
    for cost in costs {
        let count = report.costs.iter().filter(|other| **other == cost).count();
        let how = if cost.starts_with("JPEG") { format!(" at quality {}", target.jpeg_quality) } else { String::new() };
        terminal::say(&format!("note: {} {cost}{how}", lorabake_recipe::count(count, "image")));
    }
    let images = count(images, "image");
    if target.dry_run {
        if report.changed > SOME && !target.all {
            terminal::say(&format!("… and {} more; --all shows them", report.changed - SOME));
        }
        terminal::say(&format!("{} of {images} would change; nothing was written", report.changed));
        return;
    }
    if report.caches > 0 {
        let caches = count(report.caches, "file");
        terminal::say(&format!("note: {caches} of cached latents of edited images set aside"));
    }
    if report.changed == 0 {
        terminal::say(&format!("nothing to change in {images}"));
        return;
    }
    let originals = home.journal().join(".originals");
    terminal::say(&format!(
        "{} of {images} changed; the originals are in {}; `lorabake images undo {}` takes it back",
        report.changed,
        Shown(originals.display()),
        scope::typed(&target.scope.folder)
    ));
}
