//! How much a module changes the weights that it is for: the Frobenius norm of ΔW at strength 1.
//!
//! ΔW is never formed for LoRA and LoKr: ‖up·down‖² = tr((upᵀup)(down·downᵀ)) needs matrices of rank × rank only, and
//! ‖w1 ⊗ w2‖ = ‖w1‖·‖w2‖. LoHa's element-wise product is summed row by row. Of DoRA it is the product before the
//! decomposition. IA3, OFT and GLoRA change a weight in proportion to itself, which needs the model: they have none.

use crate::tensors::Tensors;

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
        let left = self.left.transposed().gram();
        let right = self.right.gram();
        let square: f64 = left.iter().zip(&right).map(|(x, y)| x * y).sum();
        // Rounding may leave a little less than nothing of a product that is zero.
        Some(square.max(0.0).sqrt())
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

/// ‖first ∘ second‖, element by element.
fn hadamard_norm(first: &Product, second: &Product) -> Option<f64> {
    let inner = first.left.columns == first.right.rows && second.left.columns == second.right.rows;
    let outer = first.left.rows == second.left.rows && first.right.columns == second.right.columns;
    if !inner || !outer {
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

    /// Products of all rows with each other.
    fn gram(&self) -> Vec<f64> {
        let mut products = vec![0.0; self.rows * self.rows];
        for row in 0..self.rows {
            for other in 0..=row {
                let product = dot(self.row(row), self.row(other));
                products[row * self.rows + other] = product;
                products[other * self.rows + row] = product;
            }
        }
        products
    }

    /// This factor behind the middle of a Tucker form, (rank, rank, kernel): for each i, kernel and column
    /// Σⱼ middle[i, j, kernel] · self[j, column].
    fn through(&self, middle: &Self) -> Option<Self> {
        if !middle.columns.is_multiple_of(self.rows) {
            return None;
        }
        let kernel = middle.columns / self.rows;
        let mut values = vec![0.0; middle.rows * kernel * self.columns];
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
