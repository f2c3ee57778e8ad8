//! Classifier-free guidance (Ho and Salimans 2022): away from what the empty or negative prompt predicts.

use burn::tensor::Tensor;

/// `unconditional` + `scale` · (`conditional` − `unconditional`). 7.5 is a usual scale, 1 is no guidance.
///
/// # Shapes
/// - unconditional, conditional and output: [B, C, H, W]
pub fn guide(unconditional: Tensor<4>, conditional: Tensor<4>, scale: f64) -> Tensor<4> {
    unconditional.clone() + (conditional - unconditional).mul_scalar(scale)
}
