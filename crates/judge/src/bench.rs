//! Measures the snapshots of a run, in the order in which it is worth while: losses of all snapshots, then the response to
//! strength of those that matter.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lorabake_generate::probe::Probe;
use lorabake_lora::Attached;
use serde::{Deserialize, Serialize};

use crate::captions::caption_gains;
use crate::drift::{BasePredictions, Drift};
use crate::losses::LossMeter;
use crate::material::{HeldOut, Material, Sample};
use crate::measure::{Measures, SnapshotMeasures};
use crate::plain::PlainPicture;
use crate::progress::{News, Tell, Work};
use crate::runs::{Saved, Snapshot};
use crate::shelf::{Shelf, content};
use crate::strength::{Response, TRIED};
use crate::tags::TagReport;
use crate::text_drift::TextDrift;
use crate::worn::{Apart, Fitted, Known, Worn};

/// Images that responses to strength and drift are measured on.
pub(crate) const FEW: usize = 8;
/// Strengths that a response is measured at, usually.
pub(crate) const USUALLY_TRIED: u64 = TRIED.len() as u64 + 1;

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
    /// Where that is which was measured already.
    pub shelf: &'a Shelf,
}

/// What is known of the checkpoint alone.
#[derive(Debug)]
pub struct Base {
    held_out: Known,
    training: Known,
    /// As the held-out images, or training images where there are none, by the coarse meter.
    coarse: Known,
    predictions: BasePredictions,
}

impl<'a> Bench<'a> {
    /// What the checkpoint alone does, measured unless it is known; `tell` is told of the work.
    fn known<'b>(&self, base: &'b mut Option<Base>, tell: &mut Tell<'_>) -> Result<&'b Base> {
        if base.is_none() {
            *base = Some(self.base(tell)?);
        }
        base.as_ref().context("it was measured just now")
    }

