//! A frozen linear layer with a tracked product of low rank beside it: y = x·Wᵀ + b + scale · (x·downᵀ)·upᵀ.

#[cfg(target_arch = "x86_64")]
mod fused;

use burn::tensor::Tensor;

#[cfg(target_arch = "x86_64")]
use crate::device::is_host;
use crate::linear::FrozenLinear;

impl FrozenLinear {
    /// The layer and a product of low rank beside it: x·Wᵀ + b + scale · (x·downᵀ)·upᵀ.
    ///
    /// # Shapes
    /// - x: [.., in]; down: [rank, in]; up: [out, rank]
    /// - output: [.., out]
    pub fn forward_low_rank<const D: usize>(
        &self,
        x: Tensor<D>,
        down: &Tensor<2>,
        up: &Tensor<2>,
        scale: f64,
    ) -> Tensor<D> {
        #[cfg(target_arch = "x86_64")]
        if self.0.weight.computes_in_bf16() && is_host(&x.device()) {
            let op = fused::Bypassed { layer: self.0.clone(), scale: scale as f32, wants_dx: true };
            return fused::apply(op, x, down.clone(), up.clone());
        }
        let y = self.forward(x.clone());
        y + plain_low_rank(x, down, up, scale)
    }
}

/// scale · (x·downᵀ)·upᵀ in Burn primitives.
///
/// # Shapes
/// - x: [.., in]; down: [rank, in]; up: [out, rank]
/// - output: [.., out]
pub fn plain_low_rank<const D: usize>(x: Tensor<D>, down: &Tensor<2>, up: &Tensor<2>, scale: f64) -> Tensor<D> {
    let mut shape = x.dims();
    let inputs = shape[D - 1];
    let rows = shape[..D - 1].iter().product::<usize>();
    let inner = x.reshape([rows, inputs]).matmul(down.clone().transpose()).mul_scalar(scale);
    shape[D - 1] = up.dims()[0];
    inner.matmul(up.clone().transpose()).reshape(shape)
}
