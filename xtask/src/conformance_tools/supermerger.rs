//! supermerger: checkpoints with each other, LoRAs with each other, LoRAs into a checkpoint.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use lorabake_recipe::model::Family;
use lorabake_recipe::output::SavePrecision;
use lorabake_surgery::block::BlockWeights;
use lorabake_surgery::kind::{Base, Module};
use lorabake_surgery::like::Like;
use lorabake_surgery::lowered::BaseModel;
use lorabake_surgery::matrix::Matrix;
use lorabake_surgery::merge::into_model::{IntoModel, into_model};
use lorabake_surgery::merge::models::modes::{Mode, Ratios};
use lorabake_surgery::merge::models::ratio::{Choice, Chosen, Ratio, elements};
use lorabake_surgery::merge::models::{How, MergeModels, VaeChoice, merge_models};
use lorabake_surgery::merge::nets::{MergeNets, Ranks, merge_nets};
use lorabake_surgery::merge::peers::{PeerSum, merge_like_peers};
use lorabake_surgery::net::{NetUse, Strength};
use lorabake_weights::Checkpoint;
use lorabake_weights::lora::NetTensors;
use serde_json::Value;

use super::Verdict;
use super::check::{self, Nearness};
use super::pack::Pack;

/// Replays a case.
///
/// # Errors
/// When files cannot be read, or what is done here is refused.
pub fn case(pack: &Pack, _name: &str, value: &Value) -> Result<Verdict> {
    match value["function"].as_str() {
        None => models(pack, value),
        Some("newpluslora") => plus_lora(pack, value),
        Some("merge_lora_models" | "merge_lora_models_dim" | "extract_two") => loras(pack, value),
        Some(other) => bail!("{other} is not known"),
    }
}

fn family(value: &Value) -> Family {
    if value["family"] == "sdxl" { Family::Sdxl } else { Family::Sd1 }
}

fn numbers(value: &Value) -> Result<Vec<f64>> {
    value.as_array().context("a list")?.iter().map(|number| number.as_f64().context("a number")).collect()
}

fn ratio(value: &Value, which: &str, family: Family) -> Result<Ratio> {
    let mut ratio = Ratio::everywhere(value[which].as_f64().unwrap_or(0.0));
    if let Some(list) = value[format!("weights_{which}")].as_str() {
        let numbers: Result<Vec<f64>, _> = list.split(',').map(str::parse).collect();
        ratio.blocks = Some(BlockWeights::of_list(&numbers?, family, 0.0).map_err(anyhow::Error::msg)?);
    }
    if let (Some(words), "alpha") = (value["elemental"].as_str(), which) {
        ratio.elements = elements(words, family).map_err(anyhow::Error::msg)?;
    }
    Ok(ratio)
}

/// The formula of a case.
fn mode(value: &Value) -> Mode {
    match (value["calcmode"].as_str().unwrap_or("normal"), value["mode"].as_str().unwrap_or_default()) {
        ("cosineA", _) => Mode::CosineA,
        ("cosineB", _) => Mode::CosineB,
        ("trainDifference", _) => Mode::TrainDifference,
        ("smoothAdd", _) => Mode::SmoothAdd,
        ("extract", _) => Mode::Extract { gamma: value["gamma"].as_f64().unwrap_or(0.0) },
        ("tensor", _) => Mode::Tensor,
        ("tensor2", _) => Mode::TensorColumns,
        (_, "Add difference") => Mode::AddDifference,
        (_, "Triple sum") => Mode::TripleSum,
        (_, "sum Twice") => Mode::SumTwice,
        _ => Mode::WeightedSum,
    }
}

