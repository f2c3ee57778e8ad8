//! 3×3 convolutions of channels-last images [B, H, W, C]: plans for `kernels/conv3x3.py`, and the layer whole.

use super::array::{Array, Buffer};
use super::card::Card;
use super::frozen_weight::FrozenWeight;
use super::launch::{Call, Launch};
use super::launcher::{Contents, Launcher};
use super::manifest::Compiled;
use super::padding::{NotServed, counted, padded, padded_inner};
use crate::conv::FrozenConv;
use crate::conv_shape::ConvShape;
use crate::frozen::WeightDtype;

/// Plans y of x [B, H, W, c] → [B, H', W', n], both padded to the weight's channels.
///
/// # Errors
/// If an extent is more than the kernel counts.
pub fn forward<H: Clone>(
    card: &Card,
    shape: ConvShape,
    weight: &FrozenWeight<H>,
    bias: &Buffer<H>,
    x: &Buffer<H>,
    y: &Buffer<H>,
) -> Result<Launch<H>, NotServed> {
    let [n, _, _, c] = weight.numbers.extents();
    let [batch, height, width, _] = x.extents();
    let [_, out_height, out_width, _] = y.extents();
    assert!(x.width() == c && y.extents() == [batch, out_height, out_width, n], "extents of a convolution");
    counted(height * width * c)?;
    counted(out_height * out_width * n)?;
    let pixels = out_height * out_width;
    let grid = |kernel: &Compiled| [n.div_ceil(kernel.side("BN")), pixels.div_ceil(kernel.side("BM")), batch];
    let strided = if shape.stride == 2 { "_s2" } else { "" };
    Call::of(card.choose(&weight.kernel("conv3x3", strided), batch * pixels, grid))
        .pointer("x", x)
        .pointer("w", &weight.numbers)
        .pointer("scales", weight.scales.as_ref().unwrap_or(bias))
        .pointer("bias", bias)
        .pointer("y", y)
        .int("height", height)
        .int("width", width)
        .int("c", c)
        .int("n", n)
        .int("ho", out_height)
        .int("wo", out_width)
        .int("pad", shape.padding)
        .planned()
}

/// Plans dx [B, H, W, c] of dy [B, H', W', n]. `unread`: any f32 array, for the scales of a weight that has none.
///
/// # Errors
/// If an extent is more than the kernel counts, or there is not one row of zeros before the image.
pub fn backward<H: Clone>(
    card: &Card,
    shape: ConvShape,
    weight: &FrozenWeight<H>,
    unread: &Buffer<H>,
    dy: &Buffer<H>,
    dx: &Buffer<H>,
) -> Result<Launch<H>, NotServed> {
    if shape.padding != 1 {
        return Err(NotServed::Form("the gradient of a convolution without padding"));
    }
    let [n, _, _, c] = weight.numbers.extents();
    let [batch, height, width, _] = dx.extents();
    let [_, out_height, out_width, _] = dy.extents();
    assert!(dx.width() == c && dy.extents() == [batch, out_height, out_width, n], "extents of a convolution");
    counted(height * width * c)?;
    counted(out_height * out_width * n)?;
    // With stride 2 pixels are in four classes, by whether row and column are odd; a block has those of one class.
    let classes = shape.stride * shape.stride;
    let pixels = height.div_ceil(shape.stride) * width.div_ceil(shape.stride);
    let grid = |kernel: &Compiled| [c.div_ceil(kernel.side("BN")), pixels.div_ceil(kernel.side("BM")), batch * classes];
    let rest = if shape.stride == 2 { "_s2_dx" } else { "_dx" };
    Call::of(card.choose(&weight.kernel("conv3x3", rest), batch * pixels, grid))
        .pointer("dy", dy)
        .pointer("w", &weight.numbers)
        .pointer("scales", weight.scales.as_ref().unwrap_or(unread))
        .pointer("dx", dx)
        .int("height", height)
        .int("width", width)
        .int("c", c)
        .int("n", n)
        .int("ho", out_height)
        .int("wo", out_width)
        .planned()
}

/// A frozen 3×3 convolution on a card.
#[derive(Debug, Clone)]
pub struct ConvLayer<H> {
    shape: ConvShape,
    weight: FrozenWeight<H>,
    bias: Buffer<H>,
}

