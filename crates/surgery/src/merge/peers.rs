//! Nets with each other as sd-scripts and supermerger add them, for whoever must reproduce their numbers: by name only.
//!
//! sd-scripts' `merge_lora.py`: both factors times √(αᵢ/α₁)·ratio (up by its absolute value), then added factor by factor, or
//! side by side with the alpha of the first; so the ratio counts twice, and factors of different files meet. supermerger's
//! "same to Strength": √|ratio| on both, the sign on down. Lists of blocks multiply as the ratio does.

use std::collections::BTreeMap;
use std::path::Path;

use lorabake_recipe::model::Family;
use safetensors::Dtype;

use super::models::modes::{self, Mode, Ratios, Tensors};
use super::nets::OpenNets;
use crate::block::Block;
use crate::error::{Error, Result};
use crate::kind::{Change, Factors};
use crate::lora_file::{self, Form, Ready};
use crate::net::{self, NetUse};
use crate::output::Output;

/// Whose sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PeerSum {
    /// `merge_lora.py`: factors are added.
    Added,
    /// supermerger without "same to Strength": the ratio's sign is on both factors, and so without effect.
    AddedUnsigned,
    /// `merge_lora.py --concat`: factors stand side by side, alpha is the first file's.
    Concatenated,
    /// supermerger with "same to Strength": factors are added.
    SameToStrength,
    /// supermerger's "extract" of two LoRAs, whose formula for weights it applies to each factor.
    ExtractTwo {
        /// α and β
        ratios: Ratios,
        /// How much likeness counts.
        gamma: f64,
    },
}

/// Merges LoRAs of plain kinds.
///
/// # Errors
/// When files cannot be read, are no plain LoRAs or of different ranks, or the result cannot be written.
pub fn merge_like_peers(
    nets: &[NetUse],
    sum: PeerSum,
    output: &Output,
    metadata: BTreeMap<String, String>,
) -> Result<()> {
    let inputs: Vec<&Path> = nets.iter().map(|net| net.path.as_path()).collect();
    output.check(&inputs)?;
    let open = OpenNets::open(nets, None)?;
    let dtype = open.dtype(output);
    let mut modules = Vec::new();
    for layer in &open.layers {
        modules.push(match sum {
            PeerSum::ExtractTwo { ratios, gamma } => extracted(&open, nets, layer, &Both { ratios, gamma, dtype })?,
            _ => merged(&open, nets, layer, sum, dtype)?,
        });
    }
    lora_file::save(output, modules, metadata)
}

fn merged(open: &OpenNets, nets: &[NetUse], layer: &[(usize, String)], sum: PeerSum, dtype: Dtype) -> Result<Ready> {
    let mut whole: Option<(Factors, f64)> = None;
    let mut form = Form::guessed(0, 1);
    for (index, name) in layer {
        let file = &open.nets[*index];
        let module = net::module(file, name, None)?;
        let (Some(Change::LowRank(factors)), None) = (module.change, &module.dora) else {
            let what = format!("{name} is no plain LoRA");
            return Err(Error::wrong(file.label(), what, "leave out --like, so that all kinds are merged"));
        };
        form = Form::of(file.shape(name, "lora_down.weight").unwrap_or_default());
        let alpha = factors.scale * factors.rank() as f64;
        let first = whole.as_ref().map_or(alpha, |(_, first)| *first);
        let ratio = ratio(&nets[*index], name, open.family);
        let factor = match sum {
            PeerSum::Added | PeerSum::AddedUnsigned | PeerSum::Concatenated => ratio.abs() * (alpha / first).sqrt(),
            PeerSum::SameToStrength | PeerSum::ExtractTwo { .. } => (ratio.abs() * alpha / first).sqrt(),
        };
        let sign = if sum == PeerSum::AddedUnsigned { 1.0 } else { 1.0_f64.copysign(ratio) };
        let signs = if sum == PeerSum::AddedUnsigned { 1.0_f64.copysign(ratio) } else { 1.0 };
        let own = Factors {
            up: factors.up.scaled(factor * signs),
            down: factors.down.scaled(factor * sign * signs),
            scale: 1.0,
        };
        match &mut whole {
            None => whole = Some((own, first)),
            Some((so_far, _)) if sum == PeerSum::Concatenated => {
                *so_far = Factors::joined(&[(1.0, so_far.clone()), (1.0, own)]);
            }
            Some((so_far, _)) if so_far.rank() == own.rank() => {
                so_far.up.add(1.0, &own.up);
                so_far.down.add(1.0, &own.down);
            }
            Some(_) => {
                let what = format!("{name} has another rank than in {}", open.nets[layer[0].0].label());
                return Err(Error::wrong(file.label(), what, "leave out --like, so that ranks may differ"));
            }
        }
    }
    let (mut factors, alpha) = whole.expect("a layer has at least one module");
    factors.scale = alpha / factors.rank() as f64;
    Ok(Ready::low_rank(&layer[0].1, &factors, form, dtype))
}

/// The ratio of a module; a module without a block has that of the file.
fn ratio(used: &NetUse, name: &str, family: Family) -> f64 {
    match (&used.strength.blocks, Block::of_module(name, family)) {
        (None, _) => used.strength.unet,
        (Some(_), _) => used.strength.of(name, family),
    }
}

/// How two LoRAs are seen against each other.
struct Both {
    ratios: Ratios,
    gamma: f64,
    dtype: Dtype,
}

/// Each factor of two LoRAs by the formula for weights, with nothing for the first model.
fn extracted(open: &OpenNets, nets: &[NetUse], layer: &[(usize, String)], both: &Both) -> Result<Ready> {
    let [(one, name), (other, second)] = layer else {
        let place = open.nets[layer[0].0].label();
        return Err(Error::wrong(place, format!("{} is not in both files", layer[0].1), "give two LoRAs of one kind"));
    };
    let mut ready = Ready::default();
    let first = open.nets[*one].read(name)?;
    let more = open.nets[*other].read(second)?;
    for (leaf, tensor) in &first {
        if leaf == "alpha" {
            ready.push_same(format!("{name}.alpha"), tensor, both.dtype);
            continue;
        }
        let Some(twin) = more.get(leaf).filter(|twin| twin.shape == tensor.shape) else {
            let what = format!("{name}.{leaf} is of another size than in {}", open.nets[*one].label());
            return Err(Error::wrong(open.nets[*other].label(), what, "give two LoRAs of one rank"));
        };
        let scaled = |values: &[f32], net: usize| -> Vec<f32> {
            let factor = ratio(&nets[net], name, open.family) as f32;
            values.iter().map(|value| value * factor).collect()
        };
        let (b, c) = (scaled(&tensor.values, *one), scaled(&twin.values, *other));
        let mut values = vec![0.0; b.len()];
        let tensors = Tensors { shape: &tensor.shape, b: &b, c: &c };
        modes::merge(Mode::Extract { gamma: both.gamma }, both.ratios, &mut values, tensors, false);
        ready.push(format!("{name}.{leaf}"), tensor.shape.clone(), &values, both.dtype);
    }
    Ok(ready)
}
