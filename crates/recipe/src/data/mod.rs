//! Image folders, aspect buckets, augmentations and masks.

pub mod caches;
pub mod captions;
pub mod dataset_facts;
mod hold_out;
pub mod options;
pub mod validation;

use std::path::PathBuf;

use crate::model::{Family, Model, unit};
use crate::report::Report;
use captions::CaptionRules;
pub use hold_out::HoldOut;
use options::RawData;

/// Data section of a recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    /// Folder that holds `N_concept` folders (`--train_data_dir`).
    pub train_dir: PathBuf,
    /// Folder that holds `N_class` folders of regularization images (`--reg_data_dir`).
    pub reg_dir: Option<PathBuf>,
    /// Suffix of caption files with its dot; `None` = `.txt`, then `.caption` (`--caption_extension`).
    pub caption_extension: Option<String>,
    /// Training size in pixels, (width, height) (`--resolution`).
    pub resolution: (u32, u32),
    /// Aspect buckets, or `None` to bring every image to `resolution` (`--enable_bucket`).
    pub buckets: Option<Buckets>,
    /// Images per forward pass (`--train_batch_size`).
    pub batch_size: usize,
    /// What happens to a caption each time that it is used.
    pub captions: CaptionRules,
    /// Mirror each image with probability one half (`--flip_aug`).
    pub flip_aug: bool,
    /// Crop at another place at each use, not in the middle (`--random_crop`).
    pub random_crop: bool,
    /// Shift the hue a little, or change the gamma, at about one use in three (`--color_aug`).
    pub color_aug: bool,
    /// Crop around the face whose place is in the file's name, so that the image's shorter side is between these two times
    /// the face's longer side; `None` where it is off or cannot act (`--face_crop_aug_range`).
    pub face_crop: Option<(f64, f64)>,
    /// How regularization images and training images belong together (`--reg_pairing`).
    pub reg_pairing: RegPairing,
    /// What the loss is multiplied by, place by place (`--masked_loss`, `--alpha_mask`).
    pub mask: Option<Mask>,
    /// Keep one VAE sample per image, as sd-scripts does, instead of drawing a new one at each use (`--cache_latents`).
    pub cache_latents: bool,
    /// Which training images are held out for validation (`--validation_split`).
    pub hold_out: HoldOut,
    /// Folders with settings of their own, which take the place of `train_dir` and `reg_dir` (`--dataset_config`).
    pub config: Option<DatasetConfig>,
}

impl Data {
    /// Whether there are regularization images.
    pub fn has_reg(&self) -> bool {
        let subsets = self.config.iter().flat_map(|config| &config.subsets);
        self.reg_dir.is_some() || subsets.into_iter().any(|subset| subset.is_reg)
    }

    /// Whether images are to be held out for validation.
    pub fn holds_out(&self) -> bool {
        match &self.config {
            None => self.hold_out.share > 0.0,
            Some(config) => config.subsets.iter().any(|subset| !subset.is_reg && subset.settings.hold_out.share > 0.0),
        }
    }

    /// Makes `seed` the one that decides which images are held out, wherever none was given for that.
    pub fn split_by(&mut self, seed: u64) {
        self.hold_out.run_seed = seed;
        let subsets = self.config.iter_mut().flat_map(|config| &mut config.subsets);
        subsets.for_each(|subset| subset.settings.hold_out.run_seed = seed);
    }
}

/// What a `--dataset_config` file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetConfig {
    /// The file.
    pub file: PathBuf,
    /// The subsets, data set by data set.
    pub subsets: Vec<Subset>,
}

/// A folder of a `--dataset_config` file.
#[derive(Debug, Clone, PartialEq)]
pub struct Subset {
    /// The data set that it is part of, counted from 0. All subsets of one have the same size, buckets and batch size.
    pub dataset: usize,
    /// Uses of each image per epoch (`num_repeats`).
    pub repeats: u32,
    /// The caption of images that have none (`class_tokens`).
    pub class_tokens: String,
    /// Holds regularization images (`is_reg`).
    pub is_reg: bool,
    /// Everything else; `train_dir` is the folder of the images themselves.
    pub settings: Data,
}

