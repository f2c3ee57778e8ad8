//! The pictures that a command line asks for, each with its request.

use std::path::Path;

use anyhow::{Context, Result, bail};
use lorabake_generate::easel::{Order, Ordered};
use lorabake_generate::from_settings::{Library, Originals};
use lorabake_generate::limits;
use lorabake_generate::picture_file::read_text;
use lorabake_generate::png_text::{self, PictureSettings};
use lorabake_generate::problems::Problems;
use lorabake_generate::prompt::tags;
use lorabake_generate::read_noise;
use lorabake_recipe::count as count_of;

use super::model::folder_of;
use super::{PictureArgs, effect, wanted};
use crate::terminal;

pub use super::wanted::Single;

/// A picture to be painted.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The picture.
    pub order: Order,
    /// What it was ordered by.
    pub settings: PictureSettings,
    /// Its file's name, if the prompt file gives one.
    pub file_name: Option<String>,
}

/// All pictures of a command.
#[derive(Debug)]
pub struct Jobs {
    /// In the order in which they are painted.
    pub pictures: Vec<Picture>,
    /// Where what they name is found.
    pub library: Library,
    /// What they begin with beside settings.
    pub originals: Originals,
    /// The checkpoint's usual side in pixels.
    pub side: usize,
    /// Settings of the picture that `--like` names.
    pub like: Option<PictureSettings>,
}

/// How many pictures are wanted, and where they go.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Pictures per prompt.
    pub count: u32,
    /// Pictures that are left out at the beginning.
    pub skip: u32,
    /// The file or folder that is written; LoRAs may lie beside it.
    pub out: &'a Path,
}

/// The settings of a command's pictures, before they are looked up and read.
#[derive(Debug)]
pub struct Wishes {
    /// Each picture's settings.
    pub singles: Vec<Single>,
    /// Where what they name is found.
    pub library: Library,
    /// What they begin with beside settings.
    pub originals: Originals,
    /// Texts of ControlNet's units.
    pub control: Vec<String>,
    /// Settings of the picture that `--like` names.
    pub like: Option<PictureSettings>,
}

impl Wishes {
    /// What `args` ask for.
    ///
    /// # Errors
    /// Whatever is wrong with options, prompts or files.
    pub fn of(args: &PictureArgs, batch: Batch<'_>) -> Result<Self> {
        args.library.check_folders()?;
        let like = args.like.as_deref().map(like).transpose()?;
        if let Some(settings) = &like {
            begins_with_picture(args, settings);
        }
        let typed = args.typed();
        let base = match &like {
            Some(settings) => typed.over(settings),
            None => typed,
        };
        if let Some(settings) = &like {
            check_limits(settings, &base)?;
        }
        effect::check(args, &base)?;
        let library = args.library.library(folder_of(batch.out))?;
        let mut singles = Vec::new();
        for wanted in wanted::prompts(args, &base, batch.count)? {
            singles.extend(wanted.each_seed(batch.count));
        }
        let units = args.control.units(like.as_ref().map_or(&[], |like| &like.control))?;
        let originals = Originals { control: units.control, ..args.init.originals(base.mask.blur)? };
        Ok(Self { singles, library, originals, control: units.texts, like })
    }

    /// The picture of `settings`, with what the user should know of it.
    ///
    /// # Errors
    /// As [`Order::of`].
    pub fn order(&self, settings: &PictureSettings, side: usize) -> Result<Ordered> {
        let mut ordered = Order::of(settings, &self.library, &self.originals, side)?;
        ordered.order.control = self.control.clone();
        Ok(ordered)
    }
}

