//! How far a LoRA moves what the checkpoint predicts, with its trigger and without (M4a; language drift, DreamBooth).

use anyhow::Result;
use burn::tensor::Tensor;
use lorabake_lora::Attached;
use serde::{Deserialize, Serialize};

use crate::losses::{Job, LossMeter};
use crate::material::Sample;
use crate::plain::PlainPicture;
use crate::told::Caption;

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
    pub fn measure(meter: &LossMeter<'_>, base: &BasePredictions, attached: &Attached) -> Result<Self> {
        let [plain, trigger] = [&base.plain, &base.trigger].map(|views| -> Result<f64> {
            let mut moved = 0.0;
            let mut size = 0.0;
            for (own, view) in predictions(meter, views, attached)?.into_iter().zip(views) {
                let Some(of_base) = &view.predicted else { continue };
                moved += square(own - of_base.clone());
                size += square(of_base.clone());
            }
            Ok(if size > 0.0 { moved / size } else { 0.0 })
        });
        Ok(Self { plain: plain?, trigger: trigger? })
    }
}

/// Latents with what is told of them, and what the checkpoint alone predicts for them.
#[derive(Debug)]
struct BaseView {
    text: String,
    size: [usize; 2],
    latents: Tensor<4>,
    key: u64,
    predicted: Option<Tensor<4>>,
}

/// What the checkpoint alone predicts, for pictures without trigger and for images with it.
#[derive(Debug)]
pub struct BasePredictions {
    plain: Vec<BaseView>,
    trigger: Vec<BaseView>,
}

impl BaseView {
    fn new(caption: Caption<'_>, latents: &Tensor<4>, key: u64) -> Self {
        let Caption { text, size } = caption;
        Self { text: text.to_owned(), size, latents: latents.clone(), key, predicted: None }
    }
}

impl BasePredictions {
    /// Of pictures without trigger, and of images with their captions.
    ///
    /// # Errors
    /// When a text is much too long.
    pub fn new(meter: &LossMeter<'_>, plain: &[PlainPicture], samples: &[Sample]) -> Result<Self> {
        let plain = plain.iter().map(|picture| BaseView::new(picture.told(), &picture.latents, picture.key)).collect();
        let trigger = samples.iter().map(|sample| BaseView::new(sample.told(), &sample.latents, sample.key)).collect();
        let mut views = Self { plain, trigger };
        for views in [&mut views.plain, &mut views.trigger] {
            let predicted = predictions(meter, views, &Attached::default())?;
            for (view, predicted) in views.iter_mut().zip(predicted) {
                view.predicted = Some(predicted);
            }
        }
        Ok(views)
    }
}

fn predictions(meter: &LossMeter<'_>, views: &[BaseView], attached: &Attached) -> Result<Vec<Tensor<4>>> {
    let mut captions = Vec::with_capacity(views.len());
    for BaseView { text, size, .. } in views {
        captions.push(Caption { text, size: *size });
    }
    let mut jobs = Vec::with_capacity(views.len());
    for (view, condition) in views.iter().zip(meter.told(&captions, attached)?) {
        jobs.push(Job { latents: &view.latents, key: view.key, condition });
    }
    Ok(meter.predictions(&jobs, &attached.unet))
}

fn square(tensor: Tensor<4>) -> f64 {
    f64::from(tensor.powi_scalar(2).sum().into_scalar::<f32>())
}
