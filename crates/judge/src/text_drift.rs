//! How far a LoRA moves what the text encoders make of texts, with its trigger and without (M12).

use anyhow::Result;
use burn::tensor::Tensor;
use lorabake_generate::probe::Probe;
use lorabake_lora::Attached;
use serde::{Deserialize, Serialize};

use crate::nearest::mean_pairwise;

/// 1 − cosine of text states with the LoRA and without, 0 = as before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TextDrift {
    /// Mean over texts without trigger.
    pub plain: f64,
    /// Mean over captions.
    pub trigger: f64,
    /// Mean over pairs of different texts without trigger, both without the LoRA; 0 = unknown.
    #[serde(default)]
    pub apart: f64,
}

impl TextDrift {
    /// Measures a LoRA, as it is attached.
    ///
    /// # Errors
    /// When a text is much too long.
    pub fn measure(probe: Probe<'_>, texts: [&[&str]; 2], clip_skip: usize, attached: &Attached) -> Result<Self> {
        let states = |texts: &[&str], own: &Attached| -> Result<Vec<Tensor<3>>> {
            let told = probe.captions(texts, [512, 512], clip_skip, own)?;
            Ok(told.into_iter().map(|condition| condition.context).collect())
        };
        let [plain, captions] = texts;
        let before = states(plain, &Attached::default())?;
        let captions_before = states(captions, &Attached::default())?;
        Ok(Self {
            plain: mean_distance(&before, &states(plain, attached)?),
            trigger: mean_distance(&captions_before, &states(captions, attached)?),
            apart: mean_pairwise(&before, |one, other| distance(one.clone(), other.clone())).unwrap_or(0.0),
        })
    }

    /// How far texts without the trigger have moved, in units of the distance between two of them: at 1 they mean as much
    /// as any other text.
    pub fn of_apart(&self) -> Option<f64> {
        if self.apart > 0.0 { Some(self.plain / self.apart) } else { None }
    }
}

/// The mean distance of each state from what it was.
fn mean_distance(before: &[Tensor<3>], after: &[Tensor<3>]) -> f64 {
    let mut sum = 0.0;
    for (one, other) in before.iter().zip(after) {
        sum += distance(one.clone(), other.clone());
    }
    sum / before.len().max(1) as f64
}

/// 1 − cosine of all states of a text as one vector.
fn distance(a: Tensor<3>, b: Tensor<3>) -> f64 {
    let dot = |x: Tensor<3>, y: Tensor<3>| f64::from((x * y).sum().into_scalar::<f32>());
    let size = (dot(a.clone(), a.clone()) * dot(b.clone(), b.clone())).sqrt();
    if size == 0.0 { 0.0 } else { (1.0 - dot(a, b) / size).max(0.0) }
}
