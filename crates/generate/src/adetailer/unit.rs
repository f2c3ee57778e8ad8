//! What is asked of one detector: ADetailer's settings of a tab, and its keys in a picture's text.

use std::path::{Path, PathBuf};

use lorabake_pixels::{Gray, Rgb};

use super::boxes::{Choice, KeepBy, choose};
use super::denoise::dynamic_denoise;
use super::finder::FoundArea;
use super::regions::{MaskShape, Merge, Region, regions};
use crate::control::UnitText;
use crate::from_settings::Originals;
use crate::png_text::{Entries, PictureSettings, Value};

/// One detector and what is done with what it finds.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// The detector's file.
    pub model: PathBuf,
    /// Classes that count; none = all.
    pub classes: Vec<String>,
    /// The prompts of the areas, as [`super::prompts()`] reads them; empty = the picture's.
    pub prompt: String,
    /// Their negative prompts; empty = the picture's.
    pub negative_prompt: String,
    /// What the detector is less sure of is left out.
    pub confidence: f64,
    /// Which of what is found counts.
    pub choice: Choice,
    /// How masks are changed.
    pub shape: MaskShape,
    /// Pixels by which masks are blurred.
    pub mask_blur: f64,
    /// How much is painted anew, 0 to 1.
    pub denoise: f64,
    /// How that depends on the area's size: [`dynamic_denoise`].
    pub denoise_power: f64,
    /// Pixels around an area that are painted with it; `None` = the whole picture is painted.
    pub padding: Option<u32>,
    /// Width and height at which an area is painted, if not the picture's.
    pub size: Option<[usize; 2]>,
    /// What else of the picture's settings is another.
    pub instead: Instead,
    /// The networks that paint, if they are others than the picture's.
    pub own: OwnModel,
    /// A ControlNet, which follows the picture itself.
    pub control: Option<DetailControl>,
}

/// Networks of a unit's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnModel {
    /// The checkpoint.
    pub checkpoint: Option<PathBuf>,
    /// The VAE.
    pub vae: Option<PathBuf>,
}

/// A ControlNet of a unit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DetailControl {
    /// The net's file.
    pub model: PathBuf,
    /// How it acts.
    pub settings: UnitText,
}

/// Settings that are others than the picture's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Instead {
    /// Steps.
    pub steps: Option<usize>,
    /// Guidance.
    pub cfg_scale: Option<f64>,
    /// The sampler.
    pub sampler: Option<String>,
    /// Its schedule.
    pub scheduler: Option<String>,
    /// What scales the initial noise.
    pub noise_multiplier: Option<f64>,
    /// Layers of the text encoder.
    pub clip_skip: Option<usize>,
}

impl Unit {
    /// ADetailer's defaults with the detector at `model`.
    pub fn new(model: PathBuf) -> Self {
        Self {
            model,
            classes: Vec::new(),
            prompt: String::new(),
            negative_prompt: String::new(),
            confidence: 0.3,
            choice: Choice::default(),
            shape: MaskShape::default(),
            mask_blur: 4.0,
            denoise: 0.4,
            denoise_power: 0.0,
            padding: Some(32),
            size: None,
            instead: Instead::default(),
            own: OwnModel::default(),
            control: None,
        }
    }

    /// The areas that are painted anew of a picture of `size`, in order.
    pub fn areas(&self, found: &[FoundArea], size: [usize; 2]) -> Vec<Region> {
        let mut counted = Vec::new();
        for area in found {
            if self.classes.is_empty() || self.classes.contains(&area.class) {
                counted.push(area);
            }
        }
        let detections: Vec<_> = counted.iter().map(|area| area.detection).collect();
        let mut chosen = Vec::new();
        for index in choose(&detections, size, &self.choice) {
            let area = counted[index];
            chosen.push(Region { mask: area.mask.clone(), bounds: area.detection.bounds });
        }
        regions(&chosen, self.shape)
    }

