//! YOLOv8: where in a picture are faces, hands, people (Jocher et al., ultralytics 8; names as there).

mod blocks;
mod head;

use std::path::Path;

use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Tensor, TensorData};
use lorabake_ops::WeightDtype;
use lorabake_vision::detector::STRIDE;
use lorabake_weights::network_file::detector;
use lorabake_weights::{Error, NetworkFile};

use crate::nn::{self, Builder};
use blocks::{C2f, Conv, Sppf};
use head::Head;
pub use lorabake_vision::detector::{Candidate, Detection, Pixels, Shape, letterboxed, placed, suppressed};

/// How a picture is searched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// Pixels of the longer side as the network sees it; the next multiple of 32 counts.
    pub size: usize,
    /// How much grey there is around the picture.
    pub shape: Shape,
    /// What is no likelier than this is left out.
    pub confidence: f32,
    /// Of two boxes of one class that overlap by more than this (intersection over union), the likelier stays.
    pub iou: f32,
}

impl Default for Search {
    fn default() -> Self {
        Self { size: 640, shape: Shape::Rectangle, confidence: 0.3, iou: 0.7 }
    }
}

/// A detector.
#[derive(Debug, Clone)]
pub struct Detector {
    backbone: Backbone,
    neck: Neck,
    heads: [Head; 3],
    names: Vec<String>,
}

/// Layers 0 to 9.
#[derive(Debug, Clone)]
struct Backbone {
    /// Layers 0, 1, 3, 5, 7: each halves the sides.
    convs: [Conv; 5],
    /// Layers 2, 4, 6, 8.
    blocks: [C2f; 4],
    /// Layer 9.
    sppf: Sppf,
}

/// Layers 12 to 21.
#[derive(Debug, Clone)]
struct Neck {
    /// Layers 12, 15, 18, 21.
    blocks: [C2f; 4],
    /// Layers 16, 19.
    convs: [Conv; 2],
}

