//! From options, and from what ADetailer has written into the picture of `--like`, to detectors with what is asked of them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use lorabake_generate::adetailer::{
    Choice, DetailControl, Instead, KeepBy, MaskShape, Merge, OpenUnit, Order, OwnModel, ToldUnits, Unit, told_units,
};
use lorabake_generate::png_text::{Entry, PictureSettings};
use lorabake_generate::prompt::{Search, find_within};
use lorabake_pixels::Rgb;

use super::detailer::DetailerArgs;
use crate::picture_args::values;
use crate::terminal::{self, Shown};

/// Stands for what the picture has.
const SAME: &str = "same";
const NONE: &str = "none";
/// How MediaPipe's models are called in ADetailer.
const MEDIAPIPE: &str = "mediapipe_";
/// Detectors as they are looked up.
const SUFFIXES: &[&str] = &["onnx", "pt", "safetensors"];

impl DetailerArgs {
    /// The detectors with what is asked of them; those that are not typed are as in the picture that `like` are the settings
    /// of.
    ///
    /// # Errors
    /// When an option is given more often than there are detectors, or a detector is none.
    pub fn units(&self, like: Option<&PictureSettings>) -> Result<Vec<OpenUnit>> {
        if let Some(folder) = self.detailer_dir.iter().find(|folder| !folder.is_dir()) {
            bail!("--detailer_dir {}: there is no such folder; correct the name", folder.display());
        }
        let said = like.map(|like| said(&like.detailer)).unwrap_or_default();
        let mut bases = Vec::new();
        for (index, path) in self.detailer.iter().enumerate() {
            refuse_mediapipe(path)?;
            let path = values::there("--detailer", path)?.to_owned();
            let like = said.get(index).cloned().unwrap_or_else(|| Unit::new(PathBuf::new()));
            bases.push(Unit { model: path, ..like });
        }
        for unit in said.into_iter().skip(self.detailer.len()) {
            bases.extend(self.found(unit)?);
        }
        self.check_counts(bases.len())?;
        let mut units = Vec::new();
        for (index, base) in bases.into_iter().enumerate() {
            let unit = self.unit(base, index)?;
            units.push(OpenUnit::open(unit).context("--detailer")?);
        }
        Ok(units)
    }

    /// A unit of the picture of `--like` with its detector found; `None`, with a line, if that is not there.
    fn found(&self, unit: Unit) -> Result<Option<Unit>> {
        let name = unit.model.to_string_lossy().into_owned();
        let left_out = |why: &str| {
            terminal::say(&format!("note: --like: what ADetailer did with {} is left out: {why}", Shown(&name)));
        };
        if name.starts_with(MEDIAPIPE) {
            left_out("MediaPipe's detectors are not built in; give a YOLOv8 file by --detailer");
            return Ok(None);
        }
        if self.detailer_dir.is_empty() {
            left_out("give the folder of its detector by --detailer_dir, or the detector by --detailer");
            return Ok(None);
        }
        let search =
            Search { what: "detector", option: "--detailer_dir", folders: &self.detailer_dir, suffixes: SUFFIXES };
        let stem = unit.model.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // The same detector may lie there in another format.
        let found = find_within(&name, search).or_else(|error| find_within(&stem, search).map_err(|_| error));
        Ok(Some(Unit { model: found.context("--like")?, ..unit }))
    }

    /// `base` with what was typed for the detector with the number `index`.
    fn unit(&self, base: Unit, index: usize) -> Result<Unit> {
        let classes = match self.detailer_classes.get(index) {
            Some(names) => {
                names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
            }
            None => base.classes.clone(),
        };
        let is_whole = self.detailer_only_masked.get(index) == Some(&false);
        let padding = match (self.detailer_padding.get(index), self.detailer_only_masked.get(index)) {
            (Some(padding), _) => Some((*padding).into()),
            (None, Some(true)) => base.padding.or(Unit::new(PathBuf::new()).padding),
            _ => base.padding,
        };
        let width = self.detailer_width.get(index);
        let height = self.detailer_height.get(index).or(width);
        let size = width.or(height).zip(height).map(|(width, height)| [*width as usize, *height as usize]);
        Ok(Unit {
            classes,
            prompt: self.detailer_prompt.get(index).cloned().unwrap_or(base.prompt),
            negative_prompt: self.detailer_negative_prompt.get(index).cloned().unwrap_or(base.negative_prompt),
            confidence: self.detailer_confidence.get(index).copied().unwrap_or(base.confidence),
            choice: self.choice(base.choice, index),
            shape: self.shape(base.shape, index),
            mask_blur: self.detailer_blur.get(index).map_or(base.mask_blur, |blur| (*blur).into()),
            denoise: self.detailer_denoise.get(index).copied().unwrap_or(base.denoise),
            denoise_power: self.detailer_denoise_power.get(index).copied().unwrap_or(base.denoise_power),
            padding: if is_whole { None } else { padding },
            size: size.or(base.size),
            instead: self.instead(base.instead, index),
            own: self.own(index),
            control: self.control(index)?,
            model: base.model,
        })
    }

