//! The only layers that know of adapters: linear layers and convolutions, which they bypass, and norms, which they change.

use burn::tensor::Tensor;
use lorabake_adapter::{Adapters, NormId, SiteId};
use lorabake_ops::{self as ops, Activation, ConvShape, FrozenConv, FrozenLinear, WeightDtype};

/// A frozen linear layer that adapters may bypass.
#[derive(Debug, Clone)]
pub struct Linear {
    pub(super) base: FrozenLinear,
    pub(super) site: SiteId,
}

impl Linear {
    /// The layer's output, with what `adapters` have for it.
    ///
    /// # Shapes
    /// - x: [.., in]
    /// - output: [.., out]
    pub fn forward<const D: usize>(&self, x: Tensor<D>, adapters: &Adapters) -> Tensor<D> {
        adapters.linear(self.site, &self.base, x)
    }

    /// The number format in which the weight is held, and so in which the layer computes.
    pub fn dtype(&self) -> WeightDtype {
        self.base.dtype()
    }
}

/// A frozen convolution that adapters may bypass.
#[derive(Debug, Clone)]
pub struct Conv2d {
    pub(super) base: FrozenConv,
    pub(super) site: SiteId,
}

impl Conv2d {
    /// The layer's output, with what `adapters` have for it.
    ///
    /// # Shapes
    /// - x: [B, in, H, W]
    /// - output: [B, out, H', W']
    pub fn forward(&self, x: Tensor<4>, adapters: &Adapters) -> Tensor<4> {
        adapters.conv(self.site, &self.base, x)
    }

    /// Geometry of the convolution.
    pub fn shape(&self) -> ConvShape {
        self.base.shape()
    }
}

/// A frozen group norm whose scale and shift adapters may change.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    pub(super) base: ops::GroupNorm,
    pub(super) site: NormId,
}

impl GroupNorm {
    /// The norm, then the activation, with what `adapters` have for it.
    ///
    /// # Shapes
    /// - x and output: [B, C, H, W]
    pub fn forward(&self, x: Tensor<4>, activation: Activation, adapters: &Adapters) -> Tensor<4> {
        match adapters.norm(self.site) {
            None => self.base.forward(x, activation),
            Some(change) => self.base.changed(&change.scale, change.shift.as_deref()).forward(x, activation),
        }
    }
}

/// A frozen layer norm whose scale and shift adapters may change.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    pub(super) base: ops::LayerNorm,
    pub(super) site: NormId,
}

impl LayerNorm {
    /// The norm of each row, with what `adapters` have for it.
    ///
    /// # Shapes
    /// - x and output: [.., D]
    pub fn forward<const D: usize>(&self, x: Tensor<D>, adapters: &Adapters) -> Tensor<D> {
        match adapters.norm(self.site) {
            None => self.base.forward(x),
            Some(change) => self.base.changed(&change.scale, change.shift.as_deref()).forward(x),
        }
    }
}
