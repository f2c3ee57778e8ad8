//! Convolutions of large images on a device: bands of rows as on the processor (`crate::bands`), in Burn's primitives.
//!
//! Images lie there with their channels last, [1, H, W, C]: Burn's convolutions on GPUs bring them into that order if they
//! are not, and a band of rows is one piece of memory.

use std::ops::Range;

use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions, PadMode};
use burn::tensor::{Tensor, activation};

use super::norm::channel_moments;
use crate::bands::{Before, Cut};
use crate::conv::FrozenConv;
use crate::edges::wrapped;

/// Numbers of a band, about: 128 MB in f32, which keeps a GPU busy. What is done to a band before it is multiplied takes a
/// few times that.
pub(crate) const BAND: usize = 1 << 25;

/// The convolution of what `before` makes of `x`, added to `sum` if there is one.
///
/// # Shapes
/// - x: [1, H, W, in]
/// - sum and output: [1, H', W', out]
pub(crate) fn convolved_on_device(
    conv: &FrozenConv,
    x: &Tensor<4>,
    before: Before<'_>,
    sum: Option<Tensor<4>>,
    size: usize,
) -> Tensor<4> {
    let [_, height, width, channels] = x.dims();
    assert_eq!(channels, conv.shape().inputs, "input channels of a convolution");
    let cut = Cut::new(conv.shape(), height, width, before, size);
    let [outputs, height, width] = cut.output();
    assert!(sum.as_ref().is_none_or(|sum| sum.dims() == [1, height, width, outputs]), "a sum of images");
    let adds = sum.is_some();
    let mut y = sum;
    let bands = Bands::new(cut, conv.without_padding(), x, before);
    if conv.wraps() {
        // Rare, and in one piece: a band would need rows from both ends.
        let whole = wrapped(bands.brought(0..cut.height).permute([0, 3, 1, 2]), conv.shape().padding);
        let whole = conv.without_padding().plain_forward(whole).permute([0, 2, 3, 1]);
        return if let Some(y) = y { y + whole } else { whole };
    }
    for rows in cut.rows() {
        let band = bands.multiply(rows.clone());
        if rows.len() == height {
            return if let Some(y) = y { y + band } else { band };
        }
        let place = [0..1, rows, 0..width, 0..outputs];
        let whole = y.unwrap_or_else(|| Tensor::zeros([1, height, width, outputs], &x.device()));
        let band = if adds { whole.clone().slice(place.clone()) + band } else { band };
        // Nobody else has it, so that it changes in place.
        y = Some(whole.slice_assign(place, band));
    }
    y.expect("an image has rows")
}

/// A convolution of one image on a device, cut into bands.
struct Bands<'a> {
    cut: Cut,
    conv: FrozenConv,
    x: &'a Tensor<4>,
    before: Before<'a>,
    /// What the norm multiplies each channel by and adds to it, [1, 1, 1, C] each.
    affine: Option<[Tensor<4>; 2]>,
}

impl<'a> Bands<'a> {
    fn new(cut: Cut, conv: FrozenConv, x: &'a Tensor<4>, before: Before<'a>) -> Self {
        let affine = match before {
            Before::Normalize(norm) => {
                let rows = cut.rows().map(|rows| rows.len()).max().unwrap_or(1);
                Some(norm.affine_on_device(channel_moments(x, rows)))
            }
            _ => None,
        };
        Self { cut, conv, x, before, affine }
    }

    /// Some rows of the output.
    fn multiply(&self, rows: Range<usize>) -> Tensor<4> {
        let Cut { shape, height, zeros_before, zeros_after, .. } = self.cut;
        // The rows below them, first with the zeros around the image, then without.
        let first = rows.start * shape.stride;
        let end = (rows.end - 1) * shape.stride + shape.kernel;
        let above = zeros_before.saturating_sub(first);
        let below = end.saturating_sub(zeros_before + height);
        let x = self.brought(first + above - zeros_before..end - below - zeros_before);
        let padding = [(above, below), (zeros_before, zeros_after), (0, 0)];
        let x = if padding.iter().all(|sides| *sides == (0, 0)) { x } else { x.pad(padding, PadMode::Constant(0.0)) };
        self.conv.plain_forward(x.permute([0, 3, 1, 2])).permute([0, 2, 3, 1])
    }

    /// What the convolution sees of some rows.
    fn brought(&self, rows: Range<usize>) -> Tensor<4> {
        let some = |rows: Range<usize>| self.x.clone().narrow(1, rows.start, rows.len());
        match self.before {
            Before::Nothing | Before::PadEnd => some(rows),
            Before::Double => {
                let half = rows.start / 2..rows.end.div_ceil(2);
                let options = InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0, 2.0]);
                let doubled = interpolate(some(half.clone()).permute([0, 3, 1, 2]), options).permute([0, 2, 3, 1]);
                doubled.narrow(1, rows.start - 2 * half.start, rows.len())
            }
            Before::Normalize(_) => {
                let [scale, shift] = self.affine.clone().expect("a norm has them");
                activation::silu(some(rows) * scale + shift)
            }
        }
    }
}
