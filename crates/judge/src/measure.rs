//! All that is measured of the snapshots of a run, in the order in which it is worth while: losses of all snapshots, then the
//! response to strength of those that matter.

use std::path::PathBuf;

use anyhow::{Result, bail};
use lorabake_generate::easel::Easel;
use lorabake_generate::painter::Painter;
use lorabake_generate::probe::Strengths;
use lorabake_lora::{Attached, Net};
use lorabake_weights::Part;
use serde::{Deserialize, Serialize};

use crate::drift::{BasePredictions, Drift};
use crate::losses::{LossMeter, Losses, scores};
use crate::material::{HeldOut, Material, Sample};
use crate::plain::PlainPicture;
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
    fn unusable(snapshot: &Snapshot, why: &anyhow::Error) -> Self {
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
    /// The snapshots in their order.
    pub snapshots: Vec<SnapshotMeasures>,
}

/// Images that responses to strength and drift are measured on.
const FEW: usize = 8;

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Of how many snapshots the response to strength is measured: the best ones, and always the last.
    pub responses: usize,
}

/// What snapshots are measured with.
pub struct Bench<'a> {
    /// The checkpoint.
    pub easel: &'a Easel,
    /// Images.
    pub material: &'a Material,
    /// Pictures of the checkpoint alone.
    pub plain: &'a [PlainPicture],
    /// Losses.
    pub meter: &'a LossMeter<'a>,
    /// Losses at fewer timesteps, for the response to strength.
    pub coarse: &'a LossMeter<'a>,
    /// As in training.
    pub clip_skip: usize,
    /// The trigger, if the recipe names it.
    pub trigger: Option<&'a str>,
}

/// What is known of the checkpoint alone.
struct Base<'a> {
    held_out: Losses,
    training: Losses,
    /// As [`Self::held_out`], or training images where there are none, by the coarse meter.
    coarse: Losses,
    predictions: BasePredictions<'a>,
}

/// One LoRA on the bench.
struct Fitted<'a> {
    bench: &'a Bench<'a>,
    net: Net,
}

