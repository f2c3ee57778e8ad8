//! The toy model of the pack's README, with guidance and masks.

use anyhow::{Context, Result};
use burn::tensor::Tensor;
use lorabake_diffusion::{
    Answer, Call, GuidanceSkips, GuidedPart, KeptLatents, Levels, Prediction, guide_by_parts, parts_alone,
};
use serde_json::Value;

use super::settings::Settings;
use super::{RESCALED_TOLERANCE, Recorded, values};

/// A condition that changes on the way: pairs of the last call and a value.
type Changes = Vec<[f64; 2]>;

/// The toy model under guidance.
pub(super) struct Guided {
    parts: Vec<Part>,
    unconditional: Changes,
    scale: f64,
    skips: GuidanceSkips,
    calls: usize,
    prediction: Prediction,
    is_rescaled: bool,
    kept: Option<KeptLatents>,
    shape: [usize; 4],
}

struct Part {
    changes: Changes,
    weight: f64,
}

impl Guided {
    pub(super) fn read(case: &Value, settings: &Settings, levels: &Levels, recorded: &Recorded<'_>) -> Result<Self> {
        let mut parts = Vec::new();
        for part in case["cond"].as_array().context("cond")? {
            parts.push(Part { changes: changes(&part[0])?, weight: part[1].as_f64().context("a weight")? });
        }
        let number = |key: &str| case[key].as_f64();
        let mut kept = None;
        if recorded.tensors.has(&format!("{}.nmask", recorded.id)) {
            // One mask for all pictures of a batch.
            let mask = recorded.whole("nmask")?;
            let repaint = mask.iter().copied().cycle().take(recorded.shape.iter().product()).collect();
            let original = recorded.latents(recorded.whole("init_latent")?);
            kept = Some(KeptLatents { original, repaint: recorded.latents(repaint) });
        }
        let calls = levels.sigmas().map_or(settings.steps, |sigmas| sigmas.len() - 1);
        Ok(Self {
            parts,
            unconditional: changes(&case["uncond"])?,
            scale: settings.sampler.guidance_scale(number("cfg_scale").context("cfg_scale")?),
            skips: GuidanceSkips {
                early: number("skip_early_cond").unwrap_or(0.0),
                min_sigma: number("s_min_uncond").unwrap_or(0.0),
                min_sigma_all: case["s_min_uncond_all"].as_bool() == Some(true),
            },
            calls: if settings.sampler.is_second_order() { 2 * calls } else { calls },
            prediction: settings.prediction,
            is_rescaled: settings.table.ends_in_noise(),
            kept,
            shape: recorded.shape,
        })
    }

    /// How far latents on the way may be off: `usual`, or what the README allows with zero terminal SNR.
    pub(super) fn tolerance(&self, usual: f64) -> f64 {
        if self.is_rescaled { RESCALED_TOLERANCE } else { usual }
    }

    /// What the sampler wants to know at `call`.
    pub(super) fn answer(&self, x: Tensor<4>, call: &Call) -> Answer {
        let x = match &self.kept {
            Some(kept) => kept.before(call, x),
            None => x,
        };
        let mut parts = Vec::new();
        for part in &self.parts {
            let conditional = self.predicted(x.clone(), call, now(&part.changes, call.number));
            parts.push(GuidedPart { conditional, weight: part.weight });
        }
        if self.skips.skips(call, self.calls) {
            return self.finished(call, parts_alone(&parts)).into();
        }
        let unconditional = self.predicted(x, call, now(&self.unconditional, call.number));
        let guided = guide_by_parts(unconditional.clone(), &parts, self.scale);
        Answer { guided: self.finished(call, guided), unconditional: Some(unconditional) }
    }

    fn finished(&self, call: &Call, guided: Tensor<4>) -> Tensor<4> {
        match &self.kept {
            Some(kept) => kept.after(call, guided),
            None => guided,
        }
    }

    /// The toy network's answer in the sampler's terms.
    fn predicted(&self, x: Tensor<4>, call: &Call, condition: f64) -> Tensor<4> {
        let input = values(call.network_input(x.clone()));
        let [_, channels, height, width] = self.shape;
        let mut output = Vec::with_capacity(input.len());
        for (index, value) in input.into_iter().enumerate() {
            let column = (index % width) as f64;
            let row = (index / width % height) as f64;
            let channel = (index / (width * height) % channels) as f64;
            let place = 0.8 * (0.7 * channel + 0.3 * row - 0.2 * column).sin();
            let value = f64::from(value);
            let bent = (value + place + condition).tanh();
            output.push((0.6 * value + 0.3 * bent + 0.05 * (call.timestep / 150.0).cos()) as f32);
        }
        let output = Tensor::from_data(burn::tensor::TensorData::new(output, self.shape), &x.device());
        call.read(self.prediction, output, x)
    }
}

/// The value of a condition at a call: that of the first pair whose end is not before it, else the first of all.
fn now(changes: &Changes, call: usize) -> f64 {
    let entry = changes.iter().find(|[end, _]| call as f64 <= *end);
    entry.unwrap_or(&changes[0])[1]
}

fn changes(value: &Value) -> Result<Changes> {
    let list = value.as_array().context("a schedule")?;
    let mut changes = Vec::new();
    for pair in list {
        changes.push([pair[0].as_f64().context("an end")?, pair[1].as_f64().context("a value")?]);
    }
    Ok(changes)
}
