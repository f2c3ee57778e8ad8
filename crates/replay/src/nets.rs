//! `nets/`: names of modules, and what one module of a net adds to the weight and bias of its layer.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use lorabake_adapter::{Adapters, LayerShape, NetModule, NetTensor, NetUse, NormChange, Role, Site, Sites};
use lorabake_lora::NetStrength;
use lorabake_ops::{ConvShape, FrozenMatrix, WeightDtype};
use lorabake_weights::keys::webui;
use serde_json::Value;

use crate::{Case, Pack, Tensors, close, same};

/// Of the largest value: f32, and sums in another order.
const TOLERANCE: f64 = 2e-6;

pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = names(pack)?;
    if pack.has("nets/updown.json") {
        let tensors = pack.tensors("nets/updown.safetensors")?;
        for case in pack.cases("nets/updown.json")? {
            let name = case["name"].as_str().context("a case has no name")?;
            cases.push(Case::of(format!("updown.json {name}"), updown(&case, name, &tensors)?));
        }
    }
    Ok(cases)
}

fn names(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (index, case) in pack.cases("nets/names.json")?.iter().enumerate() {
        let key = case["key"].as_str().context("a case has no key")?;
        let ours = [webui::module_name(key, false), webui::module_name(key, true)];
        let recorded = [&case["sd1"], &case["sd2"]].map(|name| name.as_str().unwrap_or_default().to_owned());
        cases.push(Case::of(format!("names.json {index}"), same(&ours, &recorded)));
    }
    Ok(cases)
}

/// A tensor of the module as the file has it.
struct Stored {
    shape: Vec<usize>,
    values: Vec<f32>,
}

fn updown(case: &Value, name: &str, tensors: &Tensors) -> Result<Result<(), String>> {
    let mut stored = BTreeMap::new();
    for leaf in case["tensors"].as_array().context("a case has no tensors")? {
        let leaf = leaf.as_str().context("a tensor has no name")?;
        let key = format!("{name}.in.{leaf}");
        let values = match tensors.u8(&key) {
            Ok(flags) => flags.into_iter().map(f32::from).collect(),
            Err(_) => tensors.f32(&key)?,
        };
        stored.insert(leaf, Stored { shape: tensors.shape(&key)?, values });
    }
    let module: BTreeMap<&str, NetTensor<'_>> =
        stored.iter().map(|(leaf, own)| (*leaf, NetTensor { shape: &own.shape, values: &own.values })).collect();
    let number = |key: &str| case[key].as_f64().with_context(|| format!("{name} has no {key}"));
    let strength = NetStrength {
        text: number("te_multiplier")?,
        unet: number("unet_multiplier")?,
        ranks: case["dyn_dim"].as_u64().and_then(|ranks| NonZeroUsize::new(ranks as usize)),
        ratio: &|_| 1.0,
    };
    let strength_here = strength.of(case["sd_key"].as_str().context("a case has no sd_key")?);
    let how = NetUse { strength: strength_here, ranks: strength.ranks, net: 0 };
    let shape = tensors.shape(&format!("{name}.weight"))?;
    let weight = tensors.f32(&format!("{name}.weight"))?;
    let added = match shape.as_slice() {
        [width] => on_norm(*width, &module, how),
        _ => on_layer(layer(&shape)?, weight, &module, how),
    };
    let Added { weight, bias } = match added {
        Ok(added) => added,
        Err(reason) => return Ok(Err(reason)),
    };
    let recorded = tensors.f32(&format!("{name}.updown"))?;
    if let Err(why) = close(&weight, &recorded, TOLERANCE) {
        return Ok(Err(format!("weight: {why}")));
    }
    let key = format!("{name}.bias_change");
    let recorded = if tensors.has(&key) { Some(tensors.f32(&key)?) } else { None };
    Ok(match (bias, recorded) {
        (None, None) => Ok(()),
        (Some(ours), Some(recorded)) => close(&ours, &recorded, TOLERANCE).map_err(|why| format!("bias: {why}")),
        (ours, recorded) => same(&ours, &recorded),
    })
}

/// What came to be added.
struct Added {
    weight: Vec<f32>,
    bias: Option<Vec<f32>>,
}

fn on_layer(
    layer: LayerShape,
    weight: Vec<f32>,
    module: &BTreeMap<&str, NetTensor<'_>>,
    how: NetUse,
) -> Result<Added, String> {
    let device = Device::flex();
    let columns = weight.len() / layer.outputs();
    let matrix = FrozenMatrix::new(layer.outputs(), columns, weight, WeightDtype::F32);
    let mut sites = Sites::default();
    let site = sites.add(Site { path: "layer".into(), layer, role: Role::Transformer }, matrix);
    let mut adapters = Adapters::default();
    adapters.attach_net(&sites, site, &NetModule::fit(layer, module)?, how, &device);
    let change = adapters.change(&sites, site, &device);
    let weight = change.weight.into_data().try_into_vec().map_err(|error| format!("{error:?}"))?;
    Ok(Added { weight, bias: change.bias })
}

fn on_norm(width: usize, module: &BTreeMap<&str, NetTensor<'_>>, how: NetUse) -> Result<Added, String> {
    let mut sites = Sites::default();
    let site = sites.add_norm("norm", width);
    let mut adapters = Adapters::default();
    adapters.attach_norm(site, NormChange::fit(width, module)?, how.strength, how.net);
    let change = adapters.norm(site).ok_or("nothing is attached")?;
    Ok(Added { weight: change.scale, bias: change.shift })
}

fn layer(shape: &[usize]) -> Result<LayerShape> {
    Ok(match *shape {
        [outputs, inputs] => LayerShape::Linear { inputs, outputs },
        [outputs, inputs, kernel, _] => {
            LayerShape::Conv(ConvShape { inputs, outputs, kernel, stride: 1, padding: kernel / 2 })
        }
        _ => bail!("a layer of shape {shape:?}"),
    })
}
