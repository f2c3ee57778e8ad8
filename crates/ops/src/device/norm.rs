//! What group norm and layer norm share: groups of numbers brought to mean 0 and variance 1, and the way back.

use burn::tensor::Tensor;

/// (x − mean) / √(variance + ε) of each row, and 1/√(variance + ε).
///
/// # Shapes
/// - x: [.., rows, numbers]
/// - output: [.., rows, numbers] and [.., rows, 1]
pub(crate) fn normalize<const D: usize>(x: Tensor<D>, epsilon: f32) -> (Tensor<D>, Tensor<D>) {
    let x = x.clone() - x.mean_dim(D - 1);
    let rstd = (x.clone().square().mean_dim(D - 1) + epsilon).sqrt().recip();
    (x * rstd.clone(), rstd)
}

/// dL/dx from dL/dx̂ for x̂ and 1/√(variance + ε) as [`normalize`] gives them.
#[cfg(any(test, feature = "cube"))]
pub(crate) fn normalize_backward<const D: usize>(normal: Tensor<D>, rstd: Tensor<D>, dy: Tensor<D>) -> Tensor<D> {
    let along = (dy.clone() * normal.clone()).mean_dim(D - 1);
    let average = dy.clone().mean_dim(D - 1);
    (dy - average - normal * along) * rstd
}
