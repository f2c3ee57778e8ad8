//! Products of two matrices, as all kinds of low rank are made of: plain, element by element (LoHa), Kronecker's (LoKr).

use super::{Half, Scale};
use crate::matrix::Matrix;

/// left·right, which is not formed before it is needed.
#[derive(Debug, Clone, PartialEq)]
pub struct Product {
    /// (rows, rank)
    pub left: Matrix,
    /// (rank, columns)
    pub right: Matrix,
}

impl Product {
    /// The product as a matrix.
    pub fn whole(&self) -> Matrix {
        self.left.times(&self.right)
    }

    /// The inner dimension.
    pub fn rank(&self) -> usize {
        self.left.columns
    }

    /// A Tucker form with its core, (rank, rank, taps), in the right factor: for each i, input and tap
    /// Σⱼ core[i, j, tap] · right[j, input].
    pub fn through(self, core: &Matrix) -> Self {
        let rank = self.right.rows;
        let inputs = self.right.columns;
        let taps = core.columns / rank.max(1);
        let mut right = Matrix::zeros(core.rows, inputs * taps);
        for row in 0..core.rows {
            for inner in 0..rank {
                let kernel = &core.row(row)[inner * taps..(inner + 1) * taps];
                let inputs = self.right.row(inner);
                let to = &mut right.values[row * inputs.len() * taps..(row + 1) * inputs.len() * taps];
                for (to, input) in to.chunks_exact_mut(taps).zip(inputs) {
                    for (to, tap) in to.iter_mut().zip(kernel) {
                        *to += tap * input;
                    }
                }
            }
        }
        Self { left: self.left, right }
    }
}

/// scale · up·down.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    /// (outputs, rank)
    pub up: Matrix,
    /// (rank, inputs·taps)
    pub down: Matrix,
    /// alpha ÷ rank.
    pub scale: Scale,
}

impl Factors {
    /// The product as a matrix.
    pub fn whole(&self) -> Matrix {
        self.up.times(&self.down).scaled(self.scale)
    }

    /// The inner dimension.
    pub fn rank(&self) -> usize {
        self.up.columns
    }

    /// Several of one size, each times a factor, as one: their ranks stand side by side, and the scale is 1.
    pub fn joined(parts: &[(f64, Self)]) -> Self {
        let outputs = parts[0].1.up.rows;
        let mut down = Matrix::zeros(0, parts[0].1.down.columns);
        for (factor, part) in parts {
            let whole = factor * part.scale;
            let root = whole.abs().sqrt().copysign(whole) as f32;
            down.values.extend(part.down.values.iter().map(|value| value * root));
            down.rows += part.down.rows;
        }
        let mut up = Matrix::zeros(outputs, down.rows);
        let mut at = 0;
        for (factor, part) in parts {
            let root = (factor * part.scale).abs().sqrt() as f32;
            let rank = part.rank();
            for row in 0..outputs {
                let to = row * up.columns + at;
                for (to, value) in up.values[to..to + rank].iter_mut().zip(part.up.row(row)) {
                    *to = value * root;
                }
            }
            at += rank;
        }
        Self { up, down, scale: 1.0 }
    }
}

/// scale · first ⊗ second; the second has the kernel.
pub fn kronecker(first: &Matrix, second: &Matrix, scale: Scale) -> Matrix {
    let columns = first.columns * second.columns;
    let mut product = Matrix::zeros(first.rows * second.rows, columns);
    for row in 0..product.rows {
        let inner = second.row(row % second.rows);
        let to = &mut product.values[row * columns..(row + 1) * columns];
        for (to, outer) in to.chunks_exact_mut(inner.len().max(1)).zip(first.row(row / second.rows)) {
            let outer = outer * scale as f32;
            for (to, value) in to.iter_mut().zip(inner) {
                *to = outer * value;
            }
        }
    }
    product
}

/// (a·b) ∘ (c·d) as one product: columns of a times columns of c, rows of b times rows of d, for each pair of ranks.
pub fn hadamard_factors(first: &Product, second: &Product, scale: Scale) -> Factors {
    let rank = first.rank() * second.rank();
    let mut up = Matrix::zeros(first.left.rows, rank);
    for row in 0..up.rows {
        let to = &mut up.values[row * rank..(row + 1) * rank];
        for (to, one) in to.chunks_exact_mut(second.rank().max(1)).zip(first.left.row(row)) {
            for (to, other) in to.iter_mut().zip(second.left.row(row)) {
                *to = one * other;
            }
        }
    }
    let mut down = Matrix::zeros(0, first.right.columns);
    for one in 0..first.rank() {
        for other in 0..second.rank() {
            let pairs = first.right.row(one).iter().zip(second.right.row(other));
            down.values.extend(pairs.map(|(one, other)| one * other));
            down.rows += 1;
        }
    }
    Factors { up, down, scale }
}

/// w1 ⊗ w2 as one product, by (a·b) ⊗ (c·d) = (a ⊗ c)·(b ⊗ d). A whole factor stands beside an identity of its smaller side.
pub fn kronecker_factors(first: &Half, second: &Half, scale: Scale) -> Factors {
    let first = halves(first);
    let second = halves(second);
    Factors { up: kronecker(&first.left, &second.left, 1.0), down: kronecker(&first.right, &second.right, 1.0), scale }
}

/// A factor as a product.
fn halves(half: &Half) -> Product {
    match half {
        Half::Product(product) => product.clone(),
        Half::Whole(matrix) if matrix.rows <= matrix.columns => {
            Product { left: identity(matrix.rows), right: matrix.clone() }
        }
        Half::Whole(matrix) => Product { left: matrix.clone(), right: identity(matrix.columns) },
    }
}

fn identity(side: usize) -> Matrix {
    let mut identity = Matrix::zeros(side, side);
    for place in 0..side {
        identity.values[place * side + place] = 1.0;
    }
    identity
}
