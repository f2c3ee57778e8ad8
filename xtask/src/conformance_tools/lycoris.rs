//! LyCORIS' merge and extraction.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use lorabake_recipe::output::SavePrecision;
use lorabake_surgery::extract::{Extract, Keep, Kind, extract};
use lorabake_surgery::like::Like;
use lorabake_surgery::merge::into_model::{IntoModel, into_model};
use lorabake_surgery::net::{Layers, NetUse, Strength};
use lorabake_weights::{Checkpoint, Part};
use serde_json::Value;

use super::Verdict;
use super::check::{self, Key, Nearness};
use super::pack::Pack;
use super::supermerger;

/// Replays a case.
///
/// # Errors
/// When files cannot be read, or what is done here is refused.
pub fn case(pack: &Pack, _name: &str, value: &Value) -> Result<Verdict> {
    if value["tool"] != "lycoris merge" {
        return extraction(pack, value);
    }
    let weight = value["weight"].as_f64().context("a weight")?;
    let kind = value["kind"].as_str().context("a kind")?;
    let path = pack.file(&format!("inputs/lyco/{kind}"));
    if value["error"].is_string() {
        return supermerger::by_formula(pack, &path, weight);
    }
    let model = pack.model("models/sd15_tiny")?;
    let output = pack.output(Some(SavePrecision::F32));
    let request = IntoModel {
        model: model.clone(),
        vae: None,
        nets: vec![NetUse { path, strength: Strength::everywhere(weight) }],
        like: Like::Lycoris,
        without_averages: false,
    };
    into_model(&request, &output, BTreeMap::new(), &|_, _| true)?;
    let layers = Layers::of(&Checkpoint::open(&model)?.into());
    let named = |name: &str| {
        let (module, leaf) = name.rsplit_once('.')?;
        let layer = layers.find(module)?;
        let key = if leaf == "bias" { &layer.bias } else { &layer.weight };
        Some(Key { name: key.clone(), third: layer.third })
    };
    check::digest(&output.path, &pack.file(value["file"].as_str().context("a file")?), &model, 1e-6, &named)
}

/// `extract_locon.py`. Its sparse biases, which are what is left over, are not made here; its factors are compared.
fn extraction(pack: &Pack, value: &Value) -> Result<Verdict> {
    let family = value["family"].as_str().context("a family")?;
    let mode = value["mode"].as_str().context("a mode")?;
    let number = |which: &str| value[which].as_f64().unwrap_or(0.0);
    let keep = |which: &str| match mode {
        "threshold" => Keep::Threshold(number(which)),
        "ratio" => Keep::Ratio(number(which)),
        "quantile" => Keep::Quantile(number(which)),
        _ => Keep::Most,
    };
    let rank = |which: &str| if mode == "fixed" { number(which) as usize } else { usize::MAX };
    let output = pack.output(Some(SavePrecision::F16));
    let request = Extract {
        base: pack.model(&format!("models/{family}_tiny"))?,
        tuned: pack.model(&format!("{family}_tuned"))?,
        kind: if mode == "full" { Kind::Full } else { Kind::Lora },
        keep: keep("linear"),
        keep_conv: Some(keep("conv")),
        rank: rank("linear"),
        conv_rank: Some(rank("conv")),
        parts: Part::ADAPTED.to_vec(),
        full_difference: false,
        like: Like::Lycoris,
        clamp_quantile: None,
        min_diff: None,
        tucker: value["small_conv"].as_bool().unwrap_or(true) && mode != "full",
    };
    extract(&request, &output, BTreeMap::new(), &|_, _| true)?;
    if let Some(parts) = value["full_parts"].as_str() {
        let verdict = check::parts(&output.path, &pack.file(parts), 2e-3)?;
        if !matches!(verdict, Verdict::Same) {
            return Ok(verdict);
        }
    }
    match value["file"].as_str() {
        Some(file) => check::low_rank(&output.path, &pack.file(file), Nearness::exact(2e-3)),
        None => Ok(Verdict::Same),
    }
}
