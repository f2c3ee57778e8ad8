//! GLoRA (Chavan et al. 2023): ΔW = scale · (b·b' + (W·a)·a'), the products with W over inputs, for each tap of a convolution.
//!
//! LyCORIS' present form has the first factor of each product as `a1` and `b1`, and is scaled by alpha ÷ rank. In its first
//! form, which the web UI reads, they are `a2` and `b2`, and nothing is scaled.

use burn::tensor::{Tensor, TensorData};

/// The factors of one layer, each row-major, in the order in which they are multiplied.
#[derive(Debug, Clone)]
pub(crate) struct Glora {
    /// [in, r], behind the weight.
    pub a: Vec<f32>,
    /// [r, in].
    pub after_a: Vec<f32>,
    /// [out, s].
    pub b: Vec<f32>,
    /// [s, in·taps].
    pub after_b: Vec<f32>,
    /// Pixels of the kernel.
    pub taps: usize,
    /// alpha ÷ rank in the present form; else 1, unless the file has a `scale`.
    pub scale: f64,
}

impl Glora {
    /// Whether each of the two products has a factor of zeros, or the scale is 0.
    pub fn is_nothing(&self) -> bool {
        let is_zero = |values: &[f32]| values.iter().all(|value| *value == 0.0);
        let of_weight = is_zero(&self.a) || is_zero(&self.after_a);
        self.scale == 0.0 || (of_weight && (is_zero(&self.b) || is_zero(&self.after_b)))
    }

    /// # Shapes
    /// - weight and output: [out, in·taps]
    pub fn change(&self, weight: &Tensor<2>) -> Tensor<2> {
        let [outputs, columns] = weight.dims();
        let inputs = columns / self.taps;
        let device = weight.device();
        let matrix = |values: &Vec<f32>, shape| Tensor::<2>::from_data(TensorData::new(values.clone(), shape), &device);
        let of_a = self.a.len() / inputs;
        let of_b = self.b.len() / outputs;
        let own = matrix(&self.b, [outputs, of_b]).matmul(matrix(&self.after_b, [of_b, columns]));
        let mut seen = weight.clone();
        if self.taps > 1 {
            // Inputs behind taps, so that they are multiplied as rows of one matrix.
            seen = seen.reshape([outputs, inputs, self.taps]).swap_dims(1, 2).reshape([outputs * self.taps, inputs]);
        }
        let mut of_weight = seen.matmul(matrix(&self.a, [inputs, of_a])).matmul(matrix(&self.after_a, [of_a, inputs]));
        if self.taps > 1 {
            of_weight = of_weight.reshape([outputs, self.taps, inputs]).swap_dims(1, 2).reshape([outputs, columns]);
        }
        (own + of_weight).mul_scalar(self.scale)
    }
}