fn models(pack: &Pack, value: &Value) -> Result<Verdict> {
    let family = family(value);
    let mode = mode(value);
    let alpha = ratio(value, "alpha", family);
    if let (Some(why), Err(ours)) = (value["error"].as_str(), &alpha) {
        // A list of blocks that both refuse.
        return Ok(if why.contains("weights alpha value must be") && ours.to_string().contains("no list of blocks") {
            Verdict::Same
        } else {
            Verdict::Differs(ours.to_string())
        });
    }
    let mut files = Vec::new();
    let count = if mode.needs_third() { 3 } else { 2 };
    for name in value["models"].as_array().context("models")?.iter().take(count) {
        files.push(pack.model(name.as_str().context("a name")?)?);
    }
    let how = match value["inex"].as_str() {
        Some("Exclude") => Choice::Exclude,
        Some("Include") => Choice::Include,
        _ => Choice::All,
    };
    let mut named: Vec<&str> = value["blocks"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    named.extend(value["elements"].as_str());
    let adjust = match value["adjust"].as_str() {
        Some(text) => {
            let numbers: Result<Vec<f64>, _> = text.split(',').map(str::parse).collect();
            Some(<[f64; 8]>::try_from(numbers?).ok().context("eight numbers")?)
        }
        None => None,
    };
    let before = files[0].clone();
    let is_half = before.to_string_lossy().contains("A16");
    let output = pack.output(None);
    let request = MergeModels {
        models: files,
        how: How::Formula { mode, alpha: alpha?, beta: ratio(value, "beta", family)? },
        chosen: Chosen::parse(how, &named.join(",")),
        vae: VaeChoice::Merged,
        adjust,
        like: Like::Supermerger,
    };
    merge_models(&request, &output, BTreeMap::new(), &|_, _| true)?;
    let Some(file) = value["file"].as_str() else {
        // Theirs ends in an error where ours has the formula's numbers, as the case without that option has them.
        let twin = pack.file("supermerger/add_difference_f16");
        return check::model(&output.path, &twin, &before, 1e-3);
    };
    let tolerance = if is_half { 1e-3 } else { 1e-6 };
    check::model(&output.path, &pack.file(file), &before, tolerance)
}

/// The strengths of the nets of a case, lists of 26.
fn nets(pack: &Pack, value: &Value, lists: &str) -> Result<Vec<NetUse>> {
    let mut nets = Vec::new();
    for (index, name) in value["models"].as_array().context("models")?.iter().enumerate() {
        let name = name.as_str().context("a name")?;
        let mut numbers = numbers(&value[lists][index])?;
        let family = if name.contains("sdxl") { Family::Sdxl } else { Family::Sd1 };
        if family == Family::Sdxl {
            // Their list of 26 has the middle block at 13 for SDXL too, as ours.
            numbers.truncate(26);
        }
        let mut strength = Strength::everywhere(1.0);
        strength.blocks = Some(BlockWeights::of_list(&numbers, family, 0.0).map_err(anyhow::Error::msg)?);
        nets.push(NetUse { path: pack.file(name), strength });
    }
    Ok(nets)
}

fn plus_lora(pack: &Pack, value: &Value) -> Result<Verdict> {
    let nets = nets(pack, value, "block_weights")?;
    if value["error"].is_string() {
        return by_formula(pack, &nets[0].path, value["block_weights"][0][0].as_f64().context("a ratio")?);
    }
    let model = pack.model(if value["family"] == "sdxl" { "sdxl_A" } else { "sd15_A" })?;
    let output = pack.output(Some(SavePrecision::F32));
    let request = IntoModel { model: model.clone(), vae: None, nets, like: Like::Supermerger, without_averages: false };
    into_model(&request, &output, BTreeMap::new(), &|_, _| true)?;
    check::model(&output.path, &pack.file(value["file"].as_str().context("a file")?), &model, 1e-6)
}

fn loras(pack: &Pack, value: &Value) -> Result<Verdict> {
    let mut nets = nets(pack, value, "block_ratios")?;
    let same = value["sets"].as_array().into_iter().flatten().any(|set| set == "same to Strength");
    let output = pack.output(Some(SavePrecision::F32));
    let recorded = pack.file(value["file"].as_str().context("a file")?);
    if let Some(rank) = value["new_rank"].as_u64() {
        if same {
            // Their square root of the ratio, 0.36 acting as 0.6: ours asked for that.
            for (index, used) in nets.iter_mut().enumerate() {
                let ratio = value["block_ratios"][index][0].as_f64().context("a ratio")?;
                used.strength = Strength::everywhere(ratio.abs().sqrt().copysign(ratio));
            }
        }
        let ranks = Ranks::AtMost(rank as usize, rank as usize);
        merge_nets(&MergeNets { nets, ranks, base: None }, &output, BTreeMap::new(), &|_, _| true)?;
        let near = Nearness { module: 0.2, whole: 0.05, ranks: false };
        return check::clamped(&output.path, &recorded, 0.99, near);
    }
    let number = |name: &str| value[name].as_f64().context("a number");
    let sum = if value["function"] == "extract_two" {
        let ratios = Ratios { alpha: number("alpha")?, beta: number("beta")? };
        PeerSum::ExtractTwo { ratios, gamma: number("gamma")? }
    } else if same {
        PeerSum::SameToStrength
    } else {
        PeerSum::AddedUnsigned
    };
    merge_like_peers(&nets, sum, &output, BTreeMap::new())?;
    check::loras(&output.path, &recorded, Nearness { ranks: false, ..Nearness::exact(1e-6) })
}

/// Where the original fails: ours beside W + weight · ΔW, with ΔW by the formula.
///
/// # Errors
/// When files cannot be read, or what is done here is refused.
pub fn by_formula(pack: &Pack, net: &Path, weight: f64) -> Result<Verdict> {
    let model = pack.model("models/sd15_tiny")?;
    let output = pack.output(Some(SavePrecision::F32));
    let nets = vec![NetUse { path: net.to_path_buf(), strength: Strength::everywhere(weight) }];
    let request = IntoModel { model: model.clone(), vae: None, nets, like: Like::Ours, without_averages: false };
    into_model(&request, &output, BTreeMap::new(), &|_, _| true)?;
    let before = BaseModel::of(Checkpoint::open(&model)?);
    let after = BaseModel::of(Checkpoint::open(&output.path)?);
    let tensors = NetTensors::open(net)?;
    for name in tensors.modules() {
        let (Some(old), Some(new)) = (before.weight(name)?, after.weight(name)?) else { bail!("{name} is no layer") };
        let Some(size) = before.size(name) else { bail!("{name} is no layer") };
        let module = Module::fit(&tensors.read(name)?, Some(size.shape)).map_err(anyhow::Error::msg)?;
        let base = Base { weight: &old, shape: size.shape };
        let Some(delta) = module.delta(Some(base)).map_err(anyhow::Error::msg)? else { continue };
        let mut want: Matrix = old.clone();
        want.add(weight, &delta);
        let error = check::apart(&new.values, &want.values);
        if error > 1e-6 || delta.norm() == 0.0 {
            return Ok(Verdict::Differs(format!("{name} is {error:.1e} from the formula")));
        }
    }
    Ok(Verdict::Same)
}
