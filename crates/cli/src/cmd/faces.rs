//! `lorabake faces`: writes where faces are into the names of images, which `--face_crop_aug_range` crops around.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, anyhow, bail};
use lorabake_data::image::face::Face;
use lorabake_data::scan::pairs::pairs_below;
use lorabake_device::Opened;
use lorabake_generate::adetailer::{Finder, FoundArea};
use lorabake_pixels::decode;
use lorabake_recipe::count;
use lorabake_tags::journal::Action;
use lorabake_tags::{Edit, Journal};

use crate::detector::processor;
use crate::picture_args::values;
use crate::progress::Counter;
use crate::stop;
use crate::terminal::{self, Shown};

/// The most problems that are named one by one.
const NAMED: usize = 20;

/// What follows `lorabake faces`.
#[derive(Debug, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    /// The folder of your images, with all folders in it.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Detector of faces (YOLOv8 as .onnx, or ultralytics' .pt).
    #[arg(long, value_name = "FILE", alias = "detailer")]
    detector: PathBuf,
    /// How sure the detector has to be, from 0 to 1.
    #[arg(long, value_name = "SHARE", default_value = "0.3", value_parser = values::share)]
    confidence: f64,
    /// Shows the new names, and renames nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Renames the images of `args`: `penny.png` with a face of 90 × 110 pixels around (256, 200) becomes
/// `penny_0256_0200_0090_0110.png`, as sd-scripts' `detect_face_rotate.py` calls it. Captions keep their names, which both
/// programs find.
///
/// # Errors
/// Whatever is wrong with options, the detector or the folder.
pub fn run(args: &Args) -> Result<ExitCode> {
    let Args { folder, detector, .. } = args;
    if !folder.is_dir() {
        bail!("{}: there is no such folder; name the folder of your images", folder.display());
    }
    let finder = Finder::open(values::there("--detector", detector)?).context("--detector")?;
    let found = pairs_below(folder, None)
        .map_err(|why| anyhow!("{}: {why}; name a folder that can be read", folder.display()))?;
    let images: Vec<PathBuf> = found.pairs.into_iter().map(|pair| pair.image).collect();
    if images.is_empty() {
        bail!("{}: there are no images in it; name the folder of your images", folder.display());
    }
    let mut journal = if args.dry_run { None } else { Some(Journal::open(folder)?) };
    let action = journal.as_mut().map(|journal| journal.start("faces"));
    let mut work = Work { args, finder, action, renamed: 0, without: 0, known: 0, problems: Vec::new() };
    let done = work.all(&images)?;
    work.tell(&images, done)
}

/// What is being done.
struct Work<'a> {
    args: &'a Args,
    finder: Finder,
    /// None in a dry run.
    action: Option<Action<'a>>,
    renamed: usize,
    without: usize,
    known: usize,
    problems: Vec<String>,
}

impl Work<'_> {
    /// Looks at all images; how many it came to.
    fn all(&mut self, images: &[PathBuf]) -> Result<usize> {
        let stopped = stop::wished()?;
        let Opened { device, .. } = lorabake_device::open(processor())?;
        let mut counter = Counter::new("looking for faces", images.len() as u64);
        let mut done = 0;
        for image in images {
            if stopped.load(Ordering::Relaxed) {
                break;
            }
            if Face::in_name(image).is_some() {
                self.known += 1;
            } else {
                match decode(image) {
                    Ok(decoded) => {
                        let faces = self.finder.find(&decoded.image, self.args.confidence, &device)?;
                        self.take(image, &faces)?;
                    }
                    Err(why) => self.problems.push(why.to_string()),
                }
            }
            done += 1;
            counter.set(done as u64, String::new());
        }
        counter.clear();
        Ok(done)
    }

    /// Renames an image after its largest face.
    fn take(&mut self, image: &Path, faces: &[FoundArea]) -> Result<()> {
        let mut largest: Option<&FoundArea> = None;
        for face in faces {
            if largest.is_none_or(|largest| face.detection.area() > largest.detection.area()) {
                largest = Some(face);
            }
        }
        let Some(face) = largest else {
            self.without += 1;
            return Ok(());
        };
        let name = named(image, face.detection.bounds);
        if name.exists() {
            self.problems.push(format!("{}: it is there already", name.display()));
            return Ok(());
        }
        match &mut self.action {
            Some(action) => {
                action.apply(&[Edit::Move { from: image.to_owned(), to: name }])?;
            }
            None => terminal::result(&format!("{} → {}", Shown(image.display()), Shown(name.display()))),
        }
        self.renamed += 1;
        Ok(())
    }

    fn tell(&self, images: &[PathBuf], done: usize) -> Result<ExitCode> {
        for problem in self.problems.iter().take(NAMED) {
            terminal::say(&format!("left out: {}", Shown(problem)));
        }
        if self.problems.len() > NAMED {
            terminal::say(&format!("left out: {} more", count(self.problems.len() - NAMED, "image")));
        }
        let would = if self.args.dry_run { "would be renamed" } else { "renamed" };
        let mut line = format!("{} {would}", count(self.renamed, "image"));
        if self.without > 0 {
            line += &format!(", {} without a face", self.without);
        }
        if self.known > 0 {
            line += &format!(", {} whose name tells its face already", self.known);
        }
        terminal::say(&line);
        if self.renamed > 0 && !self.args.dry_run {
            terminal::say("--face_crop_aug_range crops around these faces; `lorabake tags undo` takes the names back");
            terminal::say(
                "masks in another folder (--conditioning_data_dir) are called as their images: make them anew",
            );
        }
        if done < images.len() {
            terminal::say(&format!("stopped: {done} of {} images; the same command goes on", images.len()));
            return Ok(ExitCode::from(stop::INTERRUPTED as u8));
        }
        Ok(if self.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The name of an image with a face: the middle's column and row, width and height.
fn named(image: &Path, bounds: [f64; 4]) -> PathBuf {
    let [left, top, right, bottom] = bounds;
    let numbers = [(left + right) / 2.0, (top + bottom) / 2.0, right - left, bottom - top];
    let [column, row, width, height] = numbers.map(|number| number.round().max(1.0) as u32);
    let stem = image.file_stem().unwrap_or_default().to_string_lossy();
    let suffix = image.extension().unwrap_or_default().to_string_lossy();
    image.with_file_name(format!("{stem}_{column:04}_{row:04}_{width:04}_{height:04}.{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_face_as_training_reads_it() {
        let name = named(Path::new("set/a_b.png"), [211.0, 145.0, 301.2, 255.0]);
        assert_eq!(name, Path::new("set/a_b_0256_0200_0090_0110.png"));
        let face = Face::in_name(&name).unwrap();
        assert_eq!((face.center, face.size), ((256, 200), (90, 110)));
    }
}
