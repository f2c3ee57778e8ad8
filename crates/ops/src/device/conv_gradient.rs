//! The gradient of a convolution's input, by the kernels that a device has for it.

use burn::tensor::Tensor;
use burn::tensor::module::conv_transpose2d;
use burn::tensor::ops::ConvTransposeOptions;

use crate::conv_shape::ConvShape;

/// The gradient of an input of `shape` by that of the output.
///
/// # Shapes
/// - weight: [O, I, k, k], of dy's type
/// - dy: [B, O, H', W']
/// - output: `shape`, [B, I, H, W]
pub(crate) fn input_gradient(weight: Tensor<4>, dy: Tensor<4>, shape: [usize; 4], conv: ConvShape) -> Tensor<4> {
    #[cfg(feature = "cube")]
    if !super::is_host(&dy.device()) {
        return on_cube::input_gradient(weight, dy, shape, conv);
    }
    let ConvShape { kernel, stride, padding, .. } = conv;
    // What rounding down left over on the far sides.
    let over = [2, 3].map(|side| (shape[side] + 2 * padding - kernel) % stride);
    let options = ConvTransposeOptions::new([stride; 2], [padding; 2], over, [1; 2], 1);
    conv_transpose2d(dy, weight, None, options)
}

/// GPUs have kernels for it that read the output's gradient as an implicit matrix, where a transposed convolution would
/// write its products out and gather them.
#[cfg(feature = "cube")]
mod on_cube {
    use burn::backend::Cube;
    use burn::backend::TensorMetadata;
    use burn::backend::ops::{FloatTensorOps, ModuleOps};
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Shape, Tensor};

    use crate::conv_shape::ConvShape;

    pub(super) fn input_gradient(weight: Tensor<4>, dy: Tensor<4>, shape: [usize; 4], conv: ConvShape) -> Tensor<4> {
        const ON_GPU: &str = "weight and gradient are on one GPU";
        let weight = weight.try_into_primitive::<Cube>().expect(ON_GPU);
        let dy = dy.try_into_primitive::<Cube>().expect(ON_GPU);
        let dtype = dy.dtype().try_into().expect("gradients are floats");
        // Only its shape is read.
        let x = Cube::float_empty(Shape::from(shape), &dy.device(), dtype);
        let options = ConvOptions::new([conv.stride; 2], [conv.padding; 2], [1; 2], 1);
        Tensor::from_primitive::<Cube>(Cube::conv2d_x_backward(x, weight, dy, options))
    }
}
