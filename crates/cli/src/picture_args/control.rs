//! Options of the commands that paint for ControlNet. Each may be given several times: the first of each belong together.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use lorabake_generate::control::{ControlResize, ControlUnit, UnitText};
use lorabake_generate::prompt::{Search, find_within};
use lorabake_model::control::Mode;
use lorabake_pixels::decode::decode;
use lorabake_weights::metadata::ModelHashes;

use super::values::there;
use crate::terminal;

/// ControlNets, which act together.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "ControlNet")]
pub struct ControlArgs {
    /// ControlNet, a .safetensors or .pth file, or a name in --control_dir; may be given several times, as may the options
    /// below: the first of each belong together. With --like it takes the place of the picture's.
    #[arg(long, value_name = "FILE")]
    pub control_model: Vec<PathBuf>,
    /// Folder of ControlNets, in which those that the picture of --like names are looked up; may be given several times.
    #[arg(long, value_name = "FOLDER")]
    pub control_dir: Vec<PathBuf>,
    /// The picture that it follows.
    #[arg(long, value_name = "FILE")]
    pub control_image: Vec<PathBuf>,
    /// What is made of the picture first: none, canny, invert, threshold, tile_resample, scribble_xdog, blur_gaussian,
    /// lineart_standard, … [default: none]
    #[arg(long, value_name = "NAME")]
    pub control_module: Vec<String>,
    /// How strongly it acts, from 0 to 2. [default: 1]
    #[arg(long, value_name = "WEIGHT")]
    pub control_weight: Vec<f64>,
    /// Share of the steps at which it begins. [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = super::values::share)]
    pub control_guidance_start: Vec<f64>,
    /// Share of the steps at which it ends. [default: 1]
    #[arg(long, value_name = "SHARE", value_parser = super::values::share)]
    pub control_guidance_end: Vec<f64>,
    /// Which is more important: balanced, prompt or control. [default: balanced]
    #[arg(long, value_name = "MODE")]
    pub control_mode: Vec<Mode>,
    /// How its picture comes to the wanted size: just_resize, crop_and_resize or resize_and_fill.
    /// [default: crop_and_resize]
    #[arg(long, value_name = "MODE")]
    pub control_resize_mode: Vec<ControlResize>,
    /// Pixels of the shorter side at which its preprocessor works; 0 = as the picture wants it. [default: 512]
    #[arg(long, value_name = "PIXELS")]
    pub control_processor_res: Vec<u16>,
    /// First number of its preprocessor, for instance canny's low threshold.
    #[arg(long, value_name = "NUMBER")]
    pub control_threshold_a: Vec<f64>,
    /// Second number of its preprocessor, for instance canny's high threshold.
    #[arg(long, value_name = "NUMBER")]
    pub control_threshold_b: Vec<f64>,
}

/// ControlNets with their pictures, and what the web UI's text says of them.
#[derive(Debug, Default)]
pub struct Units {
    /// The nets.
    pub control: Vec<ControlUnit>,
    /// A text for each.
    pub texts: Vec<String>,
}

/// A net's file and its settings.
struct Found {
    model: PathBuf,
    settings: UnitText,
}

impl ControlArgs {
    /// The ControlNets with their pictures; `like` are those of the picture that `--like` names, each of which acts if its
    /// net and its picture are there, and is told of if they are not.
    ///
    /// # Errors
    /// When something that was typed is missing, or a picture cannot be read.
    pub fn units(&self, like: &[String]) -> Result<Units> {
        if let Some(folder) = self.control_dir.iter().find(|folder| !folder.is_dir()) {
            bail!("--control_dir {}: there is no such folder; correct the name", folder.display());
        }
        let typed = self.control_model.len();
        let count = typed.max(like.len());
        self.check_counts(count)?;
        let pictures = self.control_image.len();
        if pictures < typed {
            bail!(
                "--control_model is given {typed} times and --control_image {pictures} times; give both equally often"
            );
        }
        let mut units = Units::default();
        for index in 0..count {
            let said = like.get(index).map(|text| UnitText::read(text));
            let Some(Found { model, settings }) = self.found(index, said.as_ref())? else { continue };
            let image = decode(there("--control_image", &self.control_image[index])?).context("--control_image")?.image;
            let unit = settings.unit(model, image).map_err(|why| anyhow!(why))?;
            let name = unit.model.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let hash = ModelHashes::legacy_of(&unit.model).ok().filter(|hash| !is_of_nothing(hash));
            if let Some(wanted) = said.as_ref().and_then(|said| said.hash.as_ref())
                && self.control_model.get(index).is_none()
                && hash.as_ref() != Some(wanted)
            {
                let own = hash.as_deref().unwrap_or("none");
                terminal::say(&format!("note: --like: its ControlNet {name} is [{wanted}], the one here [{own}]"));
            }
            units.texts.push(UnitText { model: Some(name), hash, ..settings }.to_string());
            units.control.push(unit);
        }
        Ok(units)
    }