/// How regularization images and training images belong together (`--reg_pairing`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegPairing {
    /// By number: the set is repeated or cut until it is as large as the training set, as in sd-scripts.
    Count,
    /// By file name: an image is used as often as the training image of the same name, with its caption if it has none.
    SameName,
}

/// Where the masks of the loss come from; white counts in full, black not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mask {
    /// Images of the same name in this folder (`--conditioning_data_dir`).
    Folder(PathBuf),
    /// The images' own alpha channels (`--alpha_mask`).
    Alpha,
}

/// Aspect-ratio bucketing as sd-scripts does it; sizes in pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets {
    /// Shortest side of a bucket (`--min_bucket_reso`).
    pub min: u32,
    /// Longest side of a bucket (`--max_bucket_reso`).
    pub max: u32,
    /// Bucket sides are multiples of this (`--bucket_reso_steps`).
    pub step: u32,
    /// Never enlarge an image; buckets then follow the images (`--bucket_no_upscale`).
    pub no_upscale: bool,
}

impl RawData {
    pub(crate) fn resolve(&self, model: &Model, captions: CaptionRules, report: &mut Report) -> Data {
        if self.train_data_dir.is_none() && self.dataset_config.is_none() {
            let remedy = "give the folder that holds your REPEATS_NAME folders, for instance one with 10_penny in it";
            report.problem("train_data_dir", "the folder of images is missing", remedy);
        }
        self.check_cache(report);
        let resolution = self.resolution(model, report);
        let buckets = self.buckets(resolution, model.family, report);
        let unit = unit(model.family);
        if buckets.is_none() && [resolution.0, resolution.1].iter().any(|side| side % unit != 0) {
            let unit = if model.family == Some(Family::Sdxl) { 32 } else { 64 };
            let what = format!("{} by {} is not a multiple of {unit} pixels", resolution.0, resolution.1);
            report.problem("resolution", what, "use sides such as 512, 576 or 768, or add --enable_bucket");
        }
        Data {
            train_dir: self.train_data_dir.clone().unwrap_or_default(),
            reg_dir: self.reg_data_dir.clone(),
            caption_extension: self.suffix(report),
            resolution,
            buckets,
            batch_size: report.count("train_batch_size", self.train_batch_size, 1) as usize,
            captions,
            flip_aug: self.flip_aug == Some(true),
            random_crop: self.random_crop == Some(true),
            color_aug: self.color_aug == Some(true),
            face_crop: self.face_crop(report),
            reg_pairing: self.reg_pairing(report),
            mask: self.mask(report),
            cache_latents: self.cache_latents == Some(true),
            hold_out: HoldOut::default(),
            config: None,
        }
    }

    /// What is drawn anew at each use cannot be encoded once for all.
    fn check_cache(&self, report: &mut Report) {
        if self.cache_latents != Some(true) {
            return;
        }
        if self.random_crop == Some(true) {
            let what = "with --cache_latents every image has one crop for the whole run";
            report.problem("random_crop", what, "leave one of them out");
        }
        if self.color_aug == Some(true) {
            let what = "with --cache_latents every image has the same colours for the whole run";
            report.problem("color_aug", what, "leave one of them out");
        }
    }

    fn face_crop(&self, report: &mut Report) -> Option<(f64, f64)> {
        const OPTION: &str = "face_crop_aug_range";
        let text = self.face_crop_aug_range.as_deref().filter(|text| !text.is_empty())?;
        let Some(range) = face_range(text) else {
            report.problem(OPTION, format!("`{text}` is not a range of sizes"), "write the least first, as in 2.0,4.0");
            return None;
        };
        if self.enable_bucket == Some(true) {
            let text = "has no effect with --enable_bucket, as in sd-scripts: buckets are not cropped to faces";
            report.note(OPTION, text);
            return None;
        }
        if self.cache_latents == Some(true) {
            report.note(OPTION, "has no effect with --cache_latents, as in sd-scripts: every image is cropped once");
            return None;
        }
        Some(range)
    }

