//! `lorabake images`: edits the images of a data set, through its journal.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use lorabake_data::bucket::Rule;
use lorabake_recipe::count;
use lorabake_recipe::data::Buckets;
use lorabake_tags::Edit;
use lorabake_tags::images::{Anchor, Caches, Edited, Fill, ImageEdit, JPEG_QUALITY, Picture, Shape, mask};
use lorabake_tags::journal::Home;
use lorabake_weights::whole_file;

use crate::cmd::tags::{past, scope};
use crate::terminal::{self, Shown};

/// Images that are shown of a dry run unless all are asked for.
const SOME: usize = 20;

/// What follows `lorabake images`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, clap::Subcommand)]
#[command(rename_all = "kebab-case")]
enum What {
    /// Cut images to the shape of the bucket in which they are trained, or to a ratio
    Crop(Crop),
    /// Add what images lack to the shape of their bucket, or to a ratio
    Pad(Pad),
    /// Cut off letterboxes and frames of one colour
    Borders(Borders),
    /// Put a colour behind what is transparent; trainers show whatever colour lies under it
    Flatten(Flatten),
    /// Write masks of the loss from transparency, for --conditioning_data_dir
    Masks(Masks),
    /// Take back the last change of a data set, also after days, also of captions
    Undo(past::Undo),
    /// Do again what was undone last
    Redo(past::Past),
    /// Show what was done
    History(past::Past),
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
struct Target {
    #[command(flatten)]
    scope: scope::Scope,
    /// Shows what would change, and changes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Shows every image that would change, not only the first 20.
    #[arg(long, requires = "dry_run")]
    all: bool,
    /// The quality of JPEGs that are written anew, of 100.
    #[arg(long, value_name = "N", default_value_t = JPEG_QUALITY)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=100))]
    jpeg_quality: u8,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
struct ShapeArgs {
    /// The ratio of width to height, as 2:3, for all images; without it each gets the shape of its bucket.
    #[arg(long, value_name = "W:H")]
    ratio: Option<String>,
    /// The resolution of the training, as 512 or 512,768.
    #[arg(long, value_name = "SIZE", default_value = "512")]
    resolution: String,
    /// The shortest side of a bucket. [default: 256, or the shorter side of the resolution]
    #[arg(long, value_name = "N")]
    min_bucket_reso: Option<u32>,
    /// The longest side of a bucket. [default: 1024, or the longer side of the resolution]
    #[arg(long, value_name = "N")]
    max_bucket_reso: Option<u32>,
    /// Sides of buckets are multiples of this.
    #[arg(long, value_name = "N", default_value_t = 64)]
    bucket_reso_steps: u32,
    /// Buckets never enlarge an image.
    #[arg(long)]
    bucket_no_upscale: bool,
    /// Which part of an image stays, or where it is on its canvas.
    #[arg(long, value_enum, default_value_t = Position::Center)]
    position: Position,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Position {
    /// The middle
    Center,
    /// The upper end, where heads are
    Top,
    /// The lower end
    Bottom,
    /// The left end
    Left,
    /// The right end
    Right,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
struct Crop {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    shape: ShapeArgs,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
struct Pad {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    shape: ShapeArgs,
    /// What is added: white, black, grey, a colour as #ff8800, or `edge` for the pixels at the edge again and again.
    #[arg(long, value_name = "COLOR", default_value = "white")]
    color: String,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
struct Borders {
    #[command(flatten)]
    target: Target,
    /// Also cuts off what is at one side alone and at least a tenth of it, which may be a plain background.
    #[arg(long)]
    one_side: bool,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
struct Flatten {
    #[command(flatten)]
    target: Target,
    /// The colour: white, black, grey, or as #ff8800.
    #[arg(long, value_name = "COLOR", default_value = "white")]
    color: String,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
struct Masks {
    #[command(flatten)]
    scope: scope::Scope,
    /// The folder for the masks, outside of the data set; each folder of images has one of its name in it.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Writes masks anew that are there already.
    #[arg(long)]
    overwrite: bool,
}

/// Does what is asked.
///
/// # Errors
/// Whatever is wrong with options, folders or files.
pub fn run(args: &Args) -> Result<ExitCode> {
    match &args.what {
        What::Crop(Crop { target, shape }) => {
            let edit = ImageEdit::Crop { shape: shape.shape()?, anchor: shape.position.anchor() };
            edit_images("crop", &edit, target)
        }
        What::Pad(Pad { target, shape, color }) => {
            let fill = if color == "edge" { Fill::Edge } else { Fill::Color(parsed_color(color)?) };
            let edit = ImageEdit::Pad { shape: shape.shape()?, anchor: shape.position.anchor(), fill };
            edit_images("pad", &edit, target)
        }
        What::Borders(Borders { target, one_side }) => {
            edit_images("borders", &ImageEdit::RemoveBorders { one_side: *one_side }, target)
        }
        What::Flatten(Flatten { target, color }) => {
            edit_images("flatten", &ImageEdit::Flatten(parsed_color(color)?), target)
        }
        What::Masks(masks) => write_masks(masks),
        What::Undo(undo) => past::undo(undo),
        What::Redo(redo) => past::redo(redo),
        What::History(history) => past::history(history),
    }
}

impl ShapeArgs {
    fn shape(&self) -> Result<Shape> {
        if let Some(ratio) = &self.ratio {
            let sides = ratio
                .split_once(':')
                .and_then(|(width, height)| Some((width.trim().parse().ok()?, height.trim().parse().ok()?)));
            return match sides {
                Some((width, height)) if width > 0 && height > 0 => Ok(Shape::Ratio(width, height)),
                _ => bail!("--ratio: {} is no ratio; write width:height, such as 2:3", Shown(ratio)),
            };
        }
        let wrong = || anyhow!("--resolution: {} is no size; write 512 or 512,768", Shown(&self.resolution));
        let sides: Option<Vec<u32>> = self.resolution.split(',').map(|side| side.trim().parse().ok()).collect();
        let resolution = match sides.as_deref() {
            Some([side]) => (*side, *side),
            Some([width, height]) => (*width, *height),
            _ => return Err(wrong()),
        };
        let step = self.bucket_reso_steps.max(1);
        let (short, long) = (resolution.0.min(resolution.1), resolution.0.max(resolution.1).min(1 << 16));
        let buckets = Buckets {
            // As training rounds what is not given.
            min: self.min_bucket_reso.unwrap_or_else(|| (short.min(256) / step * step).max(step)),
            max: self.max_bucket_reso.unwrap_or_else(|| long.max(1024).next_multiple_of(step)),
            step,
            no_upscale: self.bucket_no_upscale,
        };
        Ok(Shape::Bucket(Rule::new(resolution, Some(&buckets))?))
    }
}

impl Position {
    fn anchor(self) -> Anchor {
        match self {
            Self::Center => Anchor::Center,
            Self::Top => Anchor::Top,
            Self::Bottom => Anchor::Bottom,
            Self::Left => Anchor::Left,
            Self::Right => Anchor::Right,
        }
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

/// What became of the images.
#[derive(Default)]
struct Report {
    changed: usize,
    /// Latents of trainers that were set aside.
    caches: usize,
    /// Images that were compressed anew, with what is to be known of that.
    costs: Vec<&'static str>,
}

fn edit_images(verb: &str, edit: &ImageEdit, target: &Target) -> Result<ExitCode> {
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
        let pixels = match edit.act_on(&picture) {
            Edited::Pixels(pixels) => pixels,
            Edited::Nothing => continue,
            Edited::NoPlace => {
                let name = Shown(path.display());
                terminal::say(&format!("note: {name}: no bucket takes it, or it would be too large; it stays"));
                continue;
            }
        };
        let before = picture.pixels().size();
        report.costs.extend(picture.cost());
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

fn write_masks(args: &Masks) -> Result<ExitCode> {
    let found = args.scope.find()?;
    let home = Home::of(&args.scope.folder)?;
    let out = std::path::absolute(&args.out)?;
    if out.starts_with(home.root()) {
        bail!(
            "--out {}: it is in the data set, where masks would be trained on; name another folder",
            Shown(out.display())
        );
    }
    let mut written = 0;
    let mut kept = 0;
    let mut opaque = 0;
    for entry in found.entries() {
        let folder = found.set.folder(entry);
        for image in &entry.images {
            let target = mask_path(&out, &folder.name, image);
            if target.exists() && !args.overwrite {
                kept += 1;
                continue;
            }
            match mask(image) {
                Ok(Some(bytes)) => {
                    whole_file::write(&target, |file| file.write_all(&bytes))?;
                    written += 1;
                }
                Ok(None) => opaque += 1,
                Err(error) => terminal::say(&format!("note: {}", Shown(error))),
            }
        }
    }
    if opaque > 0 {
        let opaque = count(opaque, "image");
        terminal::say(&format!("note: {opaque} opaque everywhere and without a mask"));
        terminal::say("note: training asks for a mask of each image, so keep those without in a folder of their own");
    }
    if kept > 0 {
        terminal::say(&format!("note: {} there already; --overwrite writes them anew", count(kept, "mask")));
    }
    terminal::say(&format!("{} written into {}", count(written, "mask"), Shown(args.out.display())));
    Ok(ExitCode::SUCCESS)
}

/// Where the mask of an image goes: as `--conditioning_data_dir` looks for it.
fn mask_path(out: &Path, folder: &str, image: &Path) -> PathBuf {
    let stem = image.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    out.join(folder).join(format!("{stem}.png"))
}
