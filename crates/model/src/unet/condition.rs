//! What every block of the UNet receives beside its input.

use burn::tensor::Tensor;
use lorabake_adapter::Adapters;

/// What every block receives beside its input.
pub(super) struct Condition<'a> {
    /// Time embedding after SiLU, [B, 4·C0].
    pub temb: Tensor<2>,
    /// Hidden states of the text encoders, [B, T, D].
    pub context: Tensor<3>,
    pub adapters: &'a Adapters,
}