    fn reg_pairing(&self, report: &mut Report) -> RegPairing {
        match self.reg_pairing.as_deref() {
            None | Some("" | "count") => RegPairing::Count,
            Some("same_name") => RegPairing::SameName,
            Some(other) => {
                report.problem("reg_pairing", format!("`{other}` is not a pairing"), "use count or same_name");
                RegPairing::Count
            }
        }
    }

    /// A folder of masks goes before alpha channels, as in sd-scripts.
    fn mask(&self, report: &mut Report) -> Option<Mask> {
        let masked = self.masked_loss == Some(true);
        let alpha = self.alpha_mask == Some(true);
        match &self.conditioning_data_dir {
            Some(dir) if masked => {
                if alpha {
                    report.note("alpha_mask", "has no effect, because masks are read from --conditioning_data_dir");
                }
                return Some(Mask::Folder(dir.clone()));
            }
            Some(_) => report.note("conditioning_data_dir", "has no effect without --masked_loss"),
            None if masked && !alpha => {
                report.note("masked_loss", "has no effect without --conditioning_data_dir or --alpha_mask");
            }
            None => {}
        }
        if alpha { Some(Mask::Alpha) } else { None }
    }

    fn suffix(&self, report: &mut Report) -> Option<String> {
        let new = &self.caption_extension;
        let old = &self.caption_extention;
        if new.is_some() && old.is_some() && new != old {
            let what = "it is the old spelling of --caption_extension, which says something else";
            report.problem("caption_extention", what, "leave it out");
        }
        let suffix = new.as_ref().or(old.as_ref())?;
        if suffix.starts_with('.') {
            return Some(suffix.clone());
        }
        report.note("caption_extension", format!("the dot is missing; .{suffix} is used"));
        Some(format!(".{suffix}"))
    }

    fn resolution(&self, model: &Model, report: &mut Report) -> (u32, u32) {
        let default = model.side();
        let Some(text) = &self.resolution else {
            // Which it is follows from the family.
            if model.family.is_some() {
                report.note("resolution", format!("not given, so {default} pixels are used"));
            }
            return (default, default);
        };
        let size = text.trim().trim_matches(['(', ')', '[', ']']);
        let (width, height) = size.split_once([',', 'x', 'X']).unwrap_or((size, size));
        if let (Some(width), Some(height)) = (side(width), side(height)) {
            return (width, height);
        }
        let what = format!("`{text}` is not a size in pixels between 64 and 4096");
        report.problem("resolution", what, "write 512, or 512,768 for width and height");
        (default, default)
    }

    fn buckets(&self, resolution: (u32, u32), family: Option<Family>, report: &mut Report) -> Option<Buckets> {
        if self.enable_bucket != Some(true) {
            let typed = [
                ("min_bucket_reso", self.min_bucket_reso.is_some()),
                ("max_bucket_reso", self.max_bucket_reso.is_some()),
                ("bucket_reso_steps", self.bucket_reso_steps.is_some()),
                ("bucket_no_upscale", self.bucket_no_upscale == Some(true)),
            ];
            for (option, is_typed) in typed {
                if is_typed {
                    report.note(option, "has no effect without --enable_bucket");
                }
            }
            return None;
        }
        let no_upscale = self.bucket_no_upscale == Some(true);
        let step = self.bucket_reso_steps.unwrap_or(64);
        let unit = unit(family);
        if !step.is_multiple_of(unit) || !(unit..=1024).contains(&step) {
            let name = if family == Some(Family::Sdxl) { "SDXL" } else { "Stable Diffusion 1.x" };
            let what = format!("{name} cannot be trained on multiples of {step} pixels");
            let remedy = if unit == 32 { "use 32, 64 or 128" } else { "use 64 or 128" };
            report.problem("bucket_reso_steps", what, format!("leave it out, or {remedy}"));
            return None;
        }
        let short = resolution.0.min(resolution.1);
        let long = resolution.0.max(resolution.1);
        let min = self.bucket_min(short, step, report);
        let max = self.bucket_max(long, step, report);
        if min > max {
            let what = format!("{min} is more than --max_bucket_reso, {max}");
            report.problem("min_bucket_reso", what, "at resolution 512 use for instance 320 and 960");
        } else if family.is_none() && self.resolution.is_none() {
            // The resolution follows from the family; these are looked at again once it is known.
        } else if min > short {
            let what = format!("{min} is more than the shorter side of --resolution, {short}");
            report.problem("min_bucket_reso", what, format!("use {short} or less"));
        } else if max < long {
            let what = format!("{max} is less than the longer side of --resolution, {long}");
            report.problem("max_bucket_reso", what, format!("use {long} or more"));
        }
        Some(Buckets { min, max, step, no_upscale })
    }

