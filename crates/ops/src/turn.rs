//! Channels by places into places by channels and back, by all threads, in squares that fit the cache's lines.

use std::sync::Arc;

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::frozen_op::{FrozenOp, Keeps, apply};
use crate::shared_output::{SharedOutput, filled};

/// Rows and columns of a square: what one line of the cache holds.
const SIDE: usize = 16;

/// # Shapes
/// - x: [B, R, C]
/// - output: [B, C, R]
pub fn turned(x: Tensor<3>) -> Tensor<3> {
    apply(Arc::new(Turn), x)
}

#[cfg(test)]
pub(crate) fn op() -> Arc<dyn FrozenOp> {
    Arc::new(Turn)
}

#[derive(Debug)]
struct Turn;

impl FrozenOp for Turn {
    fn output_shape(&self, input: &[usize]) -> Vec<usize> {
        let mut shape = input.to_vec();
        shape.swap(input.len() - 2, input.len() - 1);
        shape
    }

    fn forward(&self, x: &[f32], shape: &[usize]) -> Vec<f32> {
        let [rows, columns] = [shape[shape.len() - 2], shape[shape.len() - 1]];
        turn(x, rows, columns)
    }

    fn keeps(&self) -> Keeps {
        Keeps::Nothing
    }

    fn backward(&self, _: &[f32], shape: &[usize], dy: &[f32]) -> Vec<f32> {
        let [rows, columns] = [shape[shape.len() - 2], shape[shape.len() - 1]];
        turn(dy, columns, rows)
    }

    fn forward_on_device(&self, x: Tensor<4>) -> Tensor<4> {
        x.swap_dims(2, 3)
    }

    #[cfg(any(test, feature = "cube"))]
    fn backward_on_device(&self, _: Option<Tensor<4>>, _: [usize; 4], dy: Tensor<4>) -> Tensor<4> {
        dy.swap_dims(2, 3)
    }
}

/// Matrices of `rows` × `columns`, one after another, each turned.
fn turn(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let bands = columns.div_ceil(SIDE);
    let count = x.len() / (rows * columns).max(1);
    let fill = |out: &SharedOutput<'_>| {
        (0..count * bands).into_par_iter().for_each(|index| {
            let (matrix, first) = (index / bands * rows * columns, index % bands * SIDE);
            let width = SIDE.min(columns - first);
            // SAFETY: a task's rows are its own.
            let out = unsafe { out.part(matrix + first * rows, width * rows) };
            turn_band(&x[matrix..][..rows * columns], (rows, columns), first, out);
        });
    };
    // SAFETY: the bands of all matrices are all of it.
    unsafe { filled(x.len(), fill) }
}

/// Columns from `first` on, `out.len() / rows` of them, as rows.
fn turn_band(x: &[f32], (rows, columns): (usize, usize), first: usize, out: &mut [f32]) {
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
