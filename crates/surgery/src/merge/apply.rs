//! One module on one tensor of a checkpoint, at a strength.

use crate::kind::{Base, Change, Magnitudes, Module, Side, WeightShape};
use crate::like::Like;
use crate::matrix::Matrix;

/// Where a module acts in a tensor.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Which third of the tensor's rows, where three layers are one.
    pub third: Option<usize>,
    /// The size of the layer's weight.
    pub shape: Option<WeightShape>,
    /// The tensor is the layer's bias.
    pub is_bias: bool,
}

/// How a module acts.
#[derive(Debug, Clone, Copy)]
pub struct How {
    /// Its strength.
    pub strength: f64,
    /// Whose numbers.
    pub like: Like,
}

/// Adds what a module changes to a tensor's values.
///
/// # Errors
/// When the module does not fit.
pub fn apply(values: &mut [f32], module: &Module, place: Place, how: How) -> Result<(), String> {
    let range = match place.third {
        Some(third) => third * values.len() / 3..(third + 1) * values.len() / 3,
        None => 0..values.len(),
    };
    let own = &mut values[range];
    if place.is_bias {
        let Some(bias) = &module.bias else { return Ok(()) };
        if bias.len() != own.len() {
            return Err(format!("its bias has {} values, that of the layer {}", bias.len(), own.len()));
        }
        let strength = if how.like == Like::Supermerger { 1.0 } else { how.strength as f32 };
        own.iter_mut().zip(bias).for_each(|(value, more)| *value += strength * more);
        return Ok(());
    }
    let shape = place.shape.ok_or("the layer is neither a matrix nor a convolution")?;
    if own.len() != shape.outputs * shape.columns() {
        return Err("the layer has another size than its checkpoint says".into());
    }
    if let (Some(Change::LowRank(factors)), None, Like::Ours | Like::SdScripts) =
        (&module.change, &module.dora, how.like)
        && (factors.up.rows, factors.down.columns) == (shape.outputs, shape.columns())
    {
        // In place, which most merges are.
        Matrix::add_product(own, how.strength * factors.scale, &factors.up, &factors.down);
        return Ok(());
    }
    let weight = Matrix::new(shape.outputs, shape.columns(), own.to_vec());
    // A net for the latent alone, on a UNet for inpainting.
    let seen_shape = WeightShape { inputs: module.shape.inputs, ..shape };
    let is_part = module.shape.inputs < shape.inputs && module.change.is_some();
    if !is_part {
        own.copy_from_slice(&changed(module, Base { weight: &weight, shape }, how)?.values);
        return Ok(());
    }
    let seen = weight.first_columns(seen_shape.columns());
    let changed = changed(module, Base { weight: &seen, shape: seen_shape }, how)?;
    for (to, from) in own.chunks_exact_mut(shape.columns()).zip(changed.values.chunks_exact(seen_shape.columns())) {
        to[..from.len()].copy_from_slice(from);
    }
    Ok(())
}

/// The weight as a module makes it.
fn changed(module: &Module, base: Base<'_>, how: How) -> Result<Matrix, String> {
    match how.like {
        Like::Ours | Like::SdScripts => linear(module, base, how.strength),
        Like::Lycoris => as_lycoris(module, base, how.strength),
        Like::Supermerger => as_supermerger(module, base, how.strength),
    }
}

fn linear(module: &Module, base: Base<'_>, strength: f64) -> Result<Matrix, String> {
    let mut changed = base.weight.clone();
    if let Some(delta) = module.delta(Some(base))? {
        changed.add(strength, &delta);
    }
    Ok(changed)
}

/// LyCORIS 3.4's `merge.py`.
fn as_lycoris(module: &Module, base: Base<'_>, strength: f64) -> Result<Matrix, String> {
    if let Some(magnitudes) = &module.dora {
        // V·(m·(f − 1) + 1), the direction at full strength.
        let mut whole = Module { dora: None, ..module.clone() }.delta(Some(base))?.ok_or("it has no change")?;
        whole.add(1.0, base.weight);
        let factors = magnitudes.factors(base, &whole);
        let mixed: Vec<f32> = factors.iter().map(|factor| strength as f32 * (factor - 1.0) + 1.0).collect();
        return Ok(magnitudes.side.scaled(Base { weight: &whole, ..base }, &mixed));
    }
    match &module.change {
        Some(Change::Hadamard(_, _, scale) | Change::Kronecker(_, _, scale)) => linear(module, base, strength * scale),
        Some(Change::Oft(oft)) => {
            let rotated = oft.rotated(base.weight, strength as f32);
            Ok(match &oft.rescale {
                Some(rescale) => Side::Outputs.scaled(Base { weight: &rotated, ..base }, rescale),
                None => rotated,
            })
        }
        _ => linear(module, base, strength),
    }
}

/// supermerger's copy of the web UI's modules, whose factors are multiplied with the ratio beforehand.
fn as_supermerger(module: &Module, base: Base<'_>, strength: f64) -> Result<Matrix, String> {
    let Some(magnitudes) = &module.dora else { return linear(module, base, strength) };
    let plain = Module { dora: None, ..module.clone() };
    let whole = linear(&plain, base, strength)?;
    // Divided along inputs, whatever side the magnitudes are of.
    let ones = Magnitudes { values: vec![1.0; base.shape.inputs], side: Side::Inputs };
    let directions = Side::Inputs.scaled(Base { weight: &whole, ..base }, &ones.factors(base, &whole));
    Ok(magnitudes.side.scaled(Base { weight: &directions, ..base }, &magnitudes.values))
}
