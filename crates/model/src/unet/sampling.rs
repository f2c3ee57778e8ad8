//! Halving and doubling of height and width.

use burn::tensor::Tensor;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use lorabake_adapter::{Adapters, Role};
use lorabake_ops::ConvShape;

use super::condition::{Condition, OddSides};
use crate::nn::{Builder, Conv2d};

/// The nearest pixel of x for each pixel of an image of `size` [H', W'].
///
/// # Shapes
/// - x: [B, C, H, W]
/// - output: [B, C, H', W']
pub(crate) fn nearest(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    if size == [height, width] {
        return x;
    }
    interpolate(x, InterpolateOptions::new(InterpolateMode::Nearest).with_output_size(size))
}

/// A 3×3 convolution of stride 2.
#[derive(Debug, Clone)]
pub(crate) struct Downsample(Conv2d);

impl Downsample {
    pub fn build(b: &mut Builder<'_, '_>, path: &str, channels: usize) -> Self {
        Self(b.conv(path, ConvShape { stride: 2, ..Builder::same(channels, channels) }, Role::Residual))
    }

    /// # Shapes
    /// - x: [B, C, H, W]
    /// - output: [B, C, ⌈H / 2⌉, ⌈W / 2⌉]
    pub fn forward(&self, x: Tensor<4>, adapters: &Adapters) -> Tensor<4> {
        self.0.forward(x, adapters)
    }
}

/// Nearest-neighbour enlargement and a 3×3 convolution.
#[derive(Debug, Clone)]
pub(crate) struct Upsample(Conv2d);

impl Upsample {
    pub fn build(b: &mut Builder<'_, '_>, path: &str, channels: usize) -> Self {
        Self(b.conv(path, Builder::same(channels, channels), Role::Residual))
    }

    /// Enlarges to `size` [H', W'], which is twice the input's, or one less where the level above had an odd side.
    ///
    /// # Shapes
    /// - x: [B, C, H, W]
    /// - output: [B, C, H', W']
    pub fn forward(&self, x: Tensor<4>, size: [usize; 2], condition: &Condition<'_>) -> Tensor<4> {
        match condition.odd_sides {
            OddSides::BeforeConvolution => self.0.forward(nearest(x, size), condition.adapters),
            OddSides::AfterConvolution => {
                let [_, _, height, width] = x.dims();
                nearest(self.0.forward(nearest(x, [2 * height, 2 * width]), condition.adapters), size)
            }
        }
    }
}