    /// The settings of the area with the number `index`: those of the picture with this unit's, to be painted from `image`.
    pub fn settings(
        &self,
        picture: &PictureSettings,
        region: &Region,
        index: usize,
        prompts: [String; 2],
    ) -> PictureSettings {
        let mut settings = picture.clone();
        let [prompt, negative_prompt] = prompts;
        settings.prompt = Some(prompt);
        settings.negative_prompt = Some(negative_prompt);
        let size = [region.mask.width, region.mask.height];
        let denoise = dynamic_denoise(self.denoise, self.denoise_power, region.bounds, size);
        settings.denoising_strength = Some(denoise.clamp(0.0, 1.0));
        if let Some([width, height]) = self.size {
            settings.width = Some(width);
            settings.height = Some(height);
        }
        settings.hires = Default::default();
        settings.mask = Default::default();
        settings.mask.blur = Some(self.mask_blur);
        settings.mask.only_masked = Some(self.padding.is_some());
        settings.mask.padding = self.padding.map(|padding| padding as usize);
        settings.mask.conditional_weight = picture.mask.conditional_weight;
        let sampling = &mut settings.sampling;
        let later = |seed: Option<u64>| seed.map(|seed| seed.saturating_add(index as u64));
        sampling.seed = later(sampling.seed);
        sampling.variation_seed = later(sampling.variation_seed);
        let Instead { steps, cfg_scale, sampler, scheduler, noise_multiplier, clip_skip } = &self.instead;
        sampling.steps = steps.or(sampling.steps);
        sampling.cfg_scale = cfg_scale.or(sampling.cfg_scale);
        if let Some(sampler) = sampler {
            sampling.sampler = Some(sampler.clone());
            sampling.scheduler = scheduler.clone();
        } else if scheduler.is_some() {
            sampling.scheduler = scheduler.clone();
        }
        sampling.noise_multiplier = noise_multiplier.or(sampling.noise_multiplier);
        settings.clip_skip = clip_skip.or(settings.clip_skip);
        settings
    }

    /// What an area is painted from.
    ///
    /// # Errors
    /// What its ControlNet cannot do.
    pub fn originals(&self, image: Rgb, region: &Region, picture: &Originals) -> Result<Originals, String> {
        let mask = &region.mask;
        let gray = Gray { width: mask.width as u32, height: mask.height as u32, data: mask.values.clone() };
        let mut control = Vec::new();
        if let Some(DetailControl { model, settings }) = &self.control {
            control.push(settings.unit(model.clone(), image.clone())?);
        }
        let step_rule = picture.step_rule;
        Ok(Originals { image: Some(image), mask: Some(gray), step_rule, control, ..Originals::default() })
    }

    /// Puts the settings into a picture's text as ADetailer does; the second unit has the number 1.
    pub fn put(&self, entries: &mut Entries, number: usize) {
        let behind = match number {
            0 => String::new(),
            1 => " 2nd".to_owned(),
            2 => " 3rd".to_owned(),
            _ => format!(" {}th", number + 1),
        };
        let mut put = |key: &str, value: Value| entries.put(&format!("ADetailer {key}{behind}"), value);
        put("model", Value::Text(file_name(&self.model)));
        for (key, text) in [
            ("model classes", self.classes.join(",")),
            ("prompt", self.prompt.clone()),
            ("negative prompt", self.negative_prompt.clone()),
        ] {
            if !text.is_empty() {
                put(key, Value::Text(text));
            }
        }
        put("confidence", Value::Float(self.confidence));
        if self.choice.most > 0 {
            let by = if self.choice.by == KeepBy::Area { "Area" } else { "Confidence" };
            put("method to decide top k masks", Value::Text(by.to_owned()));
            put("mask only top k", Value::Whole(self.choice.most as i64));
        }
        if self.choice.least_area > 0.0 {
            put("mask min ratio", Value::Float(self.choice.least_area));
        }
        if self.choice.largest_area < 1.0 {
            put("mask max ratio", Value::Float(self.choice.largest_area));
        }
        for (key, pixels) in [("x offset", self.shape.right), ("y offset", self.shape.up)] {
            if pixels != 0 {
                put(key, Value::Whole(pixels));
            }
        }
        put("dilate erode", Value::Whole(self.shape.grow.into()));
        match self.shape.merge {
            Merge::None => {}
            Merge::Merge => put("mask merge invert", Value::Text("Merge".to_owned())),
            Merge::MergeAndInvert => put("mask merge invert", Value::Text("Merge and Invert".to_owned())),
        }
        put("mask blur", Value::short(self.mask_blur));
        put("denoising strength", Value::short(self.denoise));
        if let Some(padding) = self.padding {
            put("inpaint only masked", Value::Flag(true));
            put("inpaint padding", Value::Whole(padding.into()));
        }
        self.put_instead(&mut put);
    }

