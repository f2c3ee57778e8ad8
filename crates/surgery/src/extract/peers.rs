//! Forms beside the plain one: LoKr's nearest Kronecker product, and LyCORIS' second truncation, by name only.

use safetensors::Dtype;

use super::layer::{Layer, Made};
use crate::kind::{Factors, Product, products};
use crate::lora_file::Ready;
use crate::matrix::Matrix;
use crate::spectrum::Spectrum;

/// LyCORIS' Tucker form of a wide convolution: the factor on the input's side is truncated once more, to the same rank.
///
/// # Errors
/// When its singular values cannot be found.
pub(super) fn tucker(layer: &Layer, spectrum: &Spectrum, rank: usize, dtype: Dtype) -> Result<Ready, String> {
    let mut up = spectrum.u.first_columns(rank);
    for row in up.values.chunks_exact_mut(rank) {
        row.iter_mut().zip(&spectrum.s).for_each(|(value, singular)| *value *= *singular as f32);
    }
    let (inputs, taps) = (layer.shape.inputs, layer.shape.taps);
    let down = spectrum.v.first_rows(rank);
    // Inputs before ranks.
    let mut turned = Matrix::zeros(inputs, rank * taps);
    for row in 0..rank {
        for input in 0..inputs {
            let from = &down.row(row)[input * taps..(input + 1) * taps];
            let to = input * turned.columns + row * taps;
            turned.values[to..to + taps].copy_from_slice(from);
        }
    }
    let second = Spectrum::of_matrix(&turned, rank)?;
    let count = rank.min(second.u.columns);
    let mut core = Matrix::zeros(rank, count * taps);
    for inner in 0..count {
        for row in 0..rank {
            let from = &second.v.row(inner)[row * taps..(row + 1) * taps];
            let to = row * core.columns + inner * taps;
            core.values[to..to + taps].copy_from_slice(from);
        }
    }
    let mut narrow = second.u.first_columns(count);
    for row in narrow.values.chunks_exact_mut(count) {
        row.iter_mut().zip(&second.s).for_each(|(value, singular)| *value *= *singular as f32);
    }
    let narrow = narrow.transposed();
    let [height, width] = layer.form.kernel.unwrap_or([1, 1]);
    let name = &layer.keys.module;
    let mut ready = Ready::default();
    ready.push(format!("{name}.alpha"), Vec::new(), &[rank as f32], dtype);
    ready.push(format!("{name}.lora_down.weight"), vec![count, inputs, 1, 1], &narrow.values, dtype);
    ready.push(format!("{name}.lora_mid.weight"), vec![rank, count, height, width], &core.values, dtype);
    ready.push(format!("{name}.lora_up.weight"), vec![up.rows, rank, 1, 1], &up.values, dtype);
    Ok(ready)
}

/// The nearest Kronecker product (Van Loan and Pitsianis 1993): D with its four sides regrouped has w1 and w2 as its first
/// singular vectors. w2 is cut to `rank` where that is smaller than half its sides, as LyCORIS has it.
///
/// # Errors
/// When its singular values cannot be found.
pub(super) fn lokr(
    layer: &Layer,
    difference: &Matrix,
    factor: Option<usize>,
    rank: usize,
    dtype: Dtype,
) -> Result<Made, String> {
    let (rows, columns) = (factors(layer.shape.outputs, factor), factors(layer.shape.inputs, factor));
    let taps = layer.shape.taps;
    let inner = columns.1 * taps;
    let mut regrouped = Matrix::zeros(rows.0 * columns.0, rows.1 * inner);
    for row in 0..difference.rows {
        for outer in 0..columns.0 {
            let from = &difference.row(row)[outer * inner..(outer + 1) * inner];
            let to = (row / rows.1 * columns.0 + outer) * regrouped.columns + row % rows.1 * inner;
            regrouped.values[to..to + inner].copy_from_slice(from);
        }
    }
    let spectrum = Spectrum::of_matrix(&regrouped, 1)?;
    let root = spectrum.s[0].sqrt();
    let first = Matrix::new(rows.0, columns.0, spectrum.u.values.clone()).scaled(root);
    let second = Matrix::new(rows.1, inner, spectrum.v.values.clone()).scaled(root);
    let name = &layer.keys.module;
    let mut ready = Ready::default();
    ready.push(format!("{name}.lokr_w1"), vec![rows.0, columns.0], &first.values, dtype);
    let is_whole = 2 * rank >= rows.1.max(columns.1);
    let second = if is_whole {
        let shape = match layer.form.kernel {
            Some([height, width]) => vec![rows.1, columns.1, height, width],
            None => vec![rows.1, columns.1],
        };
        ready.push(format!("{name}.alpha"), Vec::new(), &[rank as f32], dtype);
        ready.push(format!("{name}.lokr_w2"), shape, &second.values, dtype);
        second
    } else {
        let Factors { up, down, .. } = Spectrum::of_matrix(&second, rank)?.factors(rank);
        ready.push(format!("{name}.alpha"), Vec::new(), &[rank as f32], dtype);
        ready.push(format!("{name}.lokr_w2_a"), vec![up.rows, rank], &up.values, dtype);
        ready.push(format!("{name}.lokr_w2_b"), vec![rank, down.columns], &down.values, dtype);
        Product { left: up, right: down }.whole()
    };
    let mut rest = products::kronecker(&first, &second, 1.0);
    rest.add(-1.0, difference);
    Ok(Made { ready, rank: Some(rank), lost: rest.norm().powi(2) })
}

/// LyCORIS' `factorization`: a dimension as a smaller times a larger number, the smaller at most `factor`.
fn factors(dimension: usize, factor: Option<usize>) -> (usize, usize) {
    if let Some(factor) = factor
        && factor > 0
        && dimension.is_multiple_of(factor)
    {
        let other = dimension / factor;
        return (factor.min(other), factor.max(other));
    }
    let mut smaller = 1;
    for candidate in 1..=factor.unwrap_or(dimension) {
        if candidate * candidate > dimension {
            break;
        }
        if dimension.is_multiple_of(candidate) {
            smaller = candidate;
        }
    }
    (smaller, dimension / smaller)
}
