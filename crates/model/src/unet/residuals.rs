//! What steers the UNet from outside, as ControlNets do (Zhang et al. 2023, "Adding Conditional Control to Text-to-Image
//! Diffusion Models"): a tensor for each skip and one for the deepest level.

use burn::tensor::Tensor;

use super::sampling::nearest;

/// Tensors that are added to the UNet's skips, when its decoder takes them, and to what its deepest level gives.
#[derive(Debug, Clone)]
pub struct Residuals {
    /// One for each skip in the order in which they are left, then that of the deepest level: [B or 1, C, H, W].
    tensors: Vec<Tensor<4>>,
}

impl Residuals {
    /// The outputs of a network, each multiplied by its scale.
    ///
    /// # Shapes
    /// - outputs: for each skip of the UNet, then for its deepest level [B or 1, C, H, W]
    ///
    /// # Panics
    /// If there are not as many scales as outputs.
    pub fn scaled(outputs: Vec<Tensor<4>>, scales: &[f32]) -> Self {
        assert_eq!(outputs.len(), scales.len(), "a scale for each output");
        let mut tensors = Vec::new();
        for (output, scale) in outputs.into_iter().zip(scales) {
            tensors.push(output.mul_scalar(*scale));
        }
        Self { tensors }
    }

    /// The sum of these and those of another network. Where sizes differ, as of images of two sizes, the other's are
    /// brought to those here.
    ///
    /// # Panics
    /// If the networks do not steer the same UNet.
    pub fn plus(self, other: Self) -> Self {
        assert_eq!(self.tensors.len(), other.tensors.len(), "residuals of one UNet");
        let mut tensors = Vec::new();
        for (own, more) in self.tensors.into_iter().zip(other.tensors) {
            tensors.push(added(own, more));
        }
        Self { tensors }
    }

    /// # Shapes
    /// - skip and output: [B, C, H, W], the skip of this number
    pub(super) fn add_to_skip(&self, skip: Tensor<4>, number: usize) -> Tensor<4> {
        added(skip, self.tensors[number].clone())
    }

    /// # Shapes
    /// - middle and output: [B, C, H, W]
    pub(super) fn add_to_middle(&self, middle: Tensor<4>) -> Tensor<4> {
        added(middle, self.tensors[self.tensors.len() - 1].clone())
    }
}

/// x and what is brought to its size.
///
/// # Shapes
/// - x and output: [B, C, H, W]
/// - more: [B or 1, C, any, any]
fn added(x: Tensor<4>, more: Tensor<4>) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    x + nearest(more, [height, width])
}
