//! Options of `lorabake generate` for faces and other details that are painted again. Each may be given several times: the
//! first of each belong together.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lorabake_generate::adetailer::{Choice, Instead, KeepBy, MaskShape, Merge, OpenUnit, Order, Unit};

use crate::picture_args::values;

/// What is found and painted again.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "Details (ADetailer)")]
pub struct DetailerArgs {
    /// Detector of faces, hands or people (YOLOv8 as .onnx, or ultralytics' .pt): each that it finds is painted again, larger.
    /// May be given several times, as may the options below: the first of each belong together.
    #[arg(long, value_name = "FILE", alias = "ad_model")]
    pub detailer: Vec<PathBuf>,
    /// What is painted there: empty = the picture's prompt, `[PROMPT]` stands for it, `[SEP]` is between the prompts of the
    /// areas, `[SKIP]` alone leaves an area out.
    #[arg(long, value_name = "TEXT", alias = "ad_prompt", allow_hyphen_values = true)]
    pub detailer_prompt: Vec<String>,
    /// What it should not show, likewise.
    #[arg(long, value_name = "TEXT", alias = "ad_negative_prompt", allow_hyphen_values = true)]
    pub detailer_negative_prompt: Vec<String>,
    /// Classes that count, separated by commas, if the detector knows several.
    #[arg(long, value_name = "NAMES", alias = "ad_model_classes")]
    pub detailer_classes: Vec<String>,
    /// How sure the detector has to be, from 0 to 1. [default: 0.3]
    #[arg(long, value_name = "SHARE", alias = "ad_confidence", value_parser = values::share)]
    pub detailer_confidence: Vec<f64>,
    /// So many areas at most, 0 = all. [default: 0]
    #[arg(long, value_name = "AREAS", alias = "ad_mask_k")]
    pub detailer_most: Vec<usize>,
    /// Which those are: area (the largest) or confidence (the surest). [default: area]
    #[arg(long, value_name = "WHICH", alias = "ad_mask_filter_method", ignore_case = true, value_parser = ["area", "confidence"])]
    pub detailer_keep: Vec<String>,
    /// The order of areas: none, left_to_right, center_to_edge or area. [default: none, the surest first]
    #[arg(long, value_name = "ORDER", alias = "ad_bbox_sortby", value_parser = ["none", "left_to_right", "center_to_edge", "area"])]
    pub detailer_order: Vec<String>,
    /// Smallest share of the picture that an area may have. [default: 0]
    #[arg(long, value_name = "SHARE", alias = "ad_mask_min_ratio", value_parser = values::share)]
    pub detailer_min_share: Vec<f64>,
    /// Largest share of the picture that an area may have. [default: 1]
    #[arg(long, value_name = "SHARE", alias = "ad_mask_max_ratio", value_parser = values::share)]
    pub detailer_max_share: Vec<f64>,
    /// Moves masks to the right. [default: 0]
    #[arg(long, value_name = "PIXELS", alias = "ad_x_offset", value_parser = clap::value_parser!(i64).range(-4096..=4096))]
    pub detailer_right: Vec<i64>,
    /// Moves masks up. [default: 0]
    #[arg(long, value_name = "PIXELS", alias = "ad_y_offset", value_parser = clap::value_parser!(i64).range(-4096..=4096))]
    pub detailer_up: Vec<i64>,
    /// Makes masks larger, or smaller if negative. [default: 4]
    #[arg(long, value_name = "PIXELS", alias = "ad_dilate_erode", value_parser = clap::value_parser!(i32).range(-1024..=1024))]
    pub detailer_grow: Vec<i32>,
    /// Whether masks become one: none, merge, or merge_and_invert (all but what was found). [default: none]
    #[arg(long, value_name = "WAY", alias = "ad_mask_merge_invert", value_parser = ["none", "merge", "merge_and_invert"])]
    pub detailer_merge: Vec<String>,
    /// Blur of masks' edges in pixels. [default: 4]
    #[arg(long, value_name = "PIXELS", alias = "ad_mask_blur", value_parser = clap::value_parser!(u8).range(0..=64))]
    pub detailer_blur: Vec<u8>,
    /// How much of an area is changed, from 0 to 1. [default: 0.4]
    #[arg(long, value_name = "SHARE", alias = "ad_denoising_strength", value_parser = values::share)]
    pub detailer_denoise: Vec<f64>,
    /// Changes large areas less: the strength times (1 − share of the picture) to this power. [default: 0]
    #[arg(long, value_name = "POWER", alias = "ad_dynamic_denoise_power", value_parser = power)]
    pub detailer_denoise_power: Vec<f64>,
    /// Paints the area's surroundings at full size and puts them back (true), or the whole picture with a mask (false).
    /// [default: true]
    #[arg(long, value_name = "true|false", alias = "ad_inpaint_only_masked", ignore_case = true, value_parser = clap::builder::BoolishValueParser::new())]
    pub detailer_only_masked: Vec<bool>,
    /// Pixels around an area that are painted with it. [default: 32]
    #[arg(long, value_name = "PIXELS", alias = "ad_inpaint_only_masked_padding", value_parser = clap::value_parser!(u16).range(0..=256))]
    pub detailer_padding: Vec<u16>,
    /// Width at which an area is painted. [default: the picture's]
    #[arg(long, value_name = "PIXELS", alias = "ad_inpaint_width", value_parser = clap::value_parser!(u32).range(64..=4096))]
    pub detailer_width: Vec<u32>,
    /// Height at which an area is painted. [default: the picture's]
    #[arg(long, value_name = "PIXELS", alias = "ad_inpaint_height", value_parser = clap::value_parser!(u32).range(64..=4096))]
    pub detailer_height: Vec<u32>,
    /// Steps. [default: the picture's]
    #[arg(long, value_name = "STEPS", alias = "ad_steps", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub detailer_steps: Vec<u16>,
    /// Guidance. [default: the picture's]
    #[arg(long, value_name = "SCALE", alias = "ad_cfg_scale", value_parser = values::scale)]
    pub detailer_cfg_scale: Vec<f64>,
    /// Sampler. [default: the picture's]
    #[arg(long, value_name = "NAME", alias = "ad_sampler")]
    pub detailer_sampler: Vec<String>,
    /// Its schedule. [default: the picture's]
    #[arg(long, value_name = "NAME", alias = "ad_scheduler")]
    pub detailer_scheduler: Vec<String>,
    /// Scales the initial noise. [default: the picture's]
    #[arg(long, value_name = "NUMBER", alias = "ad_noise_multiplier", value_parser = values::number)]
    pub detailer_noise_multiplier: Vec<f64>,
    /// The layer of the text encoder that counts, from its end. [default: the picture's]
    #[arg(long, value_name = "LAYERS", alias = "ad_clip_skip", value_parser = clap::value_parser!(u8).range(1..=12))]
    pub detailer_clip_skip: Vec<u8>,
}

