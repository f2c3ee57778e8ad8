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
        return Some(scale * product_norm(&up, &down)?);
    }
    // LyCORIS' Tucker form keeps the first factor of a product transposed.
    let factors = |a: &str, b: &str, t: &str| {
        let (a, b) = (read(a)?, read(b)?);
        if let Some(middle) = read(t) { Some((a.transposed(), b.through(&middle)?)) } else { Some((a, b)) }
    };
    if let Some((a, b)) = factors("hada_w1_a", "hada_w1_b", "hada_t1") {
        let (c, d) = factors("hada_w2_a", "hada_w2_b", "hada_t2")?;
        return Some(scale * hadamard_norm((&a, &b), (&c, &d))?);
    }
    let kronecker = |whole: &str, a: &str, b: &str, t: &str| match read(whole) {
        Some(whole) => Some(whole.norm()),
        None => factors(a, b, t).and_then(|(a, b)| product_norm(&a, &b)),
    };
    let first = kronecker("lokr_w1", "lokr_w1_a", "lokr_w1_b", "")?;
    Some(scale * first * kronecker("lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2")?)
}

/// ‖a·b‖
fn product_norm(a: &Matrix, b: &Matrix) -> Option<f64> {
    let (left, right) = (a.transposed().gram(), b.gram());
    // Rounding may leave a little less than nothing of a product that is zero.
    let square = |grams: (Vec<f64>, Vec<f64>)| grams.0.iter().zip(&grams.1).map(|(x, y)| x * y).sum::<f64>().max(0.0);
    (a.columns == b.rows).then(|| square((left, right)).sqrt())
}

/// ‖(a·b) ∘ (c·d)‖
fn hadamard_norm((a, b): (&Matrix, &Matrix), (c, d): (&Matrix, &Matrix)) -> Option<f64> {
    let fits = a.columns == b.rows && c.columns == d.rows && a.rows == c.rows && b.columns == d.columns;
    let square = |row: usize| {
        let values = |left: &Matrix, right: &Matrix| {
            let mut sums = vec![0.0; right.columns];
            for (factor, values) in left.row(row).iter().zip(right.values.chunks_exact(right.columns)) {
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
            }
            sums
        };
        values(a, b).iter().zip(values(c, d)).map(|(x, y)| f64::from(x * y).powi(2)).sum::<f64>()
    };
    fits.then(|| (0..a.rows).map(square).sum::<f64>().sqrt())
}

impl Matrix {
    fn read(tensors: &Tensors, key: &str) -> Option<Self> {
        let (rows, rest) = tensors.shape(key)?.split_first()?;
        let (rows, columns) = (*rows, rest.iter().product());
        let values = tensors.read_f32(key).ok().filter(|values| !values.is_empty())?;
        Some(Self { rows, columns, values })
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    fn norm(&self) -> f64 {
        self.values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
    }

    fn transposed(&self) -> Self {
        let values = (0..self.columns).flat_map(|column| (0..self.rows).map(move |row| row * self.columns + column));
        Self { rows: self.columns, columns: self.rows, values: values.map(|at| self.values[at]).collect() }
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
            let (row, at) = (middle.row(place / kernel), place % kernel);
            for (j, own) in self.values.chunks_exact(self.columns).enumerate() {
                let factor = row[j * kernel + at];
                out.iter_mut().zip(own).for_each(|(sum, value)| *sum += factor * value);
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
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        let mut sums = [0.0_f32; LANES];
        for (a, b) in a.iter().zip(b) {
            sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
        }
        let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
        total += sums.iter().map(|sum| f64::from(*sum)).sum::<f64>() + f64::from(rest);
    }
    total
}
