//! Measures the snapshots of a run, in the order in which it is worth while: losses of all snapshots, then the response to
//! strength of those that matter.

use anyhow::{Result, bail};
use lorabake_generate::probe::{Probe, Strengths};
use lorabake_lora::{Attached, LoraNetwork, Net, Strength};
use lorabake_weights::Part;

use crate::captions::caption_gains;
use crate::drift::{BasePredictions, Drift, Told};
use crate::losses::{LossMeter, Losses, scores};
use crate::material::{HeldOut, Material, Sample};
use crate::measure::{Measures, SnapshotMeasures};
use crate::plain::PlainPicture;
use crate::runs::Snapshot;
use crate::strength::Response;
use crate::tags::TagReport;
use crate::text_drift::TextDrift;

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
    pub probe: Probe<'a>,
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
#[derive(Debug)]
pub struct Base {
    held_out: Losses,
    training: Losses,
    /// As [`Self::held_out`], or training images where there are none, by the coarse meter.
    coarse: Losses,
    predictions: BasePredictions,
}

/// A LoRA that is measured.
#[derive(Debug)]
pub enum Worn<'a> {
    /// One of a file.
    File(Box<Net>),
    /// One that is being trained.
    InTraining(&'a LoraNetwork),
}

/// One LoRA on the bench.
struct Fitted<'a> {
    bench: &'a Bench<'a>,
    worn: &'a Worn<'a>,
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
            let losses = self.open(snapshot).and_then(|worn| self.losses(snapshot, &worn, &base));
            measured.push(match losses {
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
            if !measured[*index].is_broken {
                let worn = self.open(&snapshots[*index])?;
                measured[*index].whole = Some(self.whole_response(&worn, &base)?);
            }
        }
        Ok(self.measures(measured, self.caption_gains()?))
    }

    /// What captions explain of their images to the checkpoint alone, image by image.
    ///
    /// # Errors
    /// When a caption is much too long.
    pub fn caption_gains(&self) -> Result<Vec<f64>> {
        let mut samples: Vec<&Sample> = self.material.training.iter().collect();
        if self.material.kind == HeldOut::Split {
            samples.extend(&self.material.held_out);
        }
        caption_gains(self.meter, &samples)
    }

    /// Measures of snapshots with what they were measured by.
    pub fn measures(&self, snapshots: Vec<SnapshotMeasures>, caption_gains: Vec<f64>) -> Measures {
        Measures {
            caption_gains,
            held_out: self.material.kind,
            held_out_images: self.material.held_out.len(),
            training_images: self.material.training.len(),
            timesteps: self.meter.timesteps().to_vec(),
            tags: TagReport::of(&self.material.captions, self.trigger),
            snapshots,
        }
    }

    /// Measures one LoRA: losses, drift, and the response to the strength of the whole, unless it is broken.
    ///
    /// # Errors
    /// When a caption is much too long.
    pub fn measure_one(&self, snapshot: &Snapshot, worn: &Worn<'_>, base: &Base) -> Result<SnapshotMeasures> {
        let mut measured = self.losses(snapshot, worn, base)?;
        if !measured.is_broken {
            measured.whole = Some(self.whole_response(worn, base)?);
        }
        Ok(measured)
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

    fn open(&self, snapshot: &Snapshot) -> Result<Worn<'static>> {
        Ok(Worn::File(Box::new(self.probe.open_net(&snapshot.path)?)))
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

    /// What drift is measured on.
    fn told(&self) -> Told<'_> {
        Told { plain: self.plain, samples: self.few() }
    }

    /// Measures the checkpoint alone.
    ///
    /// # Errors
    /// When a caption is much too long.
    pub fn base(&self) -> Result<Base> {
        let none = Attached::default();
        let losses = |meter: &LossMeter<'_>, samples: &[Sample]| -> Result<Losses> {
            Ok(meter.losses(samples, &meter.conditions(samples, &none)?, &none.unet))
        };
        Ok(Base {
            held_out: losses(self.meter, &self.material.held_out)?,
            training: losses(self.meter, &self.material.training)?,
            coarse: losses(self.coarse, self.few())?,
            predictions: BasePredictions::new(self.coarse, self.told())?,
        })
    }

    fn losses(&self, snapshot: &Snapshot, worn: &Worn<'_>, base: &Base) -> Result<SnapshotMeasures> {
        let fitted = Fitted { bench: self, worn };
        let full = fitted.attached(1.0, 1.0);
        let held_out = fitted.scores(self.meter, &full, &self.material.held_out, &base.held_out)?;
        let training = fitted.scores(self.meter, &full, &self.material.training, &base.training)?;
        let drift = Drift::measure(self.coarse, self.told(), &base.predictions, &full)?;
        let mut text_drift = None;
        if fitted.has_text() {
            let plain: Vec<&str> = self.plain.iter().map(|picture| picture.prompt.as_str()).collect();
            let captions: Vec<&str> = self.few().iter().map(|sample| sample.caption.as_str()).collect();
            text_drift = Some(TextDrift::measure(self.probe, [&plain, &captions], self.clip_skip, &full)?);
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
    fn whole_response(&self, worn: &Worn<'_>, base: &Base) -> Result<Response> {
        let fitted = Fitted { bench: self, worn };
        Response::measure(|strength| {
            fitted.scores(self.coarse, &fitted.attached(strength, strength), self.few(), &base.coarse)
        })
    }

    /// Measures the responses to the strengths of UNet and text encoders.
    fn apart(&self, measures: &mut SnapshotMeasures, base: &Base) -> Result<()> {
        if measures.is_broken {
            return Ok(());
        }
        let samples = self.few();
        let worn = Worn::File(Box::new(self.probe.open_net(&measures.path)?));
        let fitted = Fitted { bench: self, worn: &worn };
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
        let probe = self.bench.probe;
        match self.worn {
            Worn::File(net) => probe.attached(net, Strengths { te, unet }),
            Worn::InTraining(network) => {
                let mut attached = Attached::default();
                network.attach(Strength { text: te, unet }, probe.device, &mut attached);
                attached
            }
        }
    }

    fn has_text(&self) -> bool {
        match self.worn {
            Worn::File(net) => net.count(Part::Unet) < net.modules.len(),
            Worn::InTraining(network) => network.text_count() > 0,
        }
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