impl Jobs {
    /// What `args` ask for; `side` is the checkpoint's usual one in pixels.
    ///
    /// # Errors
    /// Whatever is wrong with options, prompts or files.
    pub fn of(args: &PictureArgs, batch: Batch<'_>, side: usize) -> Result<Self> {
        let wishes = Wishes::of(args, batch)?;
        let count = wishes.singles.len();
        if batch.skip as usize >= count {
            let all = count_of(count, "picture");
            bail!("--skip {}: it is {all} in all; leave --skip out", batch.skip);
        }
        if wishes.like.as_ref().is_some_and(|like| !like.plot.is_empty()) {
            terminal::say(
                "note: --like: it is the sheet of a plot; its first picture is painted, and `lorabake grid` makes all of it",
            );
        }
        let noise = args.latent.as_deref().map(read_noise).transpose()?;
        let mut told: Vec<String> = Vec::new();
        let mut pictures = Vec::new();
        for wanted in &wishes.singles {
            let Ordered { mut order, notes } = wishes.order(&wanted.settings, side)?;
            let mut settings = wanted.settings.clone();
            if let Some((values, [rows, columns])) = &noise {
                order.request.size = [columns * 8, rows * 8];
                order.request.noise = Some(values.clone());
                settings.width = Some(columns * 8);
                settings.height = Some(rows * 8);
            }
            for note in notes.into_iter().chain(effect::notes(args, order.request.sampling.sampler)) {
                if !told.contains(&note) && !args.texts.explain {
                    terminal::say(&format!("note: {note}"));
                    told.push(note);
                }
            }
            pictures.push(Picture { order, settings, file_name: wanted.file_name.clone() });
        }
        if noise.is_some() && pictures.len() > 1 {
            bail!("--latent: all pictures would begin with the same noise; ask for a single one");
        }
        let Wishes { library, originals, like, .. } = wishes;
        Ok(Self { pictures, library, originals, side, like })
    }
}

/// Refuses what the text of the picture asks for and no picture may have, unless an option was typed in its place.
fn check_limits(like: &PictureSettings, wanted: &PictureSettings) -> Result<()> {
    let of_picture = limits::problems(like);
    let mut problems = limits::problems(wanted);
    problems.retain(|problem| of_picture.contains(problem));
    for problem in &mut problems {
        *problem = format!("--like: from the picture's text: {problem}");
    }
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems).into()) }
}

/// Settings of the picture at `path`.
fn like(path: &Path) -> Result<PictureSettings> {
    let text = read_text(path).context("--like")?;
    let settings = PictureSettings::of(&png_text::parse(&text));
    for entry in &settings.not_understood {
        terminal::say(&format!("note: --like: {}: {} is not understood and left out", entry.key, entry.value));
    }
    check_names(&settings)?;
    let hires = &settings.hires;
    for (is_there, what) in [
        (hires.checkpoint.is_some(), "another checkpoint for the second pass"),
        (hires.cfg_scale.is_some(), "another guidance scale for the second pass"),
        (settings.sampling.seed_delta.is_some_and(|delta| delta < 0), "an ENSD below 0"),
    ] {
        if is_there {
            terminal::say(&format!("note: --like: {what} is left out, which is not built in"));
        }
    }
    if let Some(vae) = &settings.vae {
        terminal::say(&format!(
            "note: --like: it was decoded with the VAE {vae}; give it by --vae if it is not the model's"
        ));
    }
    Ok(settings)
}

/// Tells what of a picture is not in its text: the picture that it began with, and its mask.
fn begins_with_picture(args: &PictureArgs, settings: &PictureSettings) {
    let masks = settings.mask.blur.is_some() || settings.mask.only_masked.is_some() || settings.mask.content.is_some();
    let began = masks || (settings.denoising_strength.is_some() && !settings.hires.acts());
    if began && args.init.init_image.is_none() {
        terminal::say(
            "note: --like: it was painted from another picture; give that by --init_image, else it is from noise",
        );
    }
    if settings.hires.acts() && args.init.init_image.is_some() {
        terminal::say("note: --like: its second pass is left out, which belongs to pictures without --init_image");
    }
    if masks && !args.init.has_mask() {
        terminal::say("note: --like: it was painted with a mask; give that by --mask, else all is painted");
    }
}

/// Refuses names in the text of a stranger's picture that lead out of the folders for them.
fn check_names(settings: &PictureSettings) -> Result<()> {
    let leads_out = |name: &str| name.contains(['/', '\\']) || name.contains("..");
    let texts = [&settings.prompt, &settings.hires.prompt].into_iter().flatten();
    for tag in texts.flat_map(|text| tags::take(text).tags) {
        let name = tag.items.first().map(String::as_str).unwrap_or_default();
        if leads_out(name) {
            bail!("--like: the picture's tag {tag} is a path, which is not opened; type the prompt with --prompt");
        }
    }
    if let Some(name) = settings.hires.upscaler.as_deref().filter(|name| leads_out(name)) {
        bail!("--like: the picture's upscaler {name} is a path, which is not opened; give --hr_upscaler");
    }
    Ok(())
}