    /// Like sd-scripts, brings the shortest side down to a multiple of the step; a default follows a small resolution.
    fn bucket_min(&self, short: u32, step: u32, report: &mut Report) -> u32 {
        let wanted = self.min_bucket_reso.unwrap_or_else(|| short.min(256));
        let min = (wanted - wanted % step).max(step);
        if self.min_bucket_reso.is_none() && min < 256 {
            report.note("min_bucket_reso", format!("not given; {min} is used, because --resolution is {short}"));
        } else if min != wanted {
            report.note("min_bucket_reso", format!("{min} is used, a multiple of {step}"));
        }
        min
    }

    /// Like sd-scripts, brings the longest side up to a multiple of the step; a default follows a large resolution.
    fn bucket_max(&self, long: u32, step: u32, report: &mut Report) -> u32 {
        let wanted = self.max_bucket_reso.unwrap_or_else(|| long.max(1024)).clamp(step, 1 << 16);
        let max = wanted.next_multiple_of(step);
        if self.max_bucket_reso.is_none() && max > 1024 {
            report.note("max_bucket_reso", format!("not given; {max} is used, because --resolution is {long}"));
        } else if max != wanted {
            report.note("max_bucket_reso", format!("{max} is used, a multiple of {step}"));
        }
        max
    }
}

/// `2.0,4.0` as two numbers above 0, the least first.
fn face_range(text: &str) -> Option<(f64, f64)> {
    let (least, most) = text.split_once(',')?;
    let least: f64 = least.trim().parse().ok()?;
    let most: f64 = most.trim().parse().ok()?;
    let is_range = 0.0 < least && least <= most && most.is_finite();
    if is_range { Some((least, most)) } else { None }
}

/// A side in pixels, if it is one that can be trained on.
fn side(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|side| (64..=4096).contains(side))
}

impl From<&Data> for RawData {
    fn from(data: &Data) -> Self {
        let buckets = data.buckets.as_ref();
        let pairing = match data.reg_pairing {
            RegPairing::Count => None,
            RegPairing::SameName => Some("same_name".to_owned()),
        };
        Self {
            train_data_dir: if data.config.is_none() { Some(data.train_dir.clone()) } else { None },
            reg_data_dir: data.reg_dir.clone(),
            caption_extension: data.caption_extension.clone(),
            caption_extention: None,
            resolution: Some(format!("{},{}", data.resolution.0, data.resolution.1)),
            enable_bucket: Some(buckets.is_some()),
            min_bucket_reso: buckets.map(|buckets| buckets.min),
            max_bucket_reso: buckets.map(|buckets| buckets.max),
            bucket_reso_steps: buckets.map(|buckets| buckets.step),
            bucket_no_upscale: buckets.map(|buckets| buckets.no_upscale),
            train_batch_size: Some(data.batch_size as u32),
            flip_aug: Some(data.flip_aug),
            random_crop: Some(data.random_crop),
            color_aug: Some(data.color_aug),
            face_crop_aug_range: data.face_crop.map(|(least, most)| format!("{least},{most}")),
            reg_pairing: pairing,
            masked_loss: Some(matches!(data.mask, Some(Mask::Folder(_)))),
            conditioning_data_dir: match &data.mask {
                Some(Mask::Folder(dir)) => Some(dir.clone()),
                _ => None,
            },
            alpha_mask: Some(data.mask == Some(Mask::Alpha)),
            dataset_config: data.config.as_ref().map(|config| config.file.clone()),
            cache_latents: Some(data.cache_latents),
        }
    }
}
