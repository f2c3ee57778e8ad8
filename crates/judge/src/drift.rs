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

    /// Measures a LoRA, as it is attached, on what `base` was measured on.
    ///
    /// # Errors
    /// When a text is much too long.
    pub fn measure(meter: &LossMeter<'_>, told: Told<'_>, base: &BasePredictions, attached: &Attached) -> Result<Self> {
        let moved = |views: Vec<ToldLatents<'_>>, of_base: &[Tensor<4>]| -> Result<f64> {
            let mut moved = 0.0;
            let mut size = 0.0;
            for (own, before) in predictions(meter, views, attached)?.into_iter().zip(of_base) {
                moved += square(own - before.clone());
                size += square(before.clone());
            }
            Ok(if size > 0.0 { moved / size } else { 0.0 })
        };
        Ok(Self { plain: moved(told.plain(), &base.plain)?, trigger: moved(told.trigger(), &base.trigger)? })
    }
}

/// What predictions are looked at for.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// Pictures without trigger.
    pub plain: &'a [PlainPicture],
    /// Images with their captions.
    pub samples: &'a [Sample],
}

/// Latents with the text that is told of them.
#[derive(Debug, Clone, Copy)]
struct ToldLatents<'a> {
    text: &'a str,
    latents: &'a Tensor<4>,
    key: u64,
}

impl<'a> Told<'a> {
    fn plain(&self) -> Vec<ToldLatents<'a>> {
        let mut told = Vec::new();
        for PlainPicture { prompt, latents, key, .. } in self.plain {
            told.push(ToldLatents { text: prompt, latents, key: *key });
        }
        told
    }

    fn trigger(&self) -> Vec<ToldLatents<'a>> {
        let mut told = Vec::new();
        for Sample { caption, latents, key, .. } in self.samples {
            told.push(ToldLatents { text: caption, latents, key: *key });
        }
        told
    }
}

/// What the checkpoint alone predicts, for pictures without trigger and for images with it.
#[derive(Debug)]
pub struct BasePredictions {
    plain: Vec<Tensor<4>>,
    trigger: Vec<Tensor<4>>,
}

impl BasePredictions {
    /// Of pictures without trigger, and of images with their captions.
    ///
    /// # Errors
    /// When a text is much too long.
    pub fn new(meter: &LossMeter<'_>, told: Told<'_>) -> Result<Self> {
        let none = Attached::default();
        Ok(Self {
            plain: predictions(meter, told.plain(), &none)?,
            trigger: predictions(meter, told.trigger(), &none)?,
        })
    }
}

fn predictions(meter: &LossMeter<'_>, told: Vec<ToldLatents<'_>>, attached: &Attached) -> Result<Vec<Tensor<4>>> {
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
