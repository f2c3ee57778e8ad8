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

/// Mean and mean square deviation from it of each channel of an image, [1, H, W, C] -> [1, 1, 1, C] each; of `rows` rows at
/// a time, so that no second image is made of their squares.
pub(crate) fn channel_moments(x: &Tensor<4>, rows: usize) -> [Tensor<4>; 2] {
    let mean = x.clone().mean_dim(2).mean_dim(1);
    let height = x.dims()[1];
    let bands = (0..height).step_by(rows).map(|first| x.clone().narrow(1, first, rows.min(height - first)));
    let squares = bands.map(|band| (band - mean.clone()).square().mean_dim(2)).collect();
    let variance = Tensor::cat(squares, 1).mean_dim(1);
    [mean, variance]
}

/// dL/dx from dL/dx̂ for x̂ and 1/√(variance + ε) as [`normalize`] gives them.
#[cfg(any(test, feature = "cube"))]
pub(crate) fn normalize_backward<const D: usize>(normal: Tensor<D>, rstd: Tensor<D>, dy: Tensor<D>) -> Tensor<D> {
    let along = (dy.clone() * normal.clone()).mean_dim(D - 1);
    let average = dy.clone().mean_dim(D - 1);
    (dy - average - normal * along) * rstd
}
