//! Options of `lorabake generate` for faces and other details that are painted again. Each may be given several times: the
//! first of each belong together.

use std::path::PathBuf;

use anyhow::{Result, bail};

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
    /// Checkpoint that paints details, a file or a folder, or `same`. It stays in memory beside the picture's. [default: the
    /// picture's]
    #[arg(long, value_name = "FILE|FOLDER", alias = "ad_checkpoint")]
    pub detailer_checkpoint: Vec<PathBuf>,
    /// VAE of details, or `same`; with it the checkpoint is in memory twice. [default: the picture's]
    #[arg(long, value_name = "FILE|FOLDER", alias = "ad_vae")]
    pub detailer_vae: Vec<PathBuf>,
    /// ControlNet that acts on details and follows the picture itself, or `none`.
    #[arg(long, value_name = "FILE", alias = "ad_controlnet_model")]
    pub detailer_control_model: Vec<PathBuf>,
    /// What is made of the picture first, as for --control_module. [default: none]
    #[arg(long, value_name = "NAME", alias = "ad_controlnet_module")]
    pub detailer_control_module: Vec<String>,
    /// How strongly it acts, from 0 to 2. [default: 1]
    #[arg(long, value_name = "WEIGHT", alias = "ad_controlnet_weight")]
    pub detailer_control_weight: Vec<f64>,
    /// Share of the steps at which it begins. [default: 0]
    #[arg(long, value_name = "SHARE", alias = "ad_controlnet_guidance_start", value_parser = values::share)]
    pub detailer_control_guidance_start: Vec<f64>,
    /// Share of the steps at which it ends. [default: 1]
    #[arg(long, value_name = "SHARE", alias = "ad_controlnet_guidance_end", value_parser = values::share)]
    pub detailer_control_guidance_end: Vec<f64>,
    /// Folder of detectors, in which those that the picture of --like names are looked up; may be given several times.
    #[arg(long, value_name = "FOLDER")]
    pub detailer_dir: Vec<PathBuf>,
}

fn power(text: &str) -> Result<f64, String> {
    let power = text.parse().ok().filter(|power: &f64| (-10.0..=10.0).contains(power));
    power.ok_or_else(|| "it is not a number from -10 to 10".to_owned())
}

impl DetailerArgs {
    /// Refuses options that none of the `detectors` is left for.
    ///
    /// # Errors
    /// The first such option.
    pub fn check_counts(&self, detectors: usize) -> Result<()> {
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
            ("checkpoint", self.detailer_checkpoint.len()),
            ("vae", self.detailer_vae.len()),
            ("control_model", self.detailer_control_model.len()),
            ("control_module", self.detailer_control_module.len()),
            ("control_weight", self.detailer_control_weight.len()),
            ("control_guidance_start", self.detailer_control_guidance_start.len()),
            ("control_guidance_end", self.detailer_control_guidance_end.len()),
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