impl<H: Clone> ConvLayer<H> {
    /// Brings a convolution to a card. Weights in 8 bits stay so with stride 1 alone.
    ///
    /// # Errors
    /// If it is not of 3×3 with stride 1 or 2, sees the other side of the image, or has its weight in 32 bits.
    pub fn of<L: Launcher<Handle = H>>(on: &mut L, conv: &FrozenConv) -> Result<Self, NotServed> {
        let shape = conv.shape();
        if shape.kernel != 3 || !(1..=2).contains(&shape.stride) || shape.padding > 1 {
            return Err(NotServed::Form("a convolution of this shape"));
        }
        if conv.wraps() {
            return Err(NotServed::Form("images without edges"));
        }
        let dtype = match conv.weight().dtype() {
            WeightDtype::Int8 if shape.stride == 2 => WeightDtype::Bf16,
            dtype => dtype,
        };
        let n = padded(shape.outputs);
        let c = padded_inner(shape.inputs, dtype);
        let values = taps_first(&conv.weight().to_f32(), shape, [n, c]);
        let weight = FrozenWeight::bring(on, &values, &[n, 3, 3, c], dtype)?;
        let mut bias = conv.bias().unwrap_or_default().to_vec();
        bias.resize(n, 0.0);
        Ok(Self { shape, weight, bias: on.given(Contents::F32(&bias), &[n]) })
    }

    /// The convolution: x [B, H, W, in] → [B, H', W', out].
    ///
    /// # Errors
    /// If an image is larger than the kernel counts.
    pub fn forward<L: Launcher<Handle = H>>(&self, on: &mut L, x: &Buffer<H>) -> Result<Buffer<H>, NotServed> {
        let card = on.card();
        let [n, _, _, c] = self.weight.numbers.extents();
        let [batch, height, width, _] = x.extents();
        let x = on.with_width(x, c);
        let sides = [height, width].map(|side| self.shape.output_side(side));
        let y = on.empty(Array::half(&[batch, sides[0], sides[1], n]));
        let launch = forward(&card, self.shape, &self.weight, &self.bias, &x, &y)?;
        on.launch(launch);
        Ok(on.with_width(&y, self.shape.outputs))
    }

    /// The gradient of an image of `height` × `width`: dy [B, H', W', out] → [B, H, W, in].
    ///
    /// # Errors
    /// If there is no kernel for it.
    pub fn backward<L: Launcher<Handle = H>>(
        &self,
        on: &mut L,
        dy: &Buffer<H>,
        [height, width]: [usize; 2],
    ) -> Result<Buffer<H>, NotServed> {
        let card = on.card();
        let [n, _, _, c] = self.weight.numbers.extents();
        let dy = on.with_width(dy, n);
        let batch = dy.extents::<4>()[0];
        let dx = on.empty(Array::half(&[batch, height, width, c]));
        let launch = backward(&card, self.shape, &self.weight, &self.bias, &dy, &dx)?;
        on.launch(launch);
        Ok(on.with_width(&dx, self.shape.inputs))
    }
}

/// A weight [out, in, 3, 3] as [n, 3, 3, c], with zeros in what is padded.
fn taps_first(values: &[f32], shape: ConvShape, [n, c]: [usize; 2]) -> Vec<f32> {
    let mut turned = vec![0.0; n * 9 * c];
    for (row, to) in values.chunks_exact(shape.patch()).zip(turned.chunks_exact_mut(9 * c)) {
        for (channel, taps) in row.chunks_exact(9).enumerate() {
            for (tap, value) in taps.iter().enumerate() {
                to[tap * c + channel] = *value;
            }
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_come_before_channels() {
        let shape = ConvShape { inputs: 2, outputs: 1, kernel: 3, stride: 1, padding: 1 };
        let values: Vec<f32> = (0..18).map(|number| number as f32).collect();
        let turned = taps_first(&values, shape, [2, 3]);
        assert_eq!(turned[..6], [0.0, 9.0, 0.0, 1.0, 10.0, 0.0]);
        assert_eq!(turned[24..27], [8.0, 17.0, 0.0]);
        assert!(turned[27..].iter().all(|number| *number == 0.0));
    }
}
