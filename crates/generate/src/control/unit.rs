//! A ControlNet with its picture, as a request names it and as it acts on the UNet.

use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::Tensor;
use lorabake_model::Conditioning;
use lorabake_model::control::{ControlNet, Mode, scales};
use lorabake_model::unet::Residuals;
use lorabake_pixels::{Rgb, Size};

use super::fit::{ControlResize, cropped_as, fitted, pixel_perfect_resolution};
use super::moment::Moment;
use super::preprocess::Preprocessor;
use crate::inpaint::Region;

/// A ControlNet as a request names it.
#[derive(Debug, Clone)]
pub struct ControlUnit {
    /// The net's file.
    pub model: PathBuf,
    /// The picture that it follows, of any size.
    pub image: Rgb,
    /// What is made of it first.
    pub preprocessor: Preprocessor,
    /// Pixels of the shorter side at which that works; none: as the painted size wants it ("pixel perfect").
    pub processor_res: Option<u32>,
    /// How its map comes to the painted size.
    pub resize: ControlResize,
    /// How strongly it acts, 0 to 2.
    pub weight: f64,
    /// Share of the steps at which it begins.
    pub start: f64,
    /// Share of the steps at which it ends.
    pub end: f64,
    /// Which is more important, prompt or control.
    pub mode: Mode,
}

/// The part of a picture that is painted, of a picture of this size ("only masked").
#[derive(Debug, Clone, Copy)]
pub struct PaintedPart {
    /// The part.
    pub region: Region,
    /// Width and height of the whole picture.
    pub picture: Size,
}

/// What a map is for.
#[derive(Debug, Clone, Copy)]
pub enum MapFor {
    /// A whole picture.
    Whole,
    /// The part of a picture that is painted.
    Part(PaintedPart),
    /// The second pass of hires fix.
    SecondPass,
}

impl ControlUnit {
    /// Whether its outputs are shared out as for "My prompt is more important" although the mode is another: edges in the
    /// second pass of hires fix (sd-webui-controlnet).
    pub fn is_soft_in(&self, of: MapFor) -> bool {
        matches!(of, MapFor::SecondPass) && matches!(self.preprocessor, Preprocessor::Canny { .. })
    }

    /// The map at the painted size, or that of the part that is painted.
    ///
    /// # Errors
    /// When the picture is of an aspect so extreme that it would take much memory on the way.
    pub fn map(&self, size: Size, of: MapFor) -> Result<Rgb, String> {
        let image = match of {
            MapFor::Part(PaintedPart { region, picture }) => {
                cropped_as(&self.image, picture, region, size, self.resize)
            }
            MapFor::Whole | MapFor::SecondPass => self.image.clone(),
        };
        let perfect = || pixel_perfect_resolution(image.size(), size, self.resize);
        let map = self.preprocessor.map(&image, self.processor_res.unwrap_or_else(perfect))?;
        if map.size() == size { Ok(map) } else { fitted(&map, size, self.resize) }
    }
}

/// A ControlNet that acts in a pass.
#[derive(Debug, Clone)]
pub struct ActiveControl {
    /// The net.
    pub net: Arc<ControlNet>,
    /// What it made of its picture, [1, C, H, W].
    pub hint: Tensor<4>,
    /// How strongly it acts, 0 to 2.
    pub weight: f64,
    /// Share of the steps at which it begins.
    pub start: f64,
    /// Share of the steps at which it ends.
    pub end: f64,
    /// Which is more important, prompt or control.
    pub mode: Mode,
    /// Whether outputs are shared out as for the prompt in any mode.
    pub is_soft: bool,
}

impl ActiveControl {
    /// Whether it acts at a step: by the lagging step counter, both ends included (sd-webui-controlnet).
    pub fn is_active(&self, moment: Moment) -> bool {
        let share = moment.counter as f64 / moment.steps.max(1) as f64;
        (self.start..=self.end).contains(&share)
    }

    /// What it adds to the UNet for one sample; `None` if it does not act.
    ///
    /// # Shapes
    /// - x: [1, 4, H, W], in the network's terms
    pub fn residuals(
        &self,
        x: &Tensor<4>,
        timestep: f32,
        moment: Moment,
        conditioning: &Conditioning,
        positive: bool,
    ) -> Option<Residuals> {
        let for_prompt_only = !self.mode.steers_negative() || self.net.pools();
        if !self.is_active(moment) || self.weight == 0.0 || (for_prompt_only && !positive) {
            return None;
        }
        let outputs = self.net.forward(x.clone(), &[timestep], conditioning.clone(), self.hint.clone());
        let shared = if self.is_soft { Mode::Prompt } else { self.mode };
        let scales = scales(shared, self.weight, self.net.outputs());
        Some(Residuals::scaled(outputs, &scales))
    }
}
