//! LoRA (Hu et al. 2021) as a bypass: y = W·x + scale · up(down(x)), with scale = alpha ÷ rank.

use burn::tensor::Tensor;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use lorabake_ops::ConvShape;

/// The two factors of one layer.
#[derive(Debug, Clone)]
pub struct Lora {
    /// [rank, in] or [rank, in·k·k].
    pub down: Tensor<2>,
    /// [out, rank].
    pub up: Tensor<2>,
    /// alpha ÷ rank, times the strength at generation.
    pub scale: f64,
}

impl Lora {
    /// The bypass of a linear layer.
    ///
    /// # Shapes
    /// - x: [.., in]
    /// - output: [.., out]
    pub fn linear<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let mut shape = x.dims();
        let inputs = shape[D - 1];
        let rows = shape[..D - 1].iter().product::<usize>();
        let inner = x.reshape([rows, inputs]).matmul(self.down.clone().transpose()).mul_scalar(self.scale);
        shape[D - 1] = self.up.dims()[0];
        inner.matmul(self.up.clone().transpose()).reshape(shape)
    }

    /// The bypass of a convolution: `down` has the layer's kernel, stride and padding, `up` is 1×1.
    ///
    /// # Shapes
    /// - x: [B, in, H, W]
    /// - output: [B, out, H', W']
    pub fn conv(&self, shape: ConvShape, x: Tensor<4>) -> Tensor<4> {
        let inner = if shape.kernel == 1 && shape.stride == 1 {
            pointwise(&self.down, x)
        } else {
            let rank = self.down.dims()[0];
            let down = self.down.clone().reshape([rank, shape.inputs, shape.kernel, shape.kernel]);
            conv2d(x, down, None, ConvOptions::new([shape.stride; 2], [shape.padding; 2], [1; 2], 1))
        };
        pointwise(&self.up, inner.mul_scalar(self.scale))
    }
}

/// A 1×1 convolution with `weight` [out, in].
fn pointwise(weight: &Tensor<2>, x: Tensor<4>) -> Tensor<4> {
    let [b, c, h, w] = x.dims();
    let outputs = weight.dims()[0];
    weight.clone().unsqueeze::<3>().matmul(x.reshape([b, c, h * w])).reshape([b, outputs, h, w])
}
