//! Orthogonal finetuning (Qiu et al. 2023) of kohya and LyCORIS, and its butterflies (Liu et al. 2024):
//! ΔW = rescale ∘ (R·W) − W with a rotation R of blocks along the outputs.
//!
//! Each block is the Cayley transform (I + Q)·(I − Q)⁻¹ of a skew matrix Q = B − Bᵀ. All Q of a layer together are no
//! larger than the constraint, alpha · outputs; an alpha of 0 sets none. Old files have R itself. The blocks of OFT are
//! applied transposed, those of BOFT as they are.

use super::Scale;
use crate::matrix::Matrix;

/// Keeps the share of two norms from being that of nothings.
const EPSILON: f64 = 1e-8;

/// The rotation of one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Oft {
    /// One rotation after another: one for OFT, several for BOFT; each [blocks, side, side], row-major.
    pub stages: Vec<Vec<f32>>,
    /// Length of a block's side.
    pub side: usize,
    /// BOFT.
    pub is_butterfly: bool,
    /// One for each output.
    pub rescale: Option<Vec<f32>>,
    /// 1 unless the file has a `scale`.
    pub scale: Scale,
}

/// Skew matrices of one layer as a file has them.
#[derive(Debug, Clone, Copy)]
pub struct Skew<'v> {
    /// All blocks B, row-major.
    pub blocks: &'v [f32],
    /// Length of a block's side.
    pub side: usize,
    /// Largest norm of all Q together.
    pub constraint: Option<f64>,
}

impl Skew<'_> {
    /// The rotations, in the blocks' order.
    ///
    /// # Errors
    /// If one of them does not exist.
    pub fn rotations(&self) -> Result<Vec<f32>, String> {
        let side = self.side;
        let mut skew = Vec::with_capacity(self.blocks.len());
        for block in self.blocks.chunks_exact(side * side) {
            for row in 0..side {
                for column in 0..side {
                    skew.push(f64::from(block[row * side + column]) - f64::from(block[column * side + row]));
                }
            }
        }
        if let Some(constraint) = self.constraint {
            let norm = skew.iter().map(|value| value * value).sum::<f64>().sqrt();
            let factor = (norm.min(constraint) + EPSILON) / (norm + EPSILON);
            skew.iter_mut().for_each(|value| *value *= factor);
        }
        let mut rotations = Vec::with_capacity(skew.len());
        for block in skew.chunks_exact(side * side) {
            rotations.extend(cayley(block, side)?);
        }
        Ok(rotations)
    }
}

/// (I + Q)·(I − Q)⁻¹ of a row-major matrix, by elimination with pivots: since the two factors commute, it is the X of
/// (I − Q)·X = I + Q.
fn cayley(skew: &[f64], side: usize) -> Result<Vec<f32>, String> {
    let width = 2 * side;
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(side);
    for row in 0..side {
        let mut both = vec![0.0; width];
        for column in 0..side {
            let identity = if row == column { 1.0 } else { 0.0 };
            both[column] = identity - skew[row * side + column];
            both[side + column] = identity + skew[row * side + column];
        }
        rows.push(both);
    }
    for at in 0..side {
        let mut pivot = at;
        for row in at + 1..side {
            if rows[row][at].abs() > rows[pivot][at].abs() {
                pivot = row;
            }
        }
        rows.swap(at, pivot);
        let first = rows[at][at];
        if !first.is_finite() || first.abs() < f64::MIN_POSITIVE {
            return Err("its rotation has no finite values".into());
        }
        rows[at].iter_mut().for_each(|value| *value /= first);
        let own = rows[at].clone();
        for (index, row) in rows.iter_mut().enumerate() {
            let factor = row[at];
            if index != at && factor != 0.0 {
                row[at..].iter_mut().zip(&own[at..]).for_each(|(value, own)| *value -= factor * own);
            }
        }
    }
    Ok(rows.iter().flat_map(|row| row[side..].iter().map(|value| *value as f32)).collect())
}

impl Oft {
    /// R·W − W, rescaled, times the scale.
    pub fn delta(&self, weight: &Matrix) -> Matrix {
        let mut rotated = self.rotated(weight, 1.0);
        if let Some(rescale) = &self.rescale {
            for (row, factor) in rotated.values.chunks_exact_mut(weight.columns.max(1)).zip(rescale) {
                row.iter_mut().for_each(|value| *value *= factor);
            }
        }
        rotated.add(-1.0, weight);
        rotated.scaled(self.scale)
    }

    /// The weight rotated by each stage, whose rotation is mixed with the identity where `strength` is not 1.
    pub fn rotated(&self, weight: &Matrix, strength: f32) -> Matrix {
        let mut rotated = weight.clone();
        for stage in 0..self.stages.len() {
            let apart = (self.side / 2) << stage;
            if self.is_butterfly {
                rotated = swapped(&rotated, 2, apart);
                rotated = self.turned(stage, &rotated, strength);
                rotated = swapped(&rotated, apart, 2);
            } else {
                rotated = self.turned(stage, &rotated, strength);
            }
        }
        rotated
    }

    /// The rows turned block by block.
    fn turned(&self, stage: usize, x: &Matrix, strength: f32) -> Matrix {
        let side = self.side;
        let mut turned = Vec::with_capacity(x.values.len());
        for (index, rotation) in self.stages[stage].chunks_exact(side * side).enumerate() {
            let mut rotation = Matrix::new(side, side, rotation.to_vec());
            if !self.is_butterfly {
                rotation = rotation.transposed();
            }
            if strength != 1.0 {
                rotation.values.iter_mut().for_each(|value| *value *= strength);
                for place in 0..side {
                    rotation.values[place * side + place] += 1.0 - strength;
                }
            }
            let block = side * x.columns;
            let rows = Matrix::new(side, x.columns, x.values[index * block..(index + 1) * block].to_vec());
            turned.extend(rotation.times(&rows).values);
        }
        Matrix::new(x.rows, x.columns, turned)
    }
}

/// Rows in groups of `first` times `second`, seen by `second` before `first`.
fn swapped(x: &Matrix, first: usize, second: usize) -> Matrix {
    let mut values = Vec::with_capacity(x.values.len());
    for group in 0..x.rows / (first * second) {
        for inner in 0..second {
            for outer in 0..first {
                values.extend_from_slice(x.row(group * first * second + outer * second + inner));
            }
        }
    }
    Matrix::new(x.rows, x.columns, values)
}
