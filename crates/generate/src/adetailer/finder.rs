//! The networks that find faces and the like: YOLOv8 as ONNX, or as ultralytics' own files (`.pt`) and safetensors of them.

use std::path::Path;

use anyhow::{Result, anyhow};
use burn::tensor::Device;
use lorabake_model::detector::{Detector as TorchDetector, Pixels, Search};
use lorabake_pixels::Rgb;
use lorabake_vision::detector::Detector as OnnxDetector;

use super::area_mask::AreaMask;
use super::boxes::Detection;

/// A detector of either kind.
#[derive(Debug)]
pub enum Finder {
    /// A file of ONNX.
    Onnx(Box<OnnxDetector>),
    /// A file of PyTorch or safetensors, which tells boxes only.
    Torch(Box<TorchDetector>),
}

/// Something that was found in a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundArea {
    /// Its box, and how sure the detector is.
    pub detection: Detection,
    /// Its box as a mask, or its outline if the detector tells outlines.
    pub mask: AreaMask,
    /// What it is called; empty if the detector's file does not say.
    pub class: String,
}

impl Finder {
    /// Opens the detector at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or is no YOLOv8 detector.
    pub fn open(path: &Path) -> Result<Self> {
        if path.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("onnx")) {
            return Ok(Self::Onnx(Box::new(OnnxDetector::open(path)?)));
        }
        Ok(Self::Torch(Box::new(TorchDetector::open(path)?)))
    }

    /// What is found in a picture with more than this confidence (0 to 1), the surest first.
    ///
    /// # Errors
    /// When the network cannot be computed.
    pub fn find(&self, picture: &Rgb, confidence: f64, device: &Device) -> Result<Vec<FoundArea>> {
        let [width, height] = [picture.width as usize, picture.height as usize];
        let mut areas = Vec::new();
        match self {
            Self::Onnx(detector) => {
                for found in detector.detect(picture, confidence as f32)? {
                    let class = detector.names().get(found.detection.class).cloned().unwrap_or_default();
                    let bounds = found.detection.sides.map(f64::from);
                    let mask = match found.mask {
                        Some(mask) => AreaMask { width, height, values: mask.data },
                        None => AreaMask::rectangle(width, height, bounds),
                    };
                    let detection = Detection { bounds, confidence: f64::from(found.detection.score) };
                    areas.push(FoundArea { detection, mask, class });
                }
            }
            Self::Torch(detector) => {
                let image = Pixels { width, height, rgb: picture.data.clone() };
                let search = Search { confidence: confidence as f32, ..Search::default() };
                for found in detector.detect(&image, &search, device) {
                    let class = detector.names().get(found.class).cloned().unwrap_or_default();
                    let bounds = found.sides.map(f64::from);
                    let detection = Detection { bounds, confidence: f64::from(found.score) };
                    areas.push(FoundArea { detection, mask: AreaMask::rectangle(width, height, bounds), class });
                }
            }
        }
        Ok(areas)
    }

    /// What its classes are called, by number; empty if its file does not say.
    pub fn names(&self) -> &[String] {
        match self {
            Self::Onnx(detector) => detector.names(),
            Self::Torch(detector) => detector.names(),
        }
    }

    /// Refuses names of classes that the detector does not have.
    ///
    /// # Errors
    /// Names the first, with those that there are.
    pub fn check_classes(&self, wanted: &[String]) -> Result<()> {
        let names = self.names();
        match wanted.iter().find(|wanted| !names.contains(wanted)) {
            Some(unknown) if names.is_empty() => {
                Err(anyhow!("the detector does not tell what its classes are called; leave `{unknown}` out"))
            }
            Some(unknown) => Err(anyhow!("the detector finds no `{unknown}`; use {}", names.join(", "))),
            None => Ok(()),
        }
    }
}
