//! Options of the commands that paint for ControlNet. Each may be given several times: the first of each belong together.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lorabake_generate::control::{ControlResize, ControlUnit, Preprocessor};
use lorabake_model::control::Mode;
use lorabake_pixels::decode::decode;

/// ControlNets, which act together.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "ControlNet")]
pub struct ControlArgs {
    /// ControlNet, a .safetensors or .pth file; may be given several times, as may the options below: the first of each
    /// belong together.
    #[arg(long, value_name = "FILE")]
    pub control_model: Vec<PathBuf>,
    /// The picture that it follows.
    #[arg(long, value_name = "FILE", requires = "control_model")]
    pub control_image: Vec<PathBuf>,
    /// What is made of the picture first: none, canny, invert, threshold, tile_resample, scribble_xdog, blur_gaussian,
    /// lineart_standard, … [default: none]
    #[arg(long, value_name = "NAME", requires = "control_model")]
    pub control_module: Vec<String>,
    /// How strongly it acts, from 0 to 2. [default: 1]
    #[arg(long, value_name = "WEIGHT", requires = "control_model")]
    pub control_weight: Vec<f64>,
    /// Share of the steps at which it begins. [default: 0]
    #[arg(long, value_name = "SHARE", requires = "control_model", value_parser = super::values::share)]
    pub control_guidance_start: Vec<f64>,
    /// Share of the steps at which it ends. [default: 1]
    #[arg(long, value_name = "SHARE", requires = "control_model", value_parser = super::values::share)]
    pub control_guidance_end: Vec<f64>,
    /// Which is more important: balanced, prompt or control. [default: balanced]
    #[arg(long, value_name = "MODE", requires = "control_model")]
    pub control_mode: Vec<String>,
    /// How its picture comes to the wanted size: just_resize, crop_and_resize or resize_and_fill.
    /// [default: crop_and_resize]
    #[arg(long, value_name = "MODE", requires = "control_model")]
    pub control_resize_mode: Vec<String>,
    /// Pixels of the shorter side at which its preprocessor works; 0 = as the picture wants it. [default: 512]
    #[arg(long, value_name = "PIXELS", requires = "control_model")]
    pub control_processor_res: Vec<u16>,
    /// First number of its preprocessor, for instance canny's low threshold.
    #[arg(long, value_name = "NUMBER", requires = "control_model")]
    pub control_threshold_a: Vec<f64>,
    /// Second number of its preprocessor, for instance canny's high threshold.
    #[arg(long, value_name = "NUMBER", requires = "control_model")]
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

impl ControlArgs {
    /// The ControlNets with their pictures.
    ///
    /// # Errors
    /// When something is missing, or a picture cannot be read.
    pub fn units(&self) -> Result<Units> {
        let models = self.control_model.len();
        if self.control_image.len() != models {
            bail!(
                "--control_model is given {models} times and --control_image {} times; give both equally often",
                self.control_image.len()
            );
        }
        self.check_counts(models)?;
        let mut units = Units::default();
        for index in 0..models {
            let unit = self.unit(index)?;
            units.texts.push(self.text(index, &unit));
            units.control.push(unit);
        }
        Ok(units)
    }

    /// Refuses options that no model is left for.
    fn check_counts(&self, models: usize) -> Result<()> {
        for (option, given) in [
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
            if given > models {
                bail!("{option} is given {given} times and --control_model {models} times; leave out what is too much");
            }
        }
        Ok(())
    }

    fn unit(&self, index: usize) -> Result<ControlUnit> {
        let path = &self.control_image[index];
        let image = decode(path).context("--control_image")?.image;
        let name = self.control_module.get(index).map_or("none", String::as_str);
        let numbers = [self.control_threshold_a.get(index).copied(), self.control_threshold_b.get(index).copied()];
        let Some(preprocessor) = Preprocessor::of_name(name, numbers[0], numbers[1]) else {
            bail!(
                "--control_module: there is no `{name}`; use none, canny, invert, threshold, tile_resample, \
                 scribble_xdog, blur_gaussian, lineart_standard, recolor_luminance or recolor_intensity"
            )
        };
        let weight = self.control_weight.get(index).copied().unwrap_or(1.0);
        if !(0.0..=2.0).contains(&weight) {
            bail!("--control_weight {weight}: it is not a number from 0 to 2");
        }
        let unit = ControlUnit {
            model: self.control_model[index].clone(),
            image,
            preprocessor,
            processor_res: match self.control_processor_res.get(index) {
                Some(0) => None,
                Some(pixels) => Some(u32::from(*pixels)),
                None => Some(512),
            },
            resize: self.resize(index)?,
            weight,
            start: self.control_guidance_start.get(index).copied().unwrap_or(0.0),
            end: self.control_guidance_end.get(index).copied().unwrap_or(1.0),
            mode: self.mode(index)?,
        };
        if unit.start >= unit.end {
            bail!("--control_guidance_start {} is not before --control_guidance_end {}", unit.start, unit.end);
        }
        Ok(unit)
    }

    fn mode(&self, index: usize) -> Result<Mode> {
        match self.control_mode.get(index).map(String::as_str) {
            None | Some("balanced") => Ok(Mode::Balanced),
            Some("prompt") => Ok(Mode::Prompt),
            Some("control") => Ok(Mode::Control),
            Some(other) => bail!("--control_mode: there is no `{other}`; use balanced, prompt or control"),
        }
    }

    fn resize(&self, index: usize) -> Result<ControlResize> {
        match self.control_resize_mode.get(index).map(String::as_str) {
            Some("just_resize") => Ok(ControlResize::JustResize),
            None | Some("crop_and_resize") => Ok(ControlResize::CropAndResize),
            Some("resize_and_fill") => Ok(ControlResize::ResizeAndFill),
            Some(other) => bail!(
                "--control_resize_mode: there is no `{other}`; use just_resize, crop_and_resize or resize_and_fill"
            ),
        }
    }

    /// What sd-webui-controlnet writes of a unit.
    fn text(&self, index: usize, unit: &ControlUnit) -> String {
        let module = self.control_module.get(index).map_or("none", String::as_str);
        let model = unit.model.file_stem().unwrap_or_default().to_string_lossy();
        let mode = match unit.mode {
            Mode::Balanced => "Balanced",
            Mode::Prompt => "My prompt is more important",
            Mode::Control => "ControlNet is more important",
        };
        let resize = self.resize(index).unwrap_or_default().label();
        let pixel_perfect = if unit.processor_res.is_none() { "True" } else { "False" };
        let mut numbers = String::new();
        for (key, value) in [
            ("Processor Res", unit.processor_res.map(f64::from)),
            ("Threshold A", self.control_threshold_a.get(index).copied()),
            ("Threshold B", self.control_threshold_b.get(index).copied()),
        ] {
            if let Some(value) = value {
                let value = if key == "Processor Res" { value.to_string() } else { format!("{value:?}") };
                numbers += &format!("{key}: {value}, ");
            }
        }
        format!(
            "Module: {module}, Model: {model}, Weight: {:?}, Resize Mode: {resize}, {numbers}Guidance Start: {:?}, Guidance \
             End: {:?}, Pixel Perfect: {pixel_perfect}, Control Mode: {mode}",
            unit.weight, unit.start, unit.end
        )
    }
}
