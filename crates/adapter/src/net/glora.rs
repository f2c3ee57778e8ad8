//! GLoRA (Chavan et al. 2023) as LyCORIS saves it: ΔW = b2·b1 + (W·a2)·a1.
//!
//! The web UI doesn't scale it by alpha ÷ rank.

use burn::tensor::{Tensor, TensorData};

/// The factors of one layer, each row-major.
#[derive(Debug, Clone)]
pub(crate) struct Glora {
    /// [r, in].
    pub a1: Vec<f32>,
    /// [in, r].
    pub a2: Vec<f32>,
    /// [s, in].
    pub b1: Vec<f32>,
    /// [out, s].
    pub b2: Vec<f32>,
    /// 1 unless the file has a `scale`.
    pub scale: f64,
}

impl Glora {
    /// Whether each of the two products has a factor of zeros, or the scale is 0.
    pub fn is_nothing(&self) -> bool {
        let is_zero = |values: &[f32]| values.iter().all(|value| *value == 0.0);
        let of_weight = is_zero(&self.a1) || is_zero(&self.a2);
        self.scale == 0.0 || (of_weight && (is_zero(&self.b1) || is_zero(&self.b2)))
    }

    /// # Shapes
    /// - weight and output: [out, in]
    pub fn change(&self, weight: &Tensor<2>) -> Tensor<2> {
        let [outputs, inputs] = weight.dims();
        let device = weight.device();
        let matrix = |values: &Vec<f32>, shape| Tensor::<2>::from_data(TensorData::new(values.clone(), shape), &device);
        let of_a = self.a1.len() / inputs;
        let of_b = self.b1.len() / inputs;
        let own = matrix(&self.b2, [outputs, of_b]).matmul(matrix(&self.b1, [of_b, inputs]));
        let of_weight =
            weight.clone().matmul(matrix(&self.a2, [inputs, of_a])).matmul(matrix(&self.a1, [of_a, inputs]));
        (own + of_weight).mul_scalar(self.scale)
    }
}
