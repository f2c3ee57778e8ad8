//! Layers by a whole matrix: ΔW applied to the input of a linear layer or a convolution, and the mask of its rows.

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, TensorData};
use lorabake_ops::ConvShape;

/// A linear layer with `weight` [out, in] and no bias.
///
/// # Shapes
/// - x: [rows, in]
/// - output: [rows, out]
pub(crate) fn dense_linear(weight: &Tensor<2>, x: Tensor<2>) -> Tensor<2> {
    x.matmul(weight.clone().transpose())
}

/// A convolution of this shape with `weight` [out, in·k·k] and no bias.
///
/// # Shapes
/// - x: [B, in, H, W]
/// - output: [B, out, H', W']
pub(crate) fn dense_conv(weight: &Tensor<2>, shape: ConvShape, x: Tensor<4>) -> Tensor<4> {
    if shape.kernel == 1 && shape.stride == 1 {
        return pointwise(weight, x);
    }
    let weight = weight.clone().reshape([shape.outputs, shape.inputs, shape.kernel, shape.kernel]);
    conv2d(x, weight, None, ConvOptions::new([shape.stride; 2], [shape.padding; 2], [1; 2], 1))
}

/// A 1×1 convolution with `weight` [out, in].
///
/// # Shapes
/// - x: [B, in, H, W]
/// - output: [B, out, H, W]
pub(crate) fn pointwise(weight: &Tensor<2>, x: Tensor<4>) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    let outputs = weight.dims()[0];
    weight.clone().unsqueeze::<3>().matmul(x.reshape([b, c, h * w])).reshape([b, outputs, h, w])
}

/// ΔW [out, columns] with the rows that the mask keeps, if there is one.
pub(crate) fn masked(delta: Tensor<2>, mask: Option<Vec<f32>>) -> Tensor<2> {
    let Some(mask) = mask else { return delta };
    let outputs = delta.dims()[0];
    let mask = Tensor::<2>::from_data(TensorData::new(mask, [outputs, 1]), &delta.device());
    delta * mask
}

/// Outputs [rows, out] of a linear layer that the mask keeps, if there is one.
pub(crate) fn masked_columns(y: Tensor<2>, mask: Option<Vec<f32>>) -> Tensor<2> {
    let Some(mask) = mask else { return y };
    let outputs = y.dims()[1];
    let mask = Tensor::<2>::from_data(TensorData::new(mask, [1, outputs]), &y.device());
    y * mask
}

/// Channels [B, out, H, W] of a convolution's output that the mask keeps, if there is one.
pub(crate) fn masked_channels(y: Tensor<4>, mask: Option<Vec<f32>>) -> Tensor<4> {
    let Some(mask) = mask else { return y };
    let outputs = y.dims()[1];
    let mask = Tensor::<4>::from_data(TensorData::new(mask, [1, outputs, 1, 1]), &y.device());
    y * mask
}
