//! k-diffusion's derivative of noisy latents by their noise level, and steps along it.

use burn::tensor::Tensor;

/// (x − denoised) / σ.
pub(super) fn slope(x: &Tensor<4>, denoised: Tensor<4>, sigma: f64) -> Tensor<4> {
    (x.clone() - denoised).div_scalar(sigma)
}

/// `x` carried from level `sigma` to level `next` in a straight line through the denoised latents: x + slope · (next −
/// sigma), without the difference of near numbers that this is where `sigma` is large.
pub(super) fn euler(x: Tensor<4>, denoised: Tensor<4>, sigma: f64, next: f64) -> Tensor<4> {
    let ratio = next / sigma;
    x.mul_scalar(ratio) + denoised.mul_scalar(1.0 - ratio)
}