fn power(text: &str) -> Result<f64, String> {
    let power = text.parse().ok().filter(|power: &f64| (-10.0..=10.0).contains(power));
    power.ok_or_else(|| "it is not a number from -10 to 10".to_owned())
}

impl DetailerArgs {
    /// The detectors with what is asked of them.
    ///
    /// # Errors
    /// When an option is given more often than there are detectors, or a detector is none.
    pub fn units(&self) -> Result<Vec<OpenUnit>> {
        self.check_counts()?;
        let mut units = Vec::new();
        for (index, path) in self.detailer.iter().enumerate() {
            if path.to_string_lossy().starts_with("mediapipe_") {
                bail!(
                    "--detailer {}: MediaPipe's are not built in; name a YOLOv8 file, such as face_yolov8n.pt",
                    path.display()
                );
            }
            let path = values::there("--detailer", path)?;
            let unit = self.unit(path.to_owned(), index);
            units.push(OpenUnit::open(unit).context("--detailer")?);
        }
        Ok(units)
    }

    fn unit(&self, model: PathBuf, index: usize) -> Unit {
        let plain = Unit::new(model);
        let classes = self.detailer_classes.get(index).map_or("", String::as_str);
        let is_whole = self.detailer_only_masked.get(index) == Some(&false);
        let padding = self.detailer_padding.get(index).map_or(plain.padding, |padding| Some((*padding).into()));
        let width = self.detailer_width.get(index);
        let height = self.detailer_height.get(index).or(width);
        let size = width.or(height).zip(height).map(|(width, height)| [*width as usize, *height as usize]);
        Unit {
            classes: classes.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect(),
            prompt: self.detailer_prompt.get(index).cloned().unwrap_or_default(),
            negative_prompt: self.detailer_negative_prompt.get(index).cloned().unwrap_or_default(),
            confidence: self.detailer_confidence.get(index).copied().unwrap_or(plain.confidence),
            choice: self.choice(index),
            shape: self.shape(index),
            mask_blur: self.detailer_blur.get(index).map_or(plain.mask_blur, |blur| (*blur).into()),
            denoise: self.detailer_denoise.get(index).copied().unwrap_or(plain.denoise),
            denoise_power: self.detailer_denoise_power.get(index).copied().unwrap_or(plain.denoise_power),
            padding: if is_whole { None } else { padding },
            size,
            instead: Instead {
                steps: self.detailer_steps.get(index).map(|steps| usize::from(*steps)),
                cfg_scale: self.detailer_cfg_scale.get(index).copied(),
                sampler: self.detailer_sampler.get(index).cloned(),
                scheduler: self.detailer_scheduler.get(index).cloned(),
                noise_multiplier: self.detailer_noise_multiplier.get(index).copied(),
                clip_skip: self.detailer_clip_skip.get(index).map(|layers| usize::from(*layers)),
            },
            ..plain
        }
    }