impl Detector {
    /// Reads the detector at `path`, a file of safetensors or PyTorch, its batch norms in the convolutions or not.
    ///
    /// # Errors
    /// When it cannot be read, is no YOLOv8 detector, or its tensors do not fit.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::read(&detector::open(path)?)
    }

    /// Reads the detector of an open file.
    ///
    /// # Errors
    /// When its tensors do not fit.
    pub fn read(file: &NetworkFile) -> Result<Self, Error> {
        let detector = nn::read(file, WeightDtype::F32, Self::build)?;
        let classes = detector.heads[0].classes();
        if detector.heads.iter().any(|head| head.classes() != classes) {
            let reason = "its three levels tell different numbers of classes apart; use another copy".to_string();
            return Err(Error::WrongKind { file: file.label().to_string(), reason });
        }
        let names = detector::class_names(file, classes);
        Ok(Self { names, ..detector })
    }

    fn build(mut b: Builder<'_, '_>) -> Self {
        let b = &mut b;
        let mut channels = 3;
        let conv =
            |b: &mut Builder<'_, '_>, layer: usize, inputs: usize| Conv::build(b, &format!("model.{layer}"), inputs, 2);
        let first = conv(b, 0, channels);
        channels = first.outputs();
        let mut convs = vec![first];
        let mut blocks: Vec<C2f> = Vec::new();
        for layer in [1, 3, 5, 7] {
            let halving = conv(b, layer, channels);
            let block = C2f::build(b, &format!("model.{}", layer + 1), halving.outputs(), true);
            channels = block.outputs();
            convs.push(halving);
            blocks.push(block);
        }
        let sppf = Sppf::build(b, "model.9", channels);
        let [_, at_4, at_6, _] = [0, 1, 2, 3].map(|index: usize| blocks[index].outputs());
        let at_9 = sppf.outputs();
        let block = |b: &mut Builder<'_, '_>, layer: usize, inputs: usize| {
            C2f::build(b, &format!("model.{layer}"), inputs, false)
        };
        let block_12 = block(b, 12, at_9 + at_6);
        let block_15 = block(b, 15, block_12.outputs() + at_4);
        let conv_16 = conv(b, 16, block_15.outputs());
        let block_18 = block(b, 18, conv_16.outputs() + block_12.outputs());
        let conv_19 = conv(b, 19, block_18.outputs());
        let block_21 = block(b, 21, conv_19.outputs() + at_9);
        let heads = [
            Head::build(b, 0, block_15.outputs()),
            Head::build(b, 1, block_18.outputs()),
            Head::build(b, 2, block_21.outputs()),
        ];
        let convs = convs.try_into().expect("five convolutions");
        let blocks = blocks.try_into().expect("four blocks");
        let backbone = Backbone { convs, blocks, sppf };
        let neck = Neck { blocks: [block_12, block_15, block_18, block_21], convs: [conv_16, conv_19] };
        Self { backbone, neck, heads, names: Vec::new() }
    }

    /// What its classes are called, by number.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What is found in an image, the likeliest first, in pixels of it.
    pub fn detect(&self, image: &Pixels, search: &Search, device: &Device) -> Vec<Detection> {
        if image.width == 0 || image.height == 0 {
            return Vec::new();
        }
        let boxed = letterboxed(image, search.size.next_multiple_of(STRIDE).max(STRIDE), search.shape);
        let candidates = self.candidates(self.levels(&boxed, device));
        let mut found = suppressed(&candidates, search.confidence, search.iou);
        for detection in &mut found {
            detection.sides = placed(detection.sides, image, &boxed);
        }
        found
    }

    /// What the network says of an image at each of three levels, before it is understood: a cell is 8, 16 or 32 pixels wide.
    ///
    /// # Shapes
    /// - output: three of [1, 64 + classes, H / cell, W / cell]
    pub fn levels(&self, image: &Pixels, device: &Device) -> [Tensor<4>; 3] {
        let values: Vec<f32> = image.rgb.iter().map(|byte| f32::from(*byte) / 255.0).collect();
        let pixels: Tensor<3> = Tensor::from_data(TensorData::new(values, [image.height, image.width, 3]), device);
        let Backbone { convs, blocks, sppf } = &self.backbone;
        let mut x = convs[0].forward(pixels.permute([2, 0, 1]).unsqueeze());
        let mut kept = Vec::new();
        for (conv, block) in convs[1..].iter().zip(blocks) {
            x = block.forward(conv.forward(x));
            kept.push(x.clone());
        }
        let x_9 = sppf.forward(x);
        let join = |one: Tensor<4>, other: Tensor<4>| Tensor::cat(vec![one, other], 1);
        let Neck { blocks, convs } = &self.neck;
        let x_12 = blocks[0].forward(join(doubled(x_9.clone()), kept[2].clone()));
        let x_15 = blocks[1].forward(join(doubled(x_12.clone()), kept[1].clone()));
        let x_18 = blocks[2].forward(join(convs[0].forward(x_15.clone()), x_12));
        let x_21 = blocks[3].forward(join(convs[1].forward(x_18.clone()), x_9));
        let [small, medium, large] = &self.heads;
        [small.forward(x_15), medium.forward(x_18), large.forward(x_21)]
    }

    /// What each cell of the three levels says, level by level and row by row.
    ///
    /// # Shapes
    /// - levels: of [`Detector::levels`]
    pub fn candidates(&self, levels: [Tensor<4>; 3]) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (head, level) in self.heads.iter().zip(levels) {
            candidates.extend(head.candidates(level));
        }
        candidates
    }
}

/// Every pixel four times.
///
/// # Shapes
/// - x: [B, C, H, W]
/// - output: [B, C, 2·H, 2·W]
fn doubled(x: Tensor<4>) -> Tensor<4> {
    interpolate(x, InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0, 2.0]))
}
