//! The first call of the UNet in each run, with what steers it.

use anyhow::{Context, Result};
use lorabake_lora::Attached;
use lorabake_model::Bundle;
use lorabake_model::control::{Mode, scales};
use lorabake_model::unet::Residuals;
use serde_json::Value;

use super::call::Call;
use super::{INDEX, LATENTS, RUNS, models};
use crate::pack::Pack;
use crate::verdict::{Case, close};

/// One case a run; those with a LoRA are replayed as a whole alone.
pub(super) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    if !pack.has(RUNS) {
        return Ok(cases);
    }
    let runs = pack.tensors(RUNS)?;
    let mut loaded: Option<(String, Bundle)> = None;
    for case in pack.cases(INDEX)? {
        let id = case["id"].as_str().context("an id")?;
        if !runs.has(&format!("{id}.unet.x")) || !case["lora"].is_null() {
            continue;
        }
        let model = case["model"].as_str().context("a model")?;
        if loaded.as_ref().is_none_or(|(name, _)| name != model) {
            loaded = Some((model.to_owned(), models::bundle(&models::checkpoint(pack, model)?)?));
        }
        let (_, bundle) = loaded.as_ref().context("a model")?;
        let own = predict(pack, &case, &Call::read(&runs, id)?, bundle)?;
        let result = close(&own, &runs.f32(&format!("{id}.unet.out"))?, LATENTS);
        cases.push(Case::of(format!("{id} first call"), result));
    }
    Ok(cases)
}

/// What the UNet answers, sample by sample.
fn predict(pack: &Pack, case: &Value, call: &Call, bundle: &Bundle) -> Result<Vec<f32>> {
    let batch = call.timesteps.len();
    let mut answers = Vec::new();
    for index in 0..batch {
        // A steered run has one picture: the prompt's half comes first, then that of the negative prompt.
        let steering = steering(pack, case, &call.sample(index), index > 0)?;
        let Call { x, timesteps, conditioning } = call.sample(index);
        let none = Attached::default();
        let y = bundle.unet.paint(x, &timesteps, conditioning, &none.unet, steering.as_ref());
        answers.extend(y.into_data().try_into_vec::<f32>().expect("f32"));
    }
    Ok(answers)
}

/// What steers one half of guidance in the first call.
fn steering(pack: &Pack, case: &Value, call: &Call, is_negative: bool) -> Result<Option<Residuals>> {
    let control = &case["control"];
    let mode = match control["mode"].as_str() {
        Some("prompt") => Mode::Prompt,
        Some("control") => Mode::Control,
        _ => Mode::Balanced,
    };
    let is_active = case["control_active"][0].as_bool().unwrap_or(false);
    if !is_active || (is_negative && !mode.steers_negative()) {
        return Ok(None);
    }
    let net = models::control_net(pack, case)?;
    let hint = net.hint(models::control_image(pack, case)?);
    let outputs = net.forward(call.x.clone(), &call.timesteps, call.conditioning.clone(), hint);
    let scales = scales(mode, control["weight"].as_f64().unwrap_or(1.0), outputs.len());
    Ok(Some(Residuals::scaled(outputs, &scales)))
}
