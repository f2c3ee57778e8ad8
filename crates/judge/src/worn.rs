//! A LoRA on the bench: read from a file, or as it is being trained.

use anyhow::Result;
use lorabake_generate::probe::{Probe, Strengths};
use lorabake_lora::{Attached, LoraNetwork, Net, Strength};
use lorabake_model::Conditioning;
use lorabake_weights::Part;
use serde::{Deserialize, Serialize};

use crate::losses::{LossMeter, Losses, scores};
use crate::material::Sample;
use crate::progress::{News, Tell};
use crate::strength::Response;

/// A LoRA that is measured.
#[derive(Debug)]
pub enum Worn<'a> {
    /// One of a file.
    File(Box<Net>),
    /// One that is being trained.
    InTraining(&'a LoraNetwork),
}

/// Losses of the checkpoint alone, and what it is told without LoRA.
#[derive(Debug)]
pub(crate) struct Known {
    pub losses: Losses,
    pub conditions: Vec<Conditioning>,
}

/// A LoRA on the networks that it is measured with.
pub(crate) struct Fitted<'a> {
    pub probe: Probe<'a>,
    pub worn: &'a Worn<'a>,
}

/// Responses to the strengths of both parts.
#[derive(Serialize, Deserialize)]
pub(crate) struct Apart {
    pub unet: Response,
    pub te: Response,
}

impl Fitted<'_> {
    pub fn attached(&self, te: f64, unet: f64) -> Attached {
        let probe = self.probe;
        match self.worn {
            Worn::File(net) => probe.attached(net, Strengths { te, unet }),
            Worn::InTraining(network) => {
                let mut attached = Attached::default();
                network.attach(Strength { text: te, unet }, probe.device, &mut attached);
                attached
            }
        }
    }

    pub fn has_text(&self) -> bool {
        match self.worn {
            Worn::File(net) => net.count(Part::Unet) < net.modules.len(),
            Worn::InTraining(network) => network.text_count() > 0,
        }
    }

    /// The responses to the strengths of both parts.
    ///
    /// # Errors
    /// When a caption is much too long, and what `tell` returns.
    pub fn apart(
        &self,
        coarse: &LossMeter<'_>,
        samples: &[Sample],
        base: &Known,
        tell: &mut Tell<'_>,
    ) -> Result<Apart> {
        let passes = coarse.passes(samples.len());
        let conditions = coarse.conditions(samples, &self.attached(1.0, 1.0))?;
        let unet = Response::measure(|strength| -> Result<Vec<f64>> {
            tell(News::Did(passes))?;
            let unet = self.attached(1.0, strength).unet;
            Ok(scores(&coarse.losses(samples, &conditions, &unet), &base.losses))
        })?;
        let te = Response::measure(|strength| {
            tell(News::Did(passes))?;
            self.scores(coarse, &self.attached(strength, 1.0), samples, base)
        })?;
        Ok(Apart { unet, te })
    }

    /// The score of each sample.
    ///
    /// # Errors
    /// When a caption is much too long.
    pub fn scores(
        &self,
        meter: &LossMeter<'_>,
        attached: &Attached,
        samples: &[Sample],
        base: &Known,
    ) -> Result<Vec<f64>> {
        // Texts that no LoRA acts on are those of the checkpoint.
        let losses = match self.has_text() {
            true => meter.losses(samples, &meter.conditions(samples, attached)?, &attached.unet),
            false => meter.losses(samples, &base.conditions, &attached.unet),
        };
        Ok(scores(&losses, &base.losses))
    }
}
