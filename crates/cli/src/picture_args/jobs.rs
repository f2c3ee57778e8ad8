//! The pictures that a command line asks for, each with its request.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

use anyhow::{Context, Result, bail};
use lorabake_generate::easel::{Order, Ordered};
use lorabake_generate::from_settings::{Library, Originals};
use lorabake_generate::picture_file::read_text;
use lorabake_generate::png_text::{self, PictureSettings};
use lorabake_generate::prompt::styles::{Styled, Styles};
use lorabake_generate::prompt::{check_length, tags};
use lorabake_generate::prompt_file::{self, PicturePrompt};
use lorabake_generate::read_noise;

use super::model::folder_of;
use super::{PictureArgs, effect};
use crate::terminal;

/// A picture to be painted.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The picture.
    pub order: Order,
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
        effect::check(args, &base)?;
        let library = args.library.library(folder_of(batch.out))?;
        let mut singles = Vec::new();
        for settings in prompts(args, &base)? {
            singles.extend(settings.each_seed(batch.count));
        }
        let units = args.control.units(like.as_ref().map_or(&[], |like| &like.control))?;
        let originals = Originals { control: units.control, ..args.init.originals()? };
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
            bail!("--skip {}: there are {count} pictures in all; leave --skip out", batch.skip);
        }
        let noise = args.latent.as_deref().map(read_noise).transpose()?;
        let mut told: Vec<String> = Vec::new();
        let mut pictures = Vec::new();
        for wanted in &wishes.singles {
            let Ordered { mut order, notes } = wishes.order(&wanted.settings, side)?;
            if let Some((values, [rows, columns])) = &noise {
                order.request.size = [columns * 8, rows * 8];
                order.request.noise = Some(values.clone());
            }
            for note in notes.into_iter().chain(effect::notes(args, order.request.sampling.sampler)) {
                if !told.contains(&note) && !args.texts.explain {
                    terminal::say(&format!("note: {note}"));
                    told.push(note);
                }
            }
            pictures.push(Picture { order, file_name: wanted.file_name.clone() });
        }
        if noise.is_some() && pictures.len() > 1 {
            bail!("--latent: all pictures would begin with the same noise; ask for a single one");
        }
        Ok(Self { pictures, library: wishes.library, like: wishes.like })
    }
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
    if !settings.detailer.is_empty() {
        terminal::say("note: --like: what ADetailer did is not repeated");
    }
    Ok(settings)
}

/// One prompt with its settings.
struct Wanted {
    settings: PictureSettings,
    seeds: Vec<u64>,
    file_name: Option<String>,
}

/// One picture with its settings.
#[derive(Debug, Clone)]
pub struct Single {
    /// All of them, the seed too.
    pub settings: PictureSettings,
    /// Its file's name, if the prompt file gives one.
    pub file_name: Option<String>,
}

impl Wanted {
    /// One for each picture: the seed goes up, or that of the variation if there is one.
    fn each_seed(self, count: u32) -> Vec<Single> {
        let mut all = Vec::new();
        let first = self.settings.sampling.seed.unwrap_or_else(random_seed);
        let variation = self.settings.sampling.variation_seed.unwrap_or_else(random_seed);
        let count = if count == 1 { self.seeds.len().max(1) } else { count as usize };
        let varies = self.settings.sampling.variation_strength.unwrap_or(0.0) > 0.0;
        for index in 0..count as u64 {
            let mut settings = self.settings.clone();
            let seed = match self.seeds.get(index as usize) {
                Some(seed) => *seed,
                None if varies => first,
                None => first + index,
            };
            settings.sampling.seed = Some(seed);
            settings.sampling.variation_seed = Some(variation + index);
            all.push(Single { settings, file_name: self.file_name.clone() });
        }
        all
    }
}

fn random_seed() -> u64 {
    u64::from(RandomState::new().build_hasher().finish() as u32)
}

