//! `lorabake images masks`: masks of the loss, from transparency or of what a detector sees.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::{Result, anyhow, bail};
use lorabake_generate::adetailer::{AreaMask, FoundArea};
use lorabake_pixels::pillow::gaussian_blur;
use lorabake_pixels::{Gray, decode, probe};
use lorabake_recipe::count;
use lorabake_tags::images::{as_png, mask};
use lorabake_tags::journal::Home;
use lorabake_weights::whole_file;

use super::args::Masks;
use crate::detector::Eyes;
use crate::progress::Counter;
use crate::stop;
use crate::terminal::{self, Shown};

/// What became of the images.
#[derive(Default)]
struct Report {
    written: usize,
    kept: usize,
    /// Without anything that a mask could show.
    plain: usize,
}

/// Writes the masks that `args` ask for.
///
/// # Errors
/// Whatever is wrong with options, folders or files.
pub fn run(args: &Masks) -> Result<ExitCode> {
    let found = args.scope.find()?;
    let home = Home::of(&args.scope.folder)?;
    let out = std::path::absolute(&args.out)?;
    if out.starts_with(home.root()) {
        bail!(
            "--out {}: it is in the data set, where masks would be trained on; name another folder",
            Shown(out.display())
        );
    }
    let eyes = args.detector.open()?;
    let images: usize = found.entries().map(|entry| entry.images.len()).sum();
    let stopped = stop::wished()?;
    let mut counter = Counter::new("making masks", images as u64);
    let mut report = Report::default();
    let mut done = 0;
    for entry in found.entries() {
        let folder = found.set.folder(entry);
        for image in &entry.images {
            if stopped.load(Ordering::Relaxed) {
                counter.clear();
                tell(&report, args);
                terminal::say(&format!("stopped: {done} of {images} images; the same command goes on"));
                return Ok(ExitCode::from(stop::INTERRUPTED as u8));
            }
            done += 1;
            let target = mask_path(&out, &folder.name, image);
            if target.exists() && !args.overwrite {
                report.kept += 1;
                continue;
            }
            match made(image, eyes.as_ref(), args) {
                Ok(Some(bytes)) => {
                    whole_file::write(&target, |file| file.write_all(&bytes))?;
                    report.written += 1;
                }
                Ok(None) => report.plain += 1,
                Err(error) => terminal::say(&format!("note: {}", Shown(error))),
            }
            counter.set(done as u64, String::new());
        }
    }
    counter.clear();
    tell(&report, args);
    Ok(ExitCode::SUCCESS)
}

/// The mask of an image as a file; `None` if there is nothing to show.
fn made(image: &Path, eyes: Option<&Eyes>, args: &Masks) -> Result<Option<Vec<u8>>> {
    let Some(eyes) = eyes else {
        return match mask(image)? {
            None if args.whole => Ok(Some(as_png(image, &Gray::filled(probe::size(image)?, [u8::MAX]))?)),
            found => Ok(found),
        };
    };
    let picture = decode(image).map_err(|why| anyhow!("{why}"))?.image;
    let areas = eyes.areas(&picture)?;
    // Where there is no watermark, everything is learnt.
    if areas.is_empty() && (args.whole || args.invert) {
        return Ok(Some(as_png(image, &Gray::filled(picture.size(), [u8::MAX]))?));
    }
    let mask = seen_mask(&areas, args).map(|mask| as_png(image, &mask));
    Ok(mask.transpose()?)
}

/// One mask of all that is seen; `None` if nothing is left of it.
fn seen_mask(areas: &[FoundArea], args: &Masks) -> Option<Gray> {
    let mut whole: Option<AreaMask> = None;
    for area in areas {
        // A square around each pixel grows it on both sides.
        let own = area.mask.grown(if args.grow == 0 { 0 } else { 2 * args.grow + args.grow.signum() });
        whole = Some(whole.map_or(own.clone(), |earlier| earlier.with(&own)));
    }
    let mask = whole.filter(|mask| mask.bounds().is_some())?;
    let mask = if args.invert { mask.inverted() } else { mask };
    let gray = Gray { width: mask.width as u32, height: mask.height as u32, data: mask.values };
    let faded = if args.blur > 0.0 { gaussian_blur(&gray, args.blur as f32) } else { gray };
    let least = args.outside * 255.0;
    Some(faded.map(|[value]| [(least + f64::from(value) * (1.0 - args.outside)).round() as u8]))
}

fn tell(report: &Report, args: &Masks) {
    if report.plain > 0 {
        let plain = count(report.plain, "image");
        let what = match &args.detector.detector {
            Some(_) => "in which nothing was seen, without a mask",
            None => "opaque everywhere and without a mask",
        };
        terminal::say(&format!("note: {plain} {what}"));
        terminal::say(
            "note: training asks for a mask of each image: --whole writes white ones, or keep these images in a folder of their own",
        );
    }
    if report.kept > 0 {
        terminal::say(&format!("note: {} there already; --overwrite writes them anew", count(report.kept, "mask")));
    }
    let out = Shown(args.out.display());
    terminal::say(&format!("{} written into {out}", count(report.written, "mask")));
    if report.written > 0 {
        terminal::say("train with --masked_loss --conditioning_data_dir and this folder");
    }
}

/// Where the mask of an image goes: as `--conditioning_data_dir` looks for it.
fn mask_path(out: &Path, folder: &str, image: &Path) -> PathBuf {
    let stem = image.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    out.join(folder).join(format!("{stem}.png"))
}
