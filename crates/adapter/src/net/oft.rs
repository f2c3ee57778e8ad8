//! Orthogonal finetuning (Qiu et al. 2023) of kohya and LyCORIS, and its butterflies (Liu et al. 2024):
//! ΔW = rescale ∘ (R·W) − W with a rotation R of blocks along the outputs.
//!
//! Each block is the Cayley transform (I + Q)·(I − Q)⁻¹ of a skew matrix Q = B − Bᵀ. All Q of a layer together are no
//! larger than the constraint, alpha · outputs; an alpha of 0 sets none. Old files have R itself. Along the outputs, the
//! blocks of OFT are applied transposed, those of BOFT as they are.

use burn::tensor::{Device, Tensor, TensorData};

/// Keeps the share of two norms from being that of nothings.
const EPSILON: f64 = 1e-8;

/// The rotation of one layer.
#[derive(Debug, Clone)]
pub(crate) struct Oft {
    /// One rotation after another: one for OFT, several for BOFT; each [blocks, side, side], row-major.
    pub rotations: Vec<Vec<f32>>,
    /// Length of a block's side.
    pub side: usize,
    /// BOFT.
    pub is_butterfly: bool,
    /// `[out]`.
    pub rescale: Option<Vec<f32>>,
    /// 1 unless the file has a `scale`.
    pub scale: f64,
}

/// What a file says of the skew matrices of one layer.
pub(crate) struct Skew<'v> {
    /// All blocks B, row-major.
    pub blocks: &'v [f32],
    /// Length of a block's side.
    pub side: usize,
    /// Largest norm of all Q together.
    pub constraint: Option<f64>,
}

impl Skew<'_> {
    /// The rotations, in the blocks' order and form.
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
    pub fn name(&self) -> &'static str {
        if self.is_butterfly { "BOFT" } else { "OFT" }
    }

    /// Whether no rotation turns anything, and nothing is scaled; or the scale is 0.
    pub fn is_nothing(&self) -> bool {
        let block = self.side * self.side;
        let is_identity = |(place, value): (usize, &f32)| {
            let inside = place % block;
            *value == if inside / self.side == inside % self.side { 1.0 } else { 0.0 }
        };
        let turns_nothing = self.rotations.iter().all(|stage| stage.iter().enumerate().all(is_identity));
        let scales_nothing = self.rescale.as_ref().is_none_or(|rescale| rescale.iter().all(|value| *value == 1.0));
        self.scale == 0.0 || (turns_nothing && scales_nothing)
    }

    /// # Shapes
    /// - weight and output: [out, columns]
    pub fn change(&self, weight: &Tensor<2>) -> Tensor<2> {
        let shape = weight.dims();
        let device = weight.device();
        let mut rotated = weight.clone();
        for stage in 0..self.rotations.len() {
            rotated =
                if self.is_butterfly { self.crossed(stage, rotated) } else { self.turned(stage, rotated, &device) };
        }
        if let Some(rescale) = &self.rescale {
            rotated = rotated * Tensor::<2>::from_data(TensorData::new(rescale.clone(), [shape[0], 1]), &device);
        }
        (rotated - weight.clone()).mul_scalar(self.scale)
    }

    /// The rows of `x`, [out, columns], turned block by block.
    fn turned(&self, stage: usize, x: Tensor<2>, device: &Device) -> Tensor<2> {
        let [outputs, columns] = x.dims();
        let blocks = outputs / self.side;
        let shape = [blocks, self.side, self.side];
        let rotation = Tensor::<3>::from_data(TensorData::new(self.rotations[stage].clone(), shape), device);
        let rotation = if self.is_butterfly { rotation } else { rotation.swap_dims(1, 2) };
        rotation.matmul(x.reshape([blocks, self.side, columns])).reshape([outputs, columns])
    }

    /// One stage of the butterflies: rows that are `2^stage` half blocks apart meet in a block.
    fn crossed(&self, stage: usize, x: Tensor<2>) -> Tensor<2> {
        let [outputs, columns] = x.dims();
        let device = x.device();
        let apart = (self.side / 2) << stage;
        let groups = outputs / (2 * apart);
        let mixed = x.reshape([groups, 2, apart, columns]).swap_dims(1, 2).reshape([outputs, columns]);
        let turned = self.turned(stage, mixed, &device);
        turned.reshape([groups, apart, 2, columns]).swap_dims(1, 2).reshape([outputs, columns])
    }
}
