//! Matrices into their transposes, such as channels by pixels into pixels by channels, by all threads, in squares that fit the cache's lines.

use std::sync::Arc;

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::frozen_op::{FrozenOp, SavedForBackward, apply};
use crate::shared_output::{SharedOutput, filled};

/// Rows and columns of a square: what one line of the cache holds.
const SIDE: usize = 16;

/// The transpose of each matrix of a batch.
///
/// # Shapes
/// - x: [B, R, C]
/// - output: [B, C, R]
pub fn transpose(x: Tensor<3>) -> Tensor<3> {
    apply(Arc::new(Transpose), x)
}

#[cfg(test)]
pub(crate) fn op() -> Arc<dyn FrozenOp> {
    Arc::new(Transpose)
}

#[derive(Debug)]
struct Transpose;

impl FrozenOp for Transpose {
    fn output_shape(&self, input: &[usize]) -> Vec<usize> {
        let mut shape = input.to_vec();
        shape.swap(input.len() - 2, input.len() - 1);
        shape
    }

    fn forward(&self, x: &[f32], shape: &[usize]) -> Vec<f32> {
        let [rows, columns] = [shape[shape.len() - 2], shape[shape.len() - 1]];
        transposed(x, rows, columns)
    }

    fn saved_for_backward(&self) -> SavedForBackward {
        SavedForBackward::Nothing
    }

    fn backward(&self, _: &[f32], shape: &[usize], dy: &[f32]) -> Vec<f32> {
        let [rows, columns] = [shape[shape.len() - 2], shape[shape.len() - 1]];
        transposed(dy, columns, rows)
    }

    fn forward_on_device(&self, x: Tensor<4>) -> Tensor<4> {
        x.swap_dims(2, 3)
    }

    #[cfg(any(test, feature = "cube"))]
    fn backward_on_device(&self, _: Option<Tensor<4>>, _: [usize; 4], dy: Tensor<4>) -> Tensor<4> {
        dy.swap_dims(2, 3)
    }
}

/// The transposes of matrices of `rows` × `columns` that lie one after another.
fn transposed(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let bands = columns.div_ceil(SIDE);
    let count = x.len() / (rows * columns).max(1);
    let fill = |out: &SharedOutput<'_>| {
        (0..count * bands).into_par_iter().for_each(|index| {
            let matrix = index / bands * rows * columns;
            let first = index % bands * SIDE;
            let width = SIDE.min(columns - first);
            // SAFETY: a task's rows are its own.
            let out = unsafe { out.part(matrix + first * rows, width * rows) };
            transpose_band(&x[matrix..][..rows * columns], columns, first, out);
        });
    };
    // SAFETY: the bands of all matrices are all of it.
    unsafe { filled(x.len(), fill) }
}

/// Columns of a matrix from `first` on, as many as `out` has room for, as rows.
fn transpose_band(x: &[f32], columns: usize, first: usize, out: &mut [f32]) {
    let rows = x.len() / columns;
    let width = out.len() / rows;
    let mut square = [[0.0f32; SIDE]; SIDE];
    for row in (0..rows).step_by(SIDE) {
        let height = SIDE.min(rows - row);
        for (r, line) in square[..height].iter_mut().enumerate() {
            line[..width].copy_from_slice(&x[(row + r) * columns + first..][..width]);
        }
        for c in 0..width {
            let out = &mut out[c * rows + row..][..height];
            out.iter_mut().zip(&square).for_each(|(to, line)| *to = line[c]);
        }
    }
}