impl Bench<'_> {
    /// Measures `snapshots`, and the response to strength of those that `effort` allows; `done` is told of each.
    ///
    /// # Errors
    /// When a file cannot be read or does not fit, and what `done` returns.
    pub fn measure(
        &self,
        snapshots: &[Snapshot],
        effort: Effort,
        done: &mut dyn FnMut(Progress) -> Result<()>,
    ) -> Result<Measures> {
        let base = self.base()?;
        let mut measured = Vec::new();
        for (index, snapshot) in snapshots.iter().enumerate() {
            done(Progress { what: Work::Losses, done: index, total: snapshots.len() })?;
            measured.push(match self.losses(snapshot, &base) {
                Ok(measures) => measures,
                // One that cannot be used among others is told as such; where all are, it is an error.
                Err(why) if snapshots.len() > 1 => SnapshotMeasures::unusable(snapshot, &why),
                Err(why) => return Err(why),
            });
        }
        if let Some(why) = measured.iter().find_map(|own| own.problem.as_ref())
            && measured.iter().all(|own| own.problem.is_some())
        {
            bail!("{why}");
        }
        let chosen = worth_a_response(&measured, effort.responses);
        for (number, index) in chosen.iter().enumerate() {
            done(Progress { what: Work::Strengths, done: number, total: chosen.len() })?;
            self.whole_response(&mut measured[*index], &base)?;
        }
        Ok(Measures {
            held_out: self.material.kind,
            held_out_images: self.material.held_out.len(),
            training_images: self.material.training.len(),
            timesteps: self.meter.timesteps().to_vec(),
            tags: TagReport::of(&self.material.captions, self.trigger),
            snapshots: measured,
        })
    }

    /// Measures the responses to the strengths of UNet and text encoders apart, of the snapshots with these numbers.
    ///
    /// # Errors
    /// As [`Self::measure`].
    pub fn measure_apart(
        &self,
        measures: &mut Measures,
        chosen: &[usize],
        done: &mut dyn FnMut(Progress) -> Result<()>,
    ) -> Result<()> {
        let base = self.base()?;
        for (number, index) in chosen.iter().enumerate() {
            done(Progress { what: Work::Apart, done: number, total: chosen.len() })?;
            self.apart(&mut measures.snapshots[*index], &base)?;
        }
        Ok(())
    }

    fn painter(&self) -> &Painter {
        &self.easel.painter
    }

    /// Held-out images, or training images where there are none: those that tell how it acts with its trigger.
    fn shown(&self) -> &[Sample] {
        match self.material.held_out.as_slice() {
            [] => &self.material.training,
            held_out => held_out,
        }
    }

    /// Those of [`Self::shown`] that responses and drift are measured on.
    fn few(&self) -> &[Sample] {
        let shown = self.shown();
        &shown[..shown.len().min(FEW)]
    }

    fn base(&self) -> Result<Base<'_>> {
        let none = Attached::default();
        let losses = |meter: &LossMeter<'_>, samples: &[Sample]| -> Result<Losses> {
            Ok(meter.losses(samples, &meter.conditions(samples, &none)?, &none.unet))
        };
        Ok(Base {
            held_out: losses(self.meter, &self.material.held_out)?,
            training: losses(self.meter, &self.material.training)?,
            coarse: losses(self.coarse, self.few())?,
            predictions: BasePredictions::new(self.coarse, self.plain, self.few())?,
        })
    }

    fn losses(&self, snapshot: &Snapshot, base: &Base<'_>) -> Result<SnapshotMeasures> {
        let fitted = Fitted { bench: self, net: self.painter().open_net(&snapshot.path)? };
        let full = fitted.attached(1.0, 1.0);
        let held_out = fitted.scores(self.meter, &full, &self.material.held_out, &base.held_out)?;
        let training = fitted.scores(self.meter, &full, &self.material.training, &base.training)?;
        let drift = Drift::measure(self.coarse, &base.predictions, &full)?;
        let mut text_drift = None;
        if fitted.has_text() {
            let plain: Vec<&str> = self.plain.iter().map(|picture| picture.prompt.as_str()).collect();
            let captions: Vec<&str> = self.few().iter().map(|sample| sample.caption.as_str()).collect();
            text_drift = Some(TextDrift::measure(self.painter(), [&plain, &captions], self.clip_skip, &full)?);
        }
        let numbers = held_out.iter().chain(&training).chain([&drift.plain, &drift.trigger]);
        let is_broken = numbers.into_iter().any(|number| !number.is_finite());
        Ok(SnapshotMeasures {
            path: snapshot.path.clone(),
            saved: snapshot.saved,
            held_out,
            training,
            drift,
            text_drift,
            whole: None,
            unet: None,
            te: None,
            is_broken,
            problem: None,
        })
    }

    /// Measures the response to the strength of the whole LoRA.
    fn whole_response(&self, measures: &mut SnapshotMeasures, base: &Base<'_>) -> Result<()> {
        if measures.is_broken {
            return Ok(());
        }
        let fitted = Fitted { bench: self, net: self.painter().open_net(&measures.path)? };
        measures.whole = Some(Response::measure(|strength| {
            fitted.scores(self.coarse, &fitted.attached(strength, strength), self.few(), &base.coarse)
        })?);
        Ok(())
    }

    /// Measures the responses to the strengths of UNet and text encoders.
    fn apart(&self, measures: &mut SnapshotMeasures, base: &Base<'_>) -> Result<()> {
        if measures.is_broken {
            return Ok(());
        }
        let samples = self.few();
        let fitted = Fitted { bench: self, net: self.painter().open_net(&measures.path)? };
        if !fitted.has_text() {
            measures.unet = measures.whole.clone();
            return Ok(());
        }
        let conditions = self.coarse.conditions(samples, &fitted.attached(1.0, 1.0))?;
        measures.unet = Some(Response::measure(|strength| -> Result<Vec<f64>> {
            let unet = fitted.attached(1.0, strength).unet;
            Ok(scores(&self.coarse.losses(samples, &conditions, &unet), &base.coarse))
        })?);
        measures.te = Some(Response::measure(|strength| {
            fitted.scores(self.coarse, &fitted.attached(strength, 1.0), samples, &base.coarse)
        })?);
        Ok(())
    }
}

impl Fitted<'_> {
    fn attached(&self, te: f64, unet: f64) -> Attached {
        self.bench.painter().attached(&self.net, Strengths { te, unet })
    }

    fn has_text(&self) -> bool {
        self.net.count(Part::Unet) < self.net.modules.len()
    }

    fn scores(
        &self,
        meter: &LossMeter<'_>,
        attached: &Attached,
        samples: &[Sample],
        base: &Losses,
    ) -> Result<Vec<f64>> {
        let conditions = meter.conditions(samples, attached)?;
        Ok(scores(&meter.losses(samples, &conditions, &attached.unet), base))
    }
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Losses of a snapshot.
    Losses,
    /// The response to strength of a snapshot.
    Strengths,
    /// The responses to UNet and text encoders apart.
    Apart,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub what: Work,
    /// Snapshots done.
    pub done: usize,
    /// Snapshots in all.
    pub total: usize,
}

/// The numbers of the last snapshot and of the `count` best ones, in order.
fn worth_a_response(measured: &[SnapshotMeasures], count: usize) -> Vec<usize> {
    let mut by_score: Vec<usize> = (0..measured.len()).collect();
    by_score.sort_by(|a, b| measured[*a].score().mean.total_cmp(&measured[*b].score().mean));
    let mut chosen: Vec<usize> = by_score.into_iter().take(count).collect();
    let last = measured.len().saturating_sub(1);
    if !measured.is_empty() && !chosen.contains(&last) {
        chosen.push(last);
    }
    chosen.sort_unstable();
    chosen
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