/// The prompts of the command line, then those of the file, each with its settings; else that of `--like`.
fn prompts(args: &PictureArgs, base: &PictureSettings) -> Result<Vec<Wanted>> {
    let styles = styles(args)?;
    let mut all = Vec::new();
    for prompt in &args.prompt {
        let settings = PictureSettings { prompt: Some(prompt.clone()), ..base.clone() };
        all.push(Wanted { settings, seeds: Vec::new(), file_name: None });
    }
    if let Some(path) = &args.from_file {
        for prompt in prompt_file::read_pictures(path, "--from_file")? {
            all.push(of_file(prompt, base)?);
        }
    }
    if all.is_empty() {
        if base.prompt.is_none() {
            bail!("--like: the picture does not tell its prompt; give --prompt");
        }
        all.push(Wanted { settings: base.clone(), seeds: Vec::new(), file_name: None });
    }
    for wanted in &mut all {
        let styled = Styled {
            prompt: wanted.settings.prompt.clone().unwrap_or_default(),
            negative_prompt: wanted.settings.negative_prompt.clone().unwrap_or_default(),
        };
        let styled = with_styles(&styles, &args.texts.style, styled)?;
        wanted.settings.prompt = Some(styled.prompt);
        wanted.settings.negative_prompt = Some(styled.negative_prompt);
        let hires = &mut wanted.settings.hires;
        let typed = |text: &Option<String>| text.clone().unwrap_or_default();
        let styled = Styled { prompt: typed(&hires.prompt), negative_prompt: typed(&hires.negative_prompt) };
        let styled = with_styles(&styles, &args.texts.style, styled)?;
        // A second pass without a text of its own has that of the first, with its styles.
        if hires.prompt.as_ref().is_some_and(|text| !text.is_empty()) {
            hires.prompt = Some(styled.prompt);
        }
        if hires.negative_prompt.as_ref().is_some_and(|text| !text.is_empty()) {
            hires.negative_prompt = Some(styled.negative_prompt);
        }
    }
    Ok(all)
}

/// A text with its styles, one after the other, so that none makes it grow beyond measure.
fn with_styles(styles: &Styles, names: &[String], mut styled: Styled) -> Result<Styled> {
    for name in names {
        styled = styles.apply(std::slice::from_ref(name), styled)?;
        check_length(&styled.prompt)?;
        check_length(&styled.negative_prompt)?;
    }
    Ok(styled)
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
    if masks && args.init.mask.is_none() {
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

/// A prompt of a file, whose settings win.
fn of_file(prompt: PicturePrompt, base: &PictureSettings) -> Result<Wanted> {
    for (asked, option) in [
        (prompt.negative_scale.is_some(), "--nl"),
        (!prompt.network_multipliers.is_empty(), "--am"),
        (prompt.original_width.is_some() || prompt.original_height.is_some(), "--ow, --oh"),
        (prompt.negative_original_width.is_some() || prompt.negative_original_height.is_some(), "--nw, --nh"),
        (prompt.crop_top.is_some() || prompt.crop_left.is_some(), "--ct, --cl"),
        (prompt.clip_prompt.is_some(), "--c"),
    ] {
        if asked {
            bail!("--from_file: {option} of the prompt \"{}\" is not built in; leave it out", prompt.prompt);
        }
    }
    Ok(Wanted { settings: prompt.settings().over(base), seeds: prompt.seeds, file_name: prompt.file_name })
}

fn styles(args: &PictureArgs) -> Result<Styles> {
    let usual = Path::new("styles.csv");
    match &args.texts.styles_file {
        Some(path) => Styles::open(path).context("--styles_file"),
        None if !args.texts.style.is_empty() && usual.is_file() => Styles::open(usual),
        None if !args.texts.style.is_empty() => {
            bail!("--style: there is no styles.csv here; name it with --styles_file")
        }
        None => Ok(Styles::default()),
    }
}
