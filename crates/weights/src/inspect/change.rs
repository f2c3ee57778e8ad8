//! How much a module changes the weights that it is for: the Frobenius norm of ΔW at strength 1.
//!
//! ΔW is never formed: ‖up·down‖² = tr((upᵀup)(down·downᵀ)) is summed pair by pair of ranks, or row by row of ΔW where that
//! is less work; ‖w1 ⊗ w2‖ = ‖w1‖·‖w2‖. LoHa's element-wise product is summed row by row. Of DoRA it is the product
//! before the decomposition. IA3, OFT and GLoRA change a weight in proportion to itself, which needs the model: they have
//! none. Sizes come from a stranger's file, so memory stays below a small multiple of the tensors, and a module that would
//! take more than [`MOST_WORK`] multiplications for each of its numbers is left out.

use crate::tensors::Tensors;

/// Multiplications for each number of a module. A LoRA takes half its rank, LoHa at most the smaller side of its layer.
const MOST_WORK: usize = 2048;
/// Numbers of a Tucker form's product for each number of its factors. A kernel of 3 × 3 takes 9.
const MOST_GROWTH: usize = 16;

/// Numbers by rows; the axes behind the first are one.
struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

/// The norm of what `module` adds to a weight, times `scale`; none of kinds that need the model, or of tensors that do
/// not fit together.
pub(super) fn change(tensors: &Tensors, module: &str, scale: f64) -> Option<f64> {
    let read = |name: &str| Matrix::read(tensors, &format!("{module}.{name}"));
    if let Some(whole) = read("diff").or_else(|| read("w_norm")) {
        return Some(whole.norm());
    }
    if let (Some(up), Some(down)) = (read("lora_up.weight"), read("lora_down.weight")) {
        let down = if let Some(middle) = read("lora_mid.weight") { down.through(&middle)? } else { down };
        return Some(scale * Product { left: up, right: down }.norm()?);
    }
    let product = |left: &str, right: &str, middle: &str| {
        let product = Product { left: read(left)?, right: read(right)? };
        if let Some(middle) = read(middle) { product.through(&middle) } else { Some(product) }
    };
    if let Some(first) = product("hada_w1_a", "hada_w1_b", "hada_t1") {
        let second = product("hada_w2_a", "hada_w2_b", "hada_t2")?;
        return Some(scale * hadamard_norm(&first, &second)?);
    }
    let first = match read("lokr_w1") {
        Some(whole) => whole.norm(),
        None => product("lokr_w1_a", "lokr_w1_b", "")?.norm()?,
    };
    let second = match read("lokr_w2") {
        Some(whole) => whole.norm(),
        None => product("lokr_w2_a", "lokr_w2_b", "lokr_t2")?.norm()?,
    };
    Some(scale * first * second)
}

/// left·right, which is never formed.
struct Product {
    left: Matrix,
    right: Matrix,
}

impl Product {
    /// The factors of LyCORIS' Tucker form as those of a plain product; it keeps the left one transposed.
    fn through(self, middle: &Matrix) -> Option<Self> {
        Some(Self { left: self.left.transposed(), right: self.right.through(middle)? })
    }

    /// ‖left·right‖
    fn norm(&self) -> Option<f64> {
        if self.left.columns != self.right.rows {
            return None;
        }
        let rank = self.left.columns;
        let by_ranks = work(&[rank, rank, self.left.rows + self.right.columns]) / 2;
        let by_rows = self.work();
        if by_ranks.min(by_rows) > MOST_WORK.saturating_mul(self.numbers()) {
            return None;
        }
        let square = if by_rows < by_ranks { self.square_by_rows() } else { self.square_by_ranks() };
        // Rounding may leave a little less than nothing of a product that is zero.
        Some(square.max(0.0).sqrt())
    }

    /// tr((leftᵀ·left)(right·rightᵀ)), the products of pairs of ranks; both are symmetric.
    fn square_by_ranks(&self) -> f64 {
        let left = self.left.transposed();
        let mut square = 0.0;
        for rank in 0..self.right.rows {
            for other in 0..rank {
                square += 2.0 * dot(left.row(rank), left.row(other)) * dot(self.right.row(rank), self.right.row(other));
            }
            square += dot(left.row(rank), left.row(rank)) * dot(self.right.row(rank), self.right.row(rank));
        }
        square
    }