    fn choice(&self, index: usize) -> Choice {
        let plain = Choice::default();
        Choice {
            least_area: self.detailer_min_share.get(index).copied().unwrap_or(plain.least_area),
            largest_area: self.detailer_max_share.get(index).copied().unwrap_or(plain.largest_area),
            most: self.detailer_most.get(index).copied().unwrap_or(plain.most),
            by: match self.detailer_keep.get(index).map(String::as_str) {
                Some(name) if name.eq_ignore_ascii_case("confidence") => KeepBy::Confidence,
                _ => KeepBy::Area,
            },
            order: match self.detailer_order.get(index).map(String::as_str) {
                Some("left_to_right") => Order::LeftToRight,
                Some("center_to_edge") => Order::CenterToEdge,
                Some("area") => Order::Area,
                _ => Order::None,
            },
        }
    }

    fn shape(&self, index: usize) -> MaskShape {
        let plain = MaskShape::default();
        MaskShape {
            right: self.detailer_right.get(index).copied().unwrap_or(plain.right),
            up: self.detailer_up.get(index).copied().unwrap_or(plain.up),
            grow: self.detailer_grow.get(index).copied().unwrap_or(plain.grow),
            merge: match self.detailer_merge.get(index).map(String::as_str) {
                Some("merge") => Merge::Merge,
                Some("merge_and_invert") => Merge::MergeAndInvert,
                _ => Merge::None,
            },
        }
    }

    /// Refuses options that no detector is left for.
    fn check_counts(&self) -> Result<()> {
        let detectors = self.detailer.len();
        for (option, given) in [
            ("prompt", self.detailer_prompt.len()),
            ("negative_prompt", self.detailer_negative_prompt.len()),
            ("classes", self.detailer_classes.len()),
            ("confidence", self.detailer_confidence.len()),
            ("most", self.detailer_most.len()),
            ("keep", self.detailer_keep.len()),
            ("order", self.detailer_order.len()),
            ("min_share", self.detailer_min_share.len()),
            ("max_share", self.detailer_max_share.len()),
            ("right", self.detailer_right.len()),
            ("up", self.detailer_up.len()),
            ("grow", self.detailer_grow.len()),
            ("merge", self.detailer_merge.len()),
            ("blur", self.detailer_blur.len()),
            ("denoise", self.detailer_denoise.len()),
            ("denoise_power", self.detailer_denoise_power.len()),
            ("only_masked", self.detailer_only_masked.len()),
            ("padding", self.detailer_padding.len()),
            ("width", self.detailer_width.len()),
            ("height", self.detailer_height.len()),
            ("steps", self.detailer_steps.len()),
            ("cfg_scale", self.detailer_cfg_scale.len()),
            ("sampler", self.detailer_sampler.len()),
            ("scheduler", self.detailer_scheduler.len()),
            ("noise_multiplier", self.detailer_noise_multiplier.len()),
            ("clip_skip", self.detailer_clip_skip.len()),
        ] {
            if given > 0 && detectors == 0 {
                bail!("--detailer_{option}: there is no detector; give --detailer FILE");
            }
            if given > detectors {
                bail!(
                    "--detailer_{option} is given {given} times for {detectors} detectors; leave out what is too much"
                );
            }
        }
        Ok(())
    }
}
