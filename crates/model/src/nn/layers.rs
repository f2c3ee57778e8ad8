//! The only two layers that know of adapters.

use burn::tensor::Tensor;
use lorabake_adapter::{Adapters, SiteId};
use lorabake_ops::{ConvShape, FrozenConv, FrozenLinear, WeightDtype};

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