    fn square_by_rows(&self) -> f64 {
        let mut square = 0.0;
        for row in 0..self.left.rows {
            square += self.row(row).iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
        }
        square
    }

    /// Multiplications of the product.
    fn work(&self) -> usize {
        work(&[self.left.rows, self.left.columns, self.right.columns])
    }

    /// Numbers of both factors.
    fn numbers(&self) -> usize {
        self.left.values.len() + self.right.values.len()
    }

    /// One row of the product.
    fn row(&self, row: usize) -> Vec<f32> {
        let mut sums = vec![0.0; self.right.columns];
        for (factor, values) in self.left.row(row).iter().zip(self.right.values.chunks_exact(self.right.columns)) {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += factor * value;
            }
        }
        sums
    }
}

/// The product of extents.
fn work(extents: &[usize]) -> usize {
    extents.iter().fold(1, |product: usize, extent| product.saturating_mul(*extent))
}

/// ‖first ∘ second‖, element by element.
fn hadamard_norm(first: &Product, second: &Product) -> Option<f64> {
    let inner = first.left.columns == first.right.rows && second.left.columns == second.right.rows;
    let outer = first.left.rows == second.left.rows && first.right.columns == second.right.columns;
    let numbers = first.numbers() + second.numbers();
    if !inner || !outer || first.work().saturating_add(second.work()) > MOST_WORK.saturating_mul(numbers) {
        return None;
    }
    let mut square = 0.0;
    for row in 0..first.left.rows {
        let values = first.row(row);
        let others = second.row(row);
        square += values.iter().zip(&others).map(|(x, y)| f64::from(x * y).powi(2)).sum::<f64>();
    }
    Some(square.sqrt())
}

impl Matrix {
    fn read(tensors: &Tensors, key: &str) -> Option<Self> {
        let (rows, rest) = tensors.shape(key)?.split_first()?;
        let values = tensors.read_f32(key).ok()?;
        if values.is_empty() {
            return None;
        }
        Some(Self { rows: *rows, columns: rest.iter().product(), values })
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    fn norm(&self) -> f64 {
        self.values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
    }

    fn transposed(&self) -> Self {
        let mut values = Vec::with_capacity(self.values.len());
        for column in 0..self.columns {
            for row in 0..self.rows {
                values.push(self.values[row * self.columns + column]);
            }
        }
        Self { rows: self.columns, columns: self.rows, values }
    }

    /// This factor behind the middle of a Tucker form, (rank, rank, kernel): for each i, kernel and column
    /// Σⱼ middle[i, j, kernel] · self[j, column].
    fn through(&self, middle: &Self) -> Option<Self> {
        if !middle.columns.is_multiple_of(self.rows) {
            return None;
        }
        let kernel = middle.columns / self.rows;
        let size = work(&[middle.rows, kernel, self.columns]);
        let numbers = self.values.len() + middle.values.len();
        if size > MOST_GROWTH * numbers || size.saturating_mul(self.rows) > MOST_WORK.saturating_mul(numbers) {
            return None;
        }
        let mut values = vec![0.0; size];
        for (place, out) in values.chunks_exact_mut(self.columns).enumerate() {
            let row = middle.row(place / kernel);
            let at = place % kernel;
            for (j, own) in self.values.chunks_exact(self.columns).enumerate() {
                let factor = row[j * kernel + at];
                for (sum, value) in out.iter_mut().zip(own) {
                    *sum += factor * value;
                }
            }
        }
        Some(Self { rows: middle.rows, columns: kernel * self.columns, values })
    }
}

/// Σ a·b, in eight sums side by side, as vector registers want it.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut total = 0.0;
    for (a, b) in a.chunks(128 * LANES).zip(b.chunks(128 * LANES)) {
        let (a, a_rest) = a.as_chunks::<LANES>();
        let (b, b_rest) = b.as_chunks::<LANES>();
        let mut sums = [0.0_f32; LANES];
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                sums[lane] += a[lane] * b[lane];
            }
        }
        let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
        total += sums.iter().map(|sum| f64::from(*sum)).sum::<f64>() + f64::from(rest);
    }
    total
}