    /// Measures the checkpoint alone.
    ///
    /// # Errors
    /// When a caption is much too long, and what `tell` returns.
    pub fn base(&self, tell: &mut Tell<'_>) -> Result<Base> {
        tell(News::Begins(Work::Checkpoint))?;
        let none = Attached::default();
        let mut known = |meter: &LossMeter<'_>, samples: &[Sample]| -> Result<Known> {
            let conditions = meter.conditions(samples, &none)?;
            let losses = meter.losses(samples, &conditions, &none.unet);
            tell(News::Did(meter.passes(samples.len())))?;
            Ok(Known { losses, conditions })
        };
        let held_out = known(self.meter, &self.material.held_out)?;
        let training = known(self.meter, &self.material.training)?;
        let coarse = known(self.coarse, self.few())?;
        let predictions = BasePredictions::new(self.coarse, self.plain, self.few())?;
        tell(News::Did(self.drift_passes()))?;
        Ok(Base { held_out, training, coarse, predictions })
    }

    /// Measures `snapshots`, and the response to strength of those that `effort` allows; `tell` is told of the work. `base`
    /// is what the checkpoint alone does: nothing at first, and filled where it is needed.
    ///
    /// # Errors
    /// When a file cannot be read or does not fit, and what `tell` returns.
    pub fn measure(
        &self,
        snapshots: &[Snapshot],
        effort: Effort,
        base: &mut Option<Base>,
        tell: &mut Tell<'_>,
    ) -> Result<Measures> {
        let mut measured = Vec::new();
        for snapshot in snapshots {
            tell(News::Begins(Work::Losses(snapshot.saved)))?;
            measured.push(match self.losses_kept(snapshot, base, tell) {
                Ok(measures) => measures,
                // One that cannot be used among others is told as such; where all are, it is an error.
                Err(why) if snapshots.len() > 1 => SnapshotMeasures::unusable(snapshot, &why),
                Err(why) => return Err(why),
            });
            tell(News::Did(self.snapshot_passes()))?;
        }
        if let Some(why) = measured.iter().find_map(|own| own.problem.as_ref())
            && measured.iter().all(|own| own.problem.is_some())
        {
            bail!("{why}");
        }
        for index in worth_a_response(&measured, effort.responses) {
            self.whole_response(&mut measured[index], base, tell)?;
        }
        Ok(self.measures(measured, self.caption_gains()?))
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

    /// What captions explain of their images to the checkpoint alone, image by image.
    ///
    /// # Errors
    /// When a caption is much too long.
    pub fn caption_gains(&self) -> Result<Vec<f64>> {
        const WHAT: &str = "captions";
        if let Some(known) = self.shelf.read::<Gains>(WHAT) {
            return Ok(known.gains);
        }
        let mut samples: Vec<&Sample> = self.material.training.iter().collect();
        if self.material.kind == HeldOut::Split {
            samples.extend(&self.material.held_out);
        }
        let gains = caption_gains(self.coarse, &samples)?;
        self.shelf.keep(WHAT, &Gains { gains: gains.clone() });
        Ok(gains)
    }

    /// Measures one LoRA: losses, drift, and the response to the strength of the whole, unless it is broken.
    ///
    /// # Errors
    /// When a caption is much too long.
    pub fn measure_one(&self, saved: Saved, worn: &Worn<'_>, base: &Base) -> Result<SnapshotMeasures> {
        let snapshot = Snapshot { path: PathBuf::new(), saved };
        let mut measured = self.losses(&snapshot, worn, base)?;
        if !measured.is_broken {
            let fitted = Fitted { probe: self.probe, worn };
            measured.whole = Some(Response::measure(|strength| {
                fitted.scores(self.coarse, &fitted.attached(strength, strength), self.few(), &base.coarse)
            })?);
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
        base: &mut Option<Base>,
        tell: &mut Tell<'_>,
    ) -> Result<()> {
        for index in chosen {
            self.apart(&mut measures.snapshots[*index], base, tell)?;
        }
        Ok(())
    }

    fn snapshot_passes(&self) -> u64 {
        let Material { held_out, training, .. } = self.material;
        self.meter.passes(held_out.len() + training.len()) + self.drift_passes()
    }

    fn drift_passes(&self) -> u64 {
        self.coarse.passes(self.plain.len() + self.few().len())
    }

    fn open(&self, path: &Path) -> Result<Worn<'static>> {
        Ok(Worn::File(Box::new(self.probe.open_net(path)?)))
    }

    /// Held-out images, or training images where there are none: those that tell how it acts with its trigger.
    fn shown(&self) -> &'a [Sample] {
        match self.material.held_out.as_slice() {
            [] => &self.material.training,
            held_out => held_out,
        }
    }

    /// Those of [`Self::shown`] that responses and drift are measured on.
    fn few(&self) -> &'a [Sample] {
        let shown = self.shown();
        &shown[..shown.len().min(FEW)]
    }

    /// The losses of a snapshot, from the shelf if they were measured already.
    fn losses_kept(
        &self,
        snapshot: &Snapshot,
        base: &mut Option<Base>,
        tell: &mut Tell<'_>,
    ) -> Result<SnapshotMeasures> {
        let what = format!("losses {}", content(&snapshot.path)?);
        if let Some(known) = self.shelf.read::<SnapshotMeasures>(&what) {
            return Ok(SnapshotMeasures { path: snapshot.path.clone(), saved: snapshot.saved, ..known });
        }
        let base = self.known(base, tell)?;
        let measures = self.losses(snapshot, &self.open(&snapshot.path)?, base)?;
        self.shelf.keep(&what, &measures);
        Ok(measures)
    }

    fn losses(&self, snapshot: &Snapshot, worn: &Worn<'_>, base: &Base) -> Result<SnapshotMeasures> {
        let fitted = Fitted { probe: self.probe, worn };
        let full = fitted.attached(1.0, 1.0);
        let held_out = fitted.scores(self.meter, &full, &self.material.held_out, &base.held_out)?;
        let training = fitted.scores(self.meter, &full, &self.material.training, &base.training)?;
        let drift = Drift::measure(self.coarse, &base.predictions, &full)?;
        let mut text_drift = None;
        if fitted.has_text() {
            let plain: Vec<&str> = self.plain.iter().map(|picture| picture.prompt.as_str()).collect();
            let captions: Vec<&str> = self.few().iter().map(|sample| sample.caption.as_str()).collect();
            text_drift = Some(
                self.coarse
                    .with_texts(|| TextDrift::measure(self.probe, [&plain, &captions], self.clip_skip, &full))?,
            );
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
    fn whole_response(
        &self,
        measures: &mut SnapshotMeasures,
        base: &mut Option<Base>,
        tell: &mut Tell<'_>,
    ) -> Result<()> {
        if measures.is_broken {
            return Ok(());
        }
        let what = format!("strengths {}", content(&measures.path)?);
        measures.whole = self.shelf.read(&what);
        if measures.whole.is_some() {
            return tell(News::Did(USUALLY_TRIED * self.coarse.passes(self.few().len())));
        }
        let base = self.known(base, tell)?;
        let worn = self.open(&measures.path)?;
        let fitted = Fitted { probe: self.probe, worn: &worn };
        tell(News::Begins(Work::Strengths(measures.saved)))?;
        let response = Response::measure(|strength| {
            tell(News::Did(self.coarse.passes(self.few().len())))?;
            fitted.scores(self.coarse, &fitted.attached(strength, strength), self.few(), &base.coarse)
        })?;
        self.shelf.keep(&what, &response);
        measures.whole = Some(response);
        Ok(())
    }

    /// Measures the responses to the strengths of UNet and text encoders.
    fn apart(&self, measures: &mut SnapshotMeasures, base: &mut Option<Base>, tell: &mut Tell<'_>) -> Result<()> {
        if measures.is_broken {
            return Ok(());
        }
        let passes = self.coarse.passes(self.few().len());
        let what = format!("apart {}", content(&measures.path)?);
        if let Some(Apart { unet, te }) = self.shelf.read(&what) {
            [measures.unet, measures.te] = [Some(unet), Some(te)];
            return tell(News::Did(2 * USUALLY_TRIED * passes));
        }
        let worn = self.open(&measures.path)?;
        let fitted = Fitted { probe: self.probe, worn: &worn };
        if !fitted.has_text() {
            measures.unet = measures.whole.clone();
            return Ok(());
        }
        let base = &self.known(base, tell)?.coarse;
        tell(News::Begins(Work::Apart(measures.saved)))?;
        let apart = fitted.apart(self.coarse, self.few(), base, tell)?;
        self.shelf.keep(&what, &apart);
        [measures.unet, measures.te] = [Some(apart.unet), Some(apart.te)];
        Ok(())
    }
}

/// What captions explain, as the shelf keeps it.
#[derive(Serialize, Deserialize)]
struct Gains {
    gains: Vec<f64>,
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
