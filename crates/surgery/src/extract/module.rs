//! A layer's difference as a module: how many ranks, and in which form.

use safetensors::Dtype;

use super::layer::{Group, Layer, Made, group};
use super::peers;
use super::request::{Extract, Keep, Kind};
use crate::like::Like;
use crate::lora_file::Ready;
use crate::matrix::Matrix;
use crate::spectrum::Spectrum;

/// Whether the whole difference of a layer is kept.
pub(super) fn is_whole(request: &Extract, layer: &Layer) -> bool {
    if request.kind == Kind::Full {
        return true;
    }
    match group(&layer.keys) {
        Group::Outer => request.like != Like::Lycoris,
        Group::Residual => request.conv_rank.is_none(),
        Group::Attention | Group::Norm => false,
    }
}

/// Makes a layer's module of its difference.
///
/// # Errors
/// When its singular values cannot be found.
pub(super) fn made(
    request: &Extract,
    layer: &Layer,
    difference: Matrix,
    rank: Option<usize>,
    dtype: Dtype,
) -> std::result::Result<Made, String> {
    if is_whole(request, layer) {
        return Ok(whole(layer, &difference, dtype));
    }
    if let Kind::Lokr(factor) = request.kind {
        return peers::lokr(layer, &difference, factor, request.rank, dtype);
    }
    let most = most(request, layer);
    let fixed = rank.or(if keep(request, layer) == Keep::Most { Some(most) } else { None });
    let spectrum = Spectrum::of_matrix(&difference, fixed.unwrap_or(most))?;
    let rank = fixed.unwrap_or_else(|| by_rule(keep(request, layer), &spectrum.s).clamp(1, most));
    if request.like == Like::Lycoris && 2 * rank >= layer.shape.outputs {
        return Ok(whole(layer, &difference, dtype));
    }
    if rank == 0 {
        return Ok(Made { ready: Ready::default(), rank: Some(0), lost: layer.energy });
    }
    let module = &layer.keys.module;
    let ready = if request.tucker && layer.is_wide() {
        peers::tucker(layer, &spectrum, rank, dtype)?
    } else {
        let mut factors = spectrum.factors(rank);
        if let Some(quantile) = request.clamp_quantile {
            factors = spectrum.clamped(rank, quantile);
        }
        Ready::low_rank(module, &factors, layer.form, dtype)
    };
    let kept: f64 = spectrum.s.iter().take(rank).map(|value| value * value).sum();
    Ok(Made { ready, rank: Some(rank), lost: (layer.energy - kept).max(0.0) })
}

fn whole(layer: &Layer, difference: &Matrix, dtype: Dtype) -> Made {
    let shape = match layer.form.kernel {
        Some([height, width]) => vec![difference.rows, layer.form.inputs, height, width],
        None => vec![difference.rows, difference.columns],
    };
    let mut ready = Ready::default();
    ready.push(format!("{}.diff", layer.keys.module), shape, &difference.values, dtype);
    Made { ready, rank: None, lost: 0.0 }
}

/// The rule for a layer's rank.
fn keep(request: &Extract, layer: &Layer) -> Keep {
    match request.keep_conv {
        Some(keep) if layer.is_wide() => keep,
        _ => request.keep,
    }
}

/// The highest rank of a layer. Of wide convolutions the peers count input channels, not the columns of the matrix.
fn most(request: &Extract, layer: &Layer) -> usize {
    let shape = layer.shape;
    let asked = if layer.is_wide() { request.conv_rank.unwrap_or(usize::MAX) } else { request.rank };
    let inputs = if request.like == Like::Ours { shape.columns() } else { shape.inputs };
    asked.min(shape.outputs).min(inputs)
}

fn by_rule(keep: Keep, values: &[f64]) -> usize {
    let first = values.first().copied().unwrap_or(0.0);
    match keep {
        Keep::Most | Keep::Bytes(_) => values.len(),
        Keep::Ratio(share) => values.iter().filter(|value| **value > first * share).count(),
        Keep::Threshold(least) => values.iter().filter(|value| **value > least).count(),
        Keep::Energy(share) => {
            let whole: f64 = values.iter().map(|value| value * value).sum();
            let mut sum = 0.0;
            for (index, value) in values.iter().enumerate() {
                sum += value * value;
                if sum >= share * whole {
                    return index + 1;
                }
            }
            values.len()
        }
        Keep::Quantile(share) => {
            let whole: f64 = values.iter().sum();
            let mut sum = 0.0;
            let mut count = 0;
            for value in values {
                sum += value;
                count += usize::from(sum < share * whole);
            }
            count
        }
    }
}