    /// Refuses options that no net is left for.
    fn check_counts(&self, nets: usize) -> Result<()> {
        for (option, given) in [
            ("--control_image", self.control_image.len()),
            ("--control_module", self.control_module.len()),
            ("--control_weight", self.control_weight.len()),
            ("--control_guidance_start", self.control_guidance_start.len()),
            ("--control_guidance_end", self.control_guidance_end.len()),
            ("--control_mode", self.control_mode.len()),
            ("--control_resize_mode", self.control_resize_mode.len()),
            ("--control_processor_res", self.control_processor_res.len()),
            ("--control_threshold_a", self.control_threshold_a.len()),
            ("--control_threshold_b", self.control_threshold_b.len()),
        ] {
            if given > 0 && nets == 0 {
                bail!("{option}: there is no ControlNet; give --control_model");
            }
            if given > nets {
                bail!("{option} is given {given} times for {nets} ControlNets; leave out what is too much");
            }
        }
        Ok(())
    }

    /// The net of a unit with its settings; `None`, with a line, if what the picture of `--like` says cannot be done.
    fn found(&self, index: usize, said: Option<&UnitText>) -> Result<Option<Found>> {
        let typed = self.typed(index);
        if let Some(path) = self.control_model.get(index) {
            let settings = said.map_or_else(|| typed.clone(), |said| typed.over(said));
            return Ok(Some(Found { model: self.named(path)?, settings }));
        }
        let Some(said) = said else { return Ok(None) };
        let settings = typed.over(said);
        let left_out = |why: &str| {
            let name = said.model.as_deref().unwrap_or("None");
            terminal::say(&format!("note: --like: its ControlNet {index} ({name}) is left out: {why}"));
        };
        for setting in &said.not_understood {
            terminal::say(&format!("note: --like: ControlNet {index}: {setting} is not understood and left out"));
        }
        let Some(name) = &said.model else {
            left_out("it has no net, which is not built in");
            return Ok(None);
        };
        if settings.preprocessor().is_err() {
            let module = said.module.as_deref().unwrap_or_default();
            left_out(&format!(
                "its preprocessor {module} is not built in; give what it made by --control_image, and --control_module none"
            ));
            return Ok(None);
        }
        let is_shown = index < self.control_image.len();
        if self.control_dir.is_empty() {
            let image = if is_shown { "" } else { ", and the picture that it followed by --control_image" };
            left_out(&format!("give its folder by --control_dir{image}"));
            return Ok(None);
        }
        let model = self.within(name).context("--like")?;
        if !is_shown {
            left_out("give the picture that it followed by --control_image");
            return Ok(None);
        }
        Ok(Some(Found { model, settings }))
    }

    /// What was typed of a unit, but for its net and picture.
    fn typed(&self, index: usize) -> UnitText {
        let resolution = self.control_processor_res.get(index).copied();
        UnitText {
            module: self.control_module.get(index).cloned(),
            weight: self.control_weight.get(index).copied(),
            resize: self.control_resize_mode.get(index).copied(),
            processor_res: resolution.filter(|pixels| *pixels > 0).map(u32::from),
            pixel_perfect: resolution.map(|pixels| pixels == 0),
            threshold_a: self.control_threshold_a.get(index).copied(),
            threshold_b: self.control_threshold_b.get(index).copied(),
            start: self.control_guidance_start.get(index).copied(),
            end: self.control_guidance_end.get(index).copied(),
            mode: self.control_mode.get(index).copied(),
            ..UnitText::default()
        }
    }

    /// The file that was typed as a path, or as a name in the folders.
    fn named(&self, path: &Path) -> Result<PathBuf> {
        if path.exists() || self.control_dir.is_empty() {
            return Ok(path.to_owned());
        }
        self.within(&path.to_string_lossy()).context("--control_model")
    }

    /// The net of this name in the folders.
    fn within(&self, name: &str) -> Result<PathBuf> {
        let suffixes = &["safetensors", "pth", "pt", "ckpt"];
        find_within(name, Search { what: "ControlNet", option: "--control_dir", folders: &self.control_dir, suffixes })
    }
}

/// Whether a hash is that of nothing: the file is too small for the old hash.
fn is_of_nothing(hash: &str) -> bool {
    hash.starts_with("e3b0c442")
}
