//! What every block of the UNet receives beside its input.

use burn::tensor::Tensor;
use lorabake_adapter::Adapters;

/// What every block receives beside its input.
pub(crate) struct Condition<'a> {
    /// Time embedding after SiLU, [B, 4·C0].
    pub temb: Tensor<2>,
    /// Hidden states of the text encoders, [B, T, D].
    pub context: Tensor<3>,
    pub adapters: &'a Adapters,
    /// How what was doubled fits a level of odd sides.
    pub odd_sides: OddSides,
}

/// How an enlargement reaches an odd side: twice the halved side is one pixel more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OddSides {
    /// It is enlarged to the odd side, then convolved (diffusers, and so sd-scripts in training).
    BeforeConvolution,
    /// It is doubled and convolved, and the last row or column is cut off (the web UI in painting).
    AfterConvolution,
}
