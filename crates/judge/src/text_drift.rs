//! How far a LoRA moves what the text encoders make of texts, with its trigger and without (M12).

use anyhow::Result;
use burn::tensor::Tensor;
use lorabake_generate::probe::Probe;
use lorabake_lora::Attached;
use serde::{Deserialize, Serialize};

/// 1 − cosine of text states with the LoRA and without, 0 = as before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TextDrift {
    /// Mean over texts without trigger.
    pub plain: f64,
    /// Mean over captions.
    pub trigger: f64,
}

impl TextDrift {
    /// Measures a LoRA, as it is attached.
    ///
    /// # Errors
    /// When a text is much too long.
    pub fn measure(probe: Probe<'_>, texts: [&[&str]; 2], clip_skip: usize, attached: &Attached) -> Result<Self> {
        let mut means = [0.0; 2];
        for (mean, texts) in means.iter_mut().zip(texts) {
            let mut sum = 0.0;
            for text in texts {
                let states = |own: &Attached| -> Result<Tensor<3>> {
                    Ok(probe.captions(&[text], [512, 512], clip_skip, own)?.remove(0).context)
                };
                sum += distance(states(&Attached::default())?, states(attached)?);
            }
            *mean = sum / texts.len().max(1) as f64;
        }
        let [plain, trigger] = means;
        Ok(Self { plain, trigger })
    }
}

/// 1 − cosine of all states of a text as one vector.
fn distance(a: Tensor<3>, b: Tensor<3>) -> f64 {
    let dot = |x: Tensor<3>, y: Tensor<3>| f64::from((x * y).sum().into_scalar::<f32>());
    let size = (dot(a.clone(), a.clone()) * dot(b.clone(), b.clone())).sqrt();
    if size == 0.0 { 0.0 } else { (1.0 - dot(a, b) / size).max(0.0) }
}
