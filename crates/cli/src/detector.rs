//! A detector that the user brings, and what it finds in images: for `lorabake images`, `check` and `faces`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lorabake_device::Opened;
use lorabake_generate::adetailer::{Finder, FoundArea};
use lorabake_pixels::Rgb;
use lorabake_recipe::train::device::Device;
use lorabake_tags::images::{Kind, Seen};

use crate::picture_args::values;

/// The detector of a command, if it is given one.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct DetectorArgs {
    /// Detector of faces, heads or persons (YOLOv8 as .onnx, or ultralytics' .pt). What it finds is told by the names of its
    /// classes, or else by its own, such as face_yolov8n.onnx.
    #[arg(long, value_name = "FILE")]
    pub detector: Option<PathBuf>,
    /// How sure the detector has to be, from 0 to 1. [default: 0.3]
    #[arg(long, value_name = "SHARE", value_parser = values::share, requires = "detector")]
    pub confidence: Option<f64>,
    /// Only these of the detector's classes. [default: all]
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',', requires = "detector")]
    pub classes: Vec<String>,
}

/// How sure a detector has to be, as ADetailer has it.
pub const CONFIDENCE: f64 = 0.3;

/// A detector that is open.
pub struct Eyes {
    finder: Finder,
    place: Opened,
    confidence: f64,
    classes: Vec<String>,
    /// What it finds by the name of its file, where classes do not tell.
    by_file: Kind,
}

impl DetectorArgs {
    /// Opens the detector; `None` if there is none.
    ///
    /// # Errors
    /// When it is missing, is no detector, or lacks a class.
    pub fn open(&self) -> Result<Option<Eyes>> {
        match &self.detector {
            Some(path) => Eyes::open(path, self.confidence, &self.classes).map(Some),
            None => Ok(None),
        }
    }
}

/// The device of a detector.
pub fn processor() -> Device {
    "cpu".parse().expect("every program has a processor")
}

impl Eyes {
    /// Opens the detector at `path`, of which these classes count, or all.
    ///
    /// # Errors
    /// When it is missing, is no detector, or lacks a class.
    pub fn open(path: &Path, confidence: Option<f64>, classes: &[String]) -> Result<Self> {
        let finder = Finder::open(values::there("--detector", path)?).context("--detector")?;
        finder.check_classes(classes).context("--classes")?;
        // A detector is small: what a GPU would save is lost on the way there.
        let place = lorabake_device::open(processor())?;
        let by_file = Kind::of_class(&path.file_stem().unwrap_or_default().to_string_lossy());
        let confidence = confidence.unwrap_or(CONFIDENCE);
        Ok(Self { finder, place, confidence, classes: classes.to_vec(), by_file })
    }

    /// How sure it has to be.
    pub fn confidence(&self) -> f64 {
        self.confidence
    }

    /// What is found in a picture, the surest first.
    ///
    /// # Errors
    /// When the detector cannot be computed.
    pub fn areas(&self, picture: &Rgb) -> Result<Vec<FoundArea>> {
        self.areas_surer_than(picture, self.confidence)
    }

    /// As [`Self::areas`], from another score on.
    ///
    /// # Errors
    /// When the detector cannot be computed.
    pub fn areas_surer_than(&self, picture: &Rgb, confidence: f64) -> Result<Vec<FoundArea>> {
        let mut found = self.finder.find(picture, confidence, &self.place.device)?;
        found.retain(|area| self.classes.is_empty() || self.classes.contains(&area.class));
        Ok(found)
    }

    /// The kinds of things that it finds.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut names: Vec<&str> = self.finder.names().iter().map(String::as_str).collect();
        if !self.classes.is_empty() {
            names.retain(|name| self.classes.iter().any(|class| class == name));
        }
        if names.is_empty() {
            names.push("");
        }
        let mut kinds: Vec<Kind> = names.into_iter().map(|name| self.kind(name)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// What something of this class is.
    fn kind(&self, class: &str) -> Kind {
        match Kind::of_class(class) {
            _ if class.is_empty() && self.by_file != Kind::Other => self.by_file,
            Kind::Other => self.by_file,
            known => known,
        }
    }

    /// What a find is to programs that look at figures.
    pub fn seen(&self, area: &FoundArea) -> Seen {
        Seen { kind: self.kind(&area.class), sides: area.detection.bounds, score: area.detection.confidence }
    }
}
