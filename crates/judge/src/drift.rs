//! How far a LoRA moves what the checkpoint predicts, with its trigger and without (M4a; language drift, DreamBooth).

use anyhow::Result;
use burn::tensor::Tensor;
use lorabake_lora::Attached;
use serde::{Deserialize, Serialize};

use crate::losses::{Job, LossMeter};
use crate::material::Sample;
use crate::plain::PlainPicture;

/// Squared change of predictions over their size, 0 = none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Over pictures and prompts without trigger.
    pub plain: f64,
    /// Over held-out images with their captions.
    pub trigger: f64,
}

impl Drift {
    /// How much more it acts with its trigger than without; large = it keeps to its trigger.
    pub fn selectivity(&self) -> f64 {
        self.trigger / self.plain.max(1e-12)
    }

    /// Measures a LoRA, as it is attached, beside what the checkpoint alone predicts.
    ///
    /// # Errors
    /// When a text is much too long.
    pub fn measure(meter: &LossMeter<'_>, base: &BasePredictions<'_>, attached: &Attached) -> Result<Self> {
        let [plain, trigger] = [&base.plain, &base.trigger].map(|views| -> Result<f64> {
            let predicted = predictions(meter, views.iter().map(|view| view.told), attached)?;
            let mut moved = 0.0;
            let mut size = 0.0;
            for (own, view) in predicted.into_iter().zip(views) {
                moved += square(own - view.predicted.clone());
                size += square(view.predicted.clone());
            }
            Ok(if size > 0.0 { moved / size } else { 0.0 })
        });
        Ok(Self { plain: plain?, trigger: trigger? })
    }
}

/// Latents with the text that is told of them.
#[derive(Debug, Clone, Copy)]
struct ToldLatents<'a> {
    text: &'a str,
    latents: &'a Tensor<4>,
    key: u64,
}

/// What the checkpoint alone predicts for latents.
#[derive(Debug)]
struct BaseView<'a> {
    told: ToldLatents<'a>,
    predicted: Tensor<4>,
}

/// What the checkpoint alone predicts, for pictures without trigger and for images with it.
#[derive(Debug)]
pub struct BasePredictions<'a> {
    plain: Vec<BaseView<'a>>,
    trigger: Vec<BaseView<'a>>,
}

impl<'a> BasePredictions<'a> {
    /// Of pictures without trigger, and of images with their captions.
    ///
    /// # Errors
    /// When a text is much too long.
    pub fn new(meter: &LossMeter<'_>, plain: &'a [PlainPicture], samples: &'a [Sample]) -> Result<Self> {
        let mut plain_told = Vec::new();
        for PlainPicture { prompt, latents, key, .. } in plain {
            plain_told.push(ToldLatents { text: prompt, latents, key: *key });
        }
        let mut trigger_told = Vec::new();
        for Sample { caption, latents, key, .. } in samples {
            trigger_told.push(ToldLatents { text: caption, latents, key: *key });
        }
        let [plain, trigger] = [plain_told, trigger_told].map(|told| -> Result<Vec<BaseView<'a>>> {
            let predicted = predictions(meter, told.iter().copied(), &Attached::default())?;
            Ok(told.into_iter().zip(predicted).map(|(told, predicted)| BaseView { told, predicted }).collect())
        });
        Ok(Self { plain: plain?, trigger: trigger? })
    }
}

fn predictions<'a>(
    meter: &LossMeter<'_>,
    told: impl Iterator<Item = ToldLatents<'a>>,
    attached: &Attached,
) -> Result<Vec<Tensor<4>>> {
    let mut jobs = Vec::new();
    for ToldLatents { text, latents, key } in told {
        let condition = meter.condition(text, latents, attached)?.remove(0);
        jobs.push(Job { latents, key, condition });
    }
    Ok(meter.predictions(&jobs, &attached.unet))
}

fn square(tensor: Tensor<4>) -> f64 {
    f64::from(tensor.powi_scalar(2).sum().into_scalar::<f32>())
}