    fn put_instead(&self, put: &mut impl FnMut(&str, Value)) {
        if let Some([width, height]) = self.size {
            put("use inpaint width height", Value::Flag(true));
            put("inpaint width", Value::Whole(width as i64));
            put("inpaint height", Value::Whole(height as i64));
        }
        let Instead { steps, cfg_scale, sampler, scheduler, noise_multiplier, clip_skip } = &self.instead;
        if let Some(steps) = steps {
            put("use separate steps", Value::Flag(true));
            put("steps", Value::Whole(*steps as i64));
        }
        if let Some(scale) = cfg_scale {
            put("use separate CFG scale", Value::Flag(true));
            put("CFG scale", Value::short(*scale));
        }
        if let Some(checkpoint) = &self.own.checkpoint {
            put("use separate checkpoint", Value::Flag(true));
            put("checkpoint", Value::Text(file_name(checkpoint)));
        }
        if let Some(vae) = &self.own.vae {
            put("use separate VAE", Value::Flag(true));
            put("VAE", Value::Text(file_name(vae)));
        }
        if let Some(sampler) = sampler {
            put("use separate sampler", Value::Flag(true));
            put("sampler", Value::Text(sampler.clone()));
            put("scheduler", Value::Text(scheduler.clone().unwrap_or_else(|| "Use same scheduler".to_owned())));
        }
        if let Some(multiplier) = noise_multiplier {
            put("use separate noise multiplier", Value::Flag(true));
            put("noise multiplier", Value::short(*multiplier));
        }
        if let Some(skip) = clip_skip {
            put("use separate CLIP skip", Value::Flag(true));
            put("CLIP skip", Value::Whole(*skip as i64));
        }
        self.put_control(put);
    }

    /// What is as usual is left out.
    fn put_control(&self, put: &mut impl FnMut(&str, Value)) {
        let Some(DetailControl { model, settings }) = &self.control else { return };
        let stem = model.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        put("ControlNet model", Value::Text(stem));
        if let Some(module) = settings.module.as_deref().filter(|module| *module != "none") {
            put("ControlNet module", Value::Text(module.to_owned()));
        }
        for (key, value, usual) in [
            ("ControlNet weight", settings.weight, 1.0),
            ("ControlNet guidance start", settings.start, 0.0),
            ("ControlNet guidance end", settings.end, 1.0),
        ] {
            if let Some(value) = value.filter(|value| *value != usual) {
                put(key, Value::short(value));
            }
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::png_text::Fields;

    #[test]
    fn the_text_is_that_of_adetailer() {
        let mut fields = Fields { prompt: "a".into(), version: None, ..Fields::default() };
        let unit = Unit::new(PathBuf::from("models/face_yolov8n.onnx"));
        unit.put(&mut fields.extra, 0);
        let mut second = Unit { prompt: "b, c".to_owned(), padding: None, ..unit };
        second.choice.most = 2;
        second.instead.steps = Some(28);
        second.put(&mut fields.extra, 1);
        let text = fields.text();
        let (_, own) = text.split_once("ADetailer model: ").unwrap();
        let expected = "face_yolov8n.onnx, ADetailer confidence: 0.3, ADetailer dilate erode: 4, ADetailer mask blur: 4, ADetailer \
             denoising strength: 0.4, ADetailer inpaint only masked: True, ADetailer inpaint padding: 32, ADetailer model 2nd: face_yolov8n.onnx, ADetailer prompt 2nd: \"b, c\", ADetailer confidence 2nd: 0.3, \
             ADetailer method to decide top k masks 2nd: Area, ADetailer mask only top k 2nd: 2, ADetailer dilate erode 2nd: 4, \
             ADetailer mask blur 2nd: 4, ADetailer denoising strength 2nd: 0.4, ADetailer use separate steps 2nd: True, ADetailer \
             steps 2nd: 28";
        assert_eq!(own, expected);
    }

    #[test]
    fn areas_have_the_pictures_settings_with_their_own() {
        let picture = PictureSettings {
            sampling: crate::png_text::SamplingSettings { seed: Some(7), steps: Some(20), ..Default::default() },
            width: Some(64),
            ..PictureSettings::default()
        };
        let mask = super::super::AreaMask::rectangle(64, 64, [0.0, 0.0, 31.0, 63.0]);
        let region = Region { mask, bounds: [0.0, 0.0, 32.0, 64.0] };
        let unit = Unit { denoise_power: 1.0, ..Unit::new(PathBuf::from("f.onnx")) };
        let settings = unit.settings(&picture, &region, 2, ["a".to_owned(), "b".to_owned()]);
        assert_eq!(settings.sampling.seed, Some(9));
        assert_eq!(settings.denoising_strength, Some(0.2));
        assert_eq!((settings.width, settings.mask.padding), (Some(64), Some(32)));
    }
}
