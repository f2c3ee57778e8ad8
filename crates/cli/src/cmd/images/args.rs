//! The words of `lorabake images`.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use lorabake_data::bucket::Rule;
use lorabake_recipe::data::Buckets;
use lorabake_tags::images::{Anchor, JPEG_QUALITY, Shape, View};

use crate::cmd::tags::{past, scope};
use crate::detector::DetectorArgs;
use crate::picture_args::values;
use crate::terminal::Shown;

/// What follows `lorabake images`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub(super) what: What,
}

#[derive(Debug, Clone, clap::Subcommand)]
#[command(rename_all = "kebab-case")]
pub(super) enum What {
    /// Cut images to the shape of the bucket in which they are trained, or to a ratio; with --detector around what it sees
    Crop(Crop),
    /// Cut portraits, upper bodies or whole figures out of images as further images, where a detector sees them
    Closeups(Box<Closeups>),
    /// Add what images lack to the shape of their bucket, or to a ratio
    Pad(Pad),
    /// Cut off letterboxes and frames of one colour
    Borders(Borders),
    /// Put a colour behind what is transparent; trainers show whatever colour lies under it
    Flatten(Flatten),
    /// Write masks of the loss, for --conditioning_data_dir: from transparency, or of what a detector sees
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
pub(super) struct Target {
    #[command(flatten)]
    pub(super) scope: scope::Scope,
    /// Shows what would change, and changes nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Shows every image that would change, not only the first 20.
    #[arg(long, requires = "dry_run")]
    pub(super) all: bool,
    /// The quality of JPEGs that are written anew, of 100.
    #[arg(long, value_name = "N", default_value_t = JPEG_QUALITY)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(super) jpeg_quality: u8,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub(super) struct ShapeArgs {
    /// The ratio of width to height, as 2:3, for all images; without it each gets the shape of its bucket.
    #[arg(long, value_name = "W:H")]
    pub(super) ratio: Option<String>,
    #[command(flatten)]
    pub(super) buckets: BucketArgs,
    /// Which part of an image stays, or where it is on its canvas.
    #[arg(long, value_enum, default_value_t = Position::Center)]
    pub(super) position: Position,
}

/// The buckets that training sorts images into.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub(super) struct BucketArgs {
    /// The resolution of the training, as 512 or 512,768.
    #[arg(long, value_name = "SIZE", default_value = "512")]
    pub(super) resolution: String,
    /// The shortest side of a bucket. [default: 256, or the shorter side of the resolution]
    #[arg(long, value_name = "N")]
    pub(super) min_bucket_reso: Option<u32>,
    /// The longest side of a bucket. [default: 1024, or the longer side of the resolution]
    #[arg(long, value_name = "N")]
    pub(super) max_bucket_reso: Option<u32>,
    /// Sides of buckets are multiples of this.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(super) bucket_reso_steps: u32,
    /// Buckets never enlarge an image.
    #[arg(long)]
    pub(super) bucket_no_upscale: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Position {
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
pub(super) struct Crop {
    #[command(flatten)]
    pub(super) target: Target,
    #[command(flatten)]
    pub(super) shape: ShapeArgs,
    #[command(flatten)]
    pub(super) detector: DetectorArgs,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub(super) struct Closeups {
    #[command(flatten)]
    pub(super) scope: scope::Scope,
    /// Shows what would be cut out, and writes nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Shows every part that would be cut out, not only the first 20.
    #[arg(long, requires = "dry_run")]
    pub(super) all: bool,
    #[command(flatten)]
    pub(super) detector: DetectorArgs,
    /// What is cut out; several with a comma. [default: what fits the detector: portraits around faces, upper bodies, whole
    /// figures]
    #[arg(long, value_name = "VIEW,VIEW", value_delimiter = ',', value_enum)]
    pub(super) view: Vec<ViewName>,
    /// Cuts out everybody who is seen, not only the largest.
    #[arg(long)]
    pub(super) each: bool,
    /// Parts that training would have to enlarge more times than this are not cut out.
    #[arg(long, value_name = "TIMES", default_value_t = 1.25)]
    pub(super) most_enlarged: f64,
    #[command(flatten)]
    pub(super) buckets: BucketArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum ViewName {
    /// Head and shoulders
    Portrait,
    /// Down to the waist
    UpperBody,
    /// The figure by itself
    FullBody,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub(super) struct Pad {
    #[command(flatten)]
    pub(super) target: Target,
    #[command(flatten)]
    pub(super) shape: ShapeArgs,
    /// What is added: white, black, grey, a colour as #ff8800, or `edge` for the pixels at the edge again and again.
    #[arg(long, value_name = "COLOR", default_value = "white")]
    pub(super) color: String,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub(super) struct Borders {
    #[command(flatten)]
    pub(super) target: Target,
    /// Also cuts off what is at one side alone and at least a tenth of it, which may be a plain background.
    #[arg(long)]
    pub(super) one_side: bool,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub(super) struct Flatten {
    #[command(flatten)]
    pub(super) target: Target,
    /// The colour: white, black, grey, or as #ff8800.
    #[arg(long, value_name = "COLOR", default_value = "white")]
    pub(super) color: String,
}

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub(super) struct Masks {
    #[command(flatten)]
    pub(super) scope: scope::Scope,
    /// The folder for the masks, outside of the data set; each folder of images has one of its name in it.
    #[arg(long, value_name = "FOLDER")]
    pub(super) out: PathBuf,
    /// Writes masks anew that are there already.
    #[arg(long)]
    pub(super) overwrite: bool,
    /// Images in which nothing is seen, or nothing is transparent, get a white mask: all of them is learnt.
    #[arg(long)]
    pub(super) whole: bool,
    #[command(flatten)]
    pub(super) detector: DetectorArgs,
    /// The other way round: what the detector sees is not learnt, such as watermarks.
    #[arg(long, requires = "detector")]
    pub(super) invert: bool,
    /// How much of the rest is learnt all the same, from 0 to 1.
    #[arg(long, value_name = "SHARE", default_value = "0", value_parser = values::share)]
    pub(super) outside: f64,
    /// Pixels by which what is seen grows on all sides; less than 0 shrinks it.
    #[arg(long, value_name = "PIXELS", default_value_t = 0, requires = "detector", allow_hyphen_values = true)]
    #[arg(value_parser = clap::value_parser!(i32).range(-1024..=1024))]
    pub(super) grow: i32,
    /// Pixels over which a mask fades.
    #[arg(long, value_name = "PIXELS", default_value_t = 0.0, requires = "detector", value_parser = blur)]
    pub(super) blur: f64,
}

impl ShapeArgs {
    /// The shape that is asked for.
    pub(super) fn shape(&self) -> Result<Shape> {
        if let Some(ratio) = &self.ratio {
            let sides = ratio
                .split_once(':')
                .and_then(|(width, height)| Some((width.trim().parse().ok()?, height.trim().parse().ok()?)));
            return match sides {
                Some((width, height)) if width > 0 && height > 0 => Ok(Shape::Ratio(width, height)),
                _ => bail!("--ratio: {} is no ratio; write width:height, such as 2:3", Shown(ratio)),
            };
        }
        Ok(Shape::Bucket(self.buckets.rule()?))
    }
}

impl BucketArgs {
    /// The rule by which images are sorted.
    pub(super) fn rule(&self) -> Result<Rule> {
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
        Ok(Rule::new(resolution, Some(&buckets))?)
    }
}

impl ViewName {
    pub(super) fn view(self) -> View {
        match self {
            Self::Portrait => View::Portrait,
            Self::UpperBody => View::UpperBody,
            Self::FullBody => View::FullBody,
        }
    }
}

/// Pixels of a blur.
fn blur(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| (0.0..=256.0).contains(value));
    value.ok_or_else(|| "it is not a number from 0 to 256".to_owned())
}

impl Position {
    /// Which part stays.
    pub(super) fn anchor(self) -> Anchor {
        match self {
            Self::Center => Anchor::Center,
            Self::Top => Anchor::Top,
            Self::Bottom => Anchor::Bottom,
            Self::Left => Anchor::Left,
            Self::Right => Anchor::Right,
        }
    }
}
