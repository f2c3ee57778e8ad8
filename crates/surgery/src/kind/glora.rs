//! GLoRA (Chavan et al. 2023): ΔW = scale · (B1·B2 + (W·A1)·A2). The product with W runs over inputs, for each tap of a
//! convolution.

use super::{Base, Scale};
use crate::matrix::Matrix;

/// The factors of one layer, in the order in which they are multiplied.
#[derive(Debug, Clone, PartialEq)]
pub struct Glora {
    /// (inputs, rank), behind the weight.
    pub a1: Matrix,
    /// (rank, inputs)
    pub a2: Matrix,
    /// (outputs, rank)
    pub b1: Matrix,
    /// (rank, inputs·taps)
    pub b2: Matrix,
    /// alpha ÷ rank.
    pub scale: Scale,
}

impl Glora {
    /// What is added to the weight.
    pub fn delta(&self, base: Base<'_>) -> Matrix {
        let taps = base.shape.taps;
        let mut delta = self.b1.times(&self.b2);
        let inputs = base.shape.inputs;
        let outputs = base.weight.rows;
        // Inputs behind taps, so that they are multiplied as rows of one matrix.
        let by_tap = turned(base.weight, [outputs, inputs, taps]);
        let seen = Matrix::new(outputs * taps, inputs, by_tap);
        let product = seen.times(&self.a1).times(&self.a2);
        let back = Matrix::new(outputs, taps * inputs, product.values);
        delta.add(1.0, &Matrix::new(outputs, inputs * taps, turned(&back, [outputs, taps, inputs])));
        delta.scaled(self.scale)
    }
}

/// The last two of three axes changed.
fn turned(matrix: &Matrix, [first, second, third]: [usize; 3]) -> Vec<f32> {
    let mut turned = Vec::with_capacity(matrix.values.len());
    for row in 0..first {
        let values = &matrix.values[row * second * third..(row + 1) * second * third];
        for inner in 0..third {
            turned.extend((0..second).map(|outer| values[outer * third + inner]));
        }
    }
    turned
}
