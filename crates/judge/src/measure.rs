//! What is measured of the snapshots of a run; the measuring is `bench`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::drift::Drift;
use crate::material::HeldOut;
use crate::runs::{Saved, Snapshot};
use crate::strength::Response;
use crate::tags::TagReport;
use crate::text_drift::TextDrift;

/// What is measured of one snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnapshotMeasures {
    /// The file.
    pub path: PathBuf,
    /// When it was saved.
    pub saved: Saved,
    /// The score of each held-out image: mean over timesteps of log(loss / the checkpoint's); negative = better.
    pub held_out: Vec<f64>,
    /// The score of each training image.
    pub training: Vec<f64>,
    /// How far it moves predictions.
    pub drift: Drift,
    /// How far it moves text states; none for a LoRA without text encoder.
    pub text_drift: Option<TextDrift>,
    /// Response to the strength of the whole LoRA, `<lora:NAME:s>`, if it was measured.
    pub whole: Option<Response>,
    /// Response to the UNet's strength, with the text encoders at 1, if it was measured.
    pub unet: Option<Response>,
    /// Response to the text encoders' strength, with the UNet at 1, if it was measured.
    pub te: Option<Response>,
    /// Something that was computed with it is not finite, or it cannot be used.
    pub is_broken: bool,
    /// Why it cannot be used.
    #[serde(default)]
    pub problem: Option<String>,
}

/// Estimates of a mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Its standard error; infinite for a single value.
    pub error: f64,
}

impl Mean {
    /// Of these values.
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count.max(1.0);
        let spread: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let error = if values.len() < 2 { f64::INFINITY } else { (spread / (count - 1.0) / count).sqrt() };
        Self { mean, error }
    }

    /// Of the differences of pairs, `a` less `b`.
    pub fn of_differences(a: &[f64], b: &[f64]) -> Self {
        let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        Self::of(&differences)
    }
}

impl SnapshotMeasures {
    pub(crate) fn unusable(snapshot: &Snapshot, why: &anyhow::Error) -> Self {
        Self {
            path: snapshot.path.clone(),
            saved: snapshot.saved,
            held_out: Vec::new(),
            training: Vec::new(),
            drift: Drift { plain: 0.0, trigger: 0.0 },
            text_drift: None,
            whole: None,
            unet: None,
            te: None,
            is_broken: true,
            problem: Some(format!("{why:#}")),
        }
    }

    /// The score over held-out images.
    pub fn score(&self) -> Mean {
        Mean::of(&self.held_out)
    }

    /// How much better training images are known than held-out ones, 0 = equally well (M2; APT, arXiv 2507.02687, compares
    /// losses with the pretrained model's, too).
    pub fn gap(&self) -> f64 {
        Mean::of(&self.held_out).mean - Mean::of(&self.training).mean
    }
}

/// All that is measured of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// Which images stood for those that were not trained on.
    pub held_out: HeldOut,
    /// How many these are.
    pub held_out_images: usize,
    /// How many training images were looked at.
    pub training_images: usize,
    /// Timesteps at which losses were measured.
    pub timesteps: Vec<usize>,
    /// What the captions say.
    pub tags: TagReport,
    /// How much better they explain their images to the checkpoint alone than those of other images do.
    #[serde(default)]
    pub caption_gains: Vec<f64>,
    /// The snapshots in their order.
    pub snapshots: Vec<SnapshotMeasures>,
}

#[cfg(test)]
mod tests {
    use super::Mean;

    #[test]
    fn a_mean_has_its_standard_error() {
        let Mean { mean, error } = Mean::of(&[1.0, 2.0, 3.0, 4.0]);
        // sqrt(5 / 3 / 4)
        assert!((mean - 2.5).abs() < 1e-12 && (error - 0.645_497_224_367_902_8).abs() < 1e-12);
        assert_eq!(Mean::of_differences(&[2.0, 3.0], &[1.0, 2.0]).mean, 1.0);
        assert!(Mean::of(&[1.0]).error.is_infinite());
    }
}