    fn choice(&self, base: Choice, index: usize) -> Choice {
        Choice {
            least_area: self.detailer_min_share.get(index).copied().unwrap_or(base.least_area),
            largest_area: self.detailer_max_share.get(index).copied().unwrap_or(base.largest_area),
            most: self.detailer_most.get(index).copied().unwrap_or(base.most),
            by: match self.detailer_keep.get(index).map(String::as_str) {
                Some(name) if name.eq_ignore_ascii_case("confidence") => KeepBy::Confidence,
                Some(_) => KeepBy::Area,
                None => base.by,
            },
            order: match self.detailer_order.get(index).map(String::as_str) {
                Some("left_to_right") => Order::LeftToRight,
                Some("center_to_edge") => Order::CenterToEdge,
                Some("area") => Order::Area,
                Some(_) => Order::None,
                None => base.order,
            },
        }
    }

    fn shape(&self, base: MaskShape, index: usize) -> MaskShape {
        MaskShape {
            right: self.detailer_right.get(index).copied().unwrap_or(base.right),
            up: self.detailer_up.get(index).copied().unwrap_or(base.up),
            grow: self.detailer_grow.get(index).copied().unwrap_or(base.grow),
            merge: match self.detailer_merge.get(index).map(String::as_str) {
                Some("merge") => Merge::Merge,
                Some("merge_and_invert") => Merge::MergeAndInvert,
                Some(_) => Merge::None,
                None => base.merge,
            },
        }
    }

    fn instead(&self, base: Instead, index: usize) -> Instead {
        Instead {
            steps: self.detailer_steps.get(index).map(|steps| usize::from(*steps)).or(base.steps),
            cfg_scale: self.detailer_cfg_scale.get(index).copied().or(base.cfg_scale),
            sampler: self.detailer_sampler.get(index).cloned().or(base.sampler),
            scheduler: self.detailer_scheduler.get(index).cloned().or(base.scheduler),
            noise_multiplier: self.detailer_noise_multiplier.get(index).copied().or(base.noise_multiplier),
            clip_skip: self.detailer_clip_skip.get(index).map(|layers| usize::from(*layers)).or(base.clip_skip),
        }
    }

    /// Networks of its own: those that were typed, since names in a picture's text open nothing.
    fn own(&self, index: usize) -> OwnModel {
        let named = |paths: &[PathBuf]| paths.get(index).filter(|path| *path != Path::new(SAME)).cloned();
        OwnModel { checkpoint: named(&self.detailer_checkpoint), vae: named(&self.detailer_vae) }
    }

    /// The ControlNet that was typed.
    fn control(&self, index: usize) -> Result<Option<DetailControl>> {
        let model = self.detailer_control_model.get(index).filter(|path| *path != Path::new(NONE));
        let Some(model) = model else { return Ok(None) };
        let model = values::there("--detailer_control_model", model)?.to_owned();
        let mut control = DetailControl { model, ..DetailControl::default() };
        let settings = &mut control.settings;
        settings.module = self.detailer_control_module.get(index).cloned();
        settings.weight = self.detailer_control_weight.get(index).copied();
        settings.start = self.detailer_control_guidance_start.get(index).copied();
        settings.end = self.detailer_control_guidance_end.get(index).copied();
        // What it cannot do is told before anything is painted.
        let tried = settings.unit(control.model.clone(), Rgb::filled((8, 8), [0; 3]));
        tried.map_err(|why| anyhow!(why.replacen("--control_", "--detailer_control_", 2)))?;
        Ok(Some(control))
    }
}

/// The units of the picture of `--like`; what of them cannot be repeated by itself is told.
fn said(entries: &[Entry]) -> Vec<Unit> {
    let ToldUnits { units, not_understood } = told_units(entries);
    for entry in not_understood {
        let value = Shown(&entry.value);
        terminal::say(&format!("note: --like: {}: {value} is not understood and left out", Shown(&entry.key)));
    }
    for unit in &units {
        let own = [
            ("checkpoint", "--detailer_checkpoint", unit.own.checkpoint.as_deref().map(Path::to_owned)),
            ("VAE", "--detailer_vae", unit.own.vae.as_deref().map(Path::to_owned)),
            (
                "ControlNet",
                "--detailer_control_model",
                unit.control.as_ref().and_then(|control| control.settings.model.as_deref()).map(PathBuf::from),
            ),
        ];
        for (what, option, path) in own {
            if let Some(path) = path {
                let name = Shown(path.display());
                terminal::say(&format!(
                    "note: --like: details were painted with the {what} {name}; give it by {option}"
                ));
            }
        }
    }
    units
}

fn refuse_mediapipe(path: &Path) -> Result<()> {
    if path.to_string_lossy().starts_with(MEDIAPIPE) || path.extension().is_some_and(|suffix| suffix == "tflite") {
        bail!(
            "--detailer {}: MediaPipe's are not built in; name a YOLOv8 file, such as face_yolov8n.pt",
            path.display()
        );
    }
    Ok(())
}
