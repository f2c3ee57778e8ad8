//! Convolutions of large images in bands of rows, together with what comes before them.
//!
//! A band of the output needs the rows of the input that lie under it and those around it that the kernel reaches. With
//! these, every number is the sum that it is in one piece, so that bands leave no seams, other than tiles of an image that
//! each go through the whole network (diffusers' `enable_tiling`). What comes before, a group norm with SiLU, an
//! enlargement, padding, is done to one band at a time. So an image is never held in between; a norm's mean and
//! spread are those of the whole image, in a pass of their own.

use std::ops::Range;

use rayon::prelude::*;

use crate::conv::FrozenConv;
use crate::conv_shape::ConvShape;
use crate::elementary::sigmoid;
use crate::group_norm::{Affine, GroupNorm};
use crate::lanes::vectorized;
use crate::planes::Planes;

/// Numbers of a band, about: 16 MB, next to nothing beside an image and still many rows.
const BAND: usize = 1 << 22;

/// What an image goes through before a convolution.
#[derive(Debug, Clone, Copy)]
pub enum Before<'a> {
    /// Nothing.
    Nothing,
    /// The norm, then SiLU.
    Normalize(&'a GroupNorm),
    /// One row of zeros more below, and one column on the right.
    PadEnd,
    /// Twice the height and width, every pixel four times.
    Double,
}

/// The convolution of what `before` makes of `x`.
pub(crate) fn convolved(conv: &FrozenConv, x: &Planes, before: Before<'_>) -> Planes {
    let bands = Bands::new(conv, x, before, BAND);
    let mut y = Planes::zeros(bands.cut.output());
    bands.each(x, |rows, numbers| put(&mut y, rows, numbers, |y, new| y.copy_from_slice(new)));
    y
}

/// The convolution of what `before` makes of `x`, added to `y`.
///
/// # Panics
/// If `y` has another size than the output.
pub(crate) fn add_convolved(conv: &FrozenConv, x: &Planes, before: Before<'_>, y: &mut Planes) {
    let bands = Bands::new(conv, x, before, BAND);
    assert_eq!(bands.cut.output(), [y.channels, y.height, y.width], "a sum of images");
    bands.each(x, |rows, numbers| put(y, rows, numbers, |y, new| y.iter_mut().zip(new).for_each(|(y, x)| *y += x)));
}

/// A 1×1 convolution, in the memory of its input where there is room.
///
/// # Panics
/// If it is another convolution.
pub(crate) fn pointwise(conv: &FrozenConv, mut x: Planes) -> Planes {
    assert!(conv.shape().is_pointwise());
    if conv.shape().outputs > x.channels {
        return convolved(conv, &x, Before::Nothing);
    }
    let bands = Bands::new(conv, &x, Before::Nothing, BAND);
    let mut band = Vec::new();
    for rows in bands.cut.rows() {
        // All channels of these rows are read before the first of them is overwritten.
        let numbers = bands.multiply(&x, rows.clone(), &mut band);
        put(&mut x, rows, &numbers, |y, new| y.copy_from_slice(new));
    }
    x.channels = conv.shape().outputs;
    x.numbers.truncate(x.channels * x.plane());
    x.numbers.shrink_to_fit();
    x
}

/// Changes some rows of the first channels of `y` by rows that were computed.
fn put(y: &mut Planes, rows: Range<usize>, numbers: &[f32], change: impl Fn(&mut [f32], &[f32]) + Sync) {
    let plane = y.plane();
    let width = y.width;
    let channels = y.numbers.par_chunks_mut(plane).zip(numbers.par_chunks(rows.len() * width));
    channels.for_each(|(y, new)| change(&mut y[rows.start * width..rows.end * width], new));
}

/// Where a convolution of one image is cut into bands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    /// Without padding, which the bands have instead.
    pub shape: ConvShape,
    /// Height of the image as the convolution sees it.
    pub height: usize,
    /// Width of the image as the convolution sees it.
    pub width: usize,
    /// Zeros above and on the left.
    pub zeros_before: usize,
    /// Zeros below and on the right.
    pub zeros_after: usize,
    /// Numbers of a band, about.
    size: usize,
}

impl Cut {
    /// For an image of this height and width.
    pub fn new(shape: ConvShape, height: usize, width: usize, before: Before<'_>, size: usize) -> Self {
        let scale = if matches!(before, Before::Double) { 2 } else { 1 };
        let more = usize::from(matches!(before, Before::PadEnd));
        Self {
            shape: ConvShape { padding: 0, ..shape },
            height: scale * height,
            width: scale * width,
            zeros_before: shape.padding,
            zeros_after: shape.padding + more,
            size,
        }
    }

    /// Width of a band.
    fn band_width(&self) -> usize {
        self.zeros_before + self.width + self.zeros_after
    }

    /// Channels, height and width of the output.
    pub fn output(&self) -> [usize; 3] {
        let zeros = self.zeros_before + self.zeros_after;
        let height = self.shape.output_side(self.height + zeros);
        let width = self.shape.output_side(self.width + zeros);
        [self.shape.outputs, height, width]
    }

    /// Rows of the output in a band. An even number if they are several: Winograd's tiles have two rows, and so are the same
    /// in any number of bands.
    fn step(&self) -> usize {
        let [_, height, _] = self.output();
        let row = self.shape.inputs.max(self.shape.outputs) * self.band_width() * self.shape.stride;
        match (self.size / row).clamp(1, height) {
            1 => 1,
            rows => rows - rows % 2,
        }
    }

    /// The output's rows of each band.
    pub fn rows(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let [_, height, _] = self.output();
        let step = self.step();
        (0..height).step_by(step).map(move |row| row..(row + step).min(height))
    }
}

/// A convolution of one image on the processor, cut into bands.
struct Bands<'a> {
    cut: Cut,
    /// Beyond the edges is the other side of the image.
    wraps: bool,
    conv: FrozenConv,
    before: Before<'a>,
    /// What the norm does to each channel.
    affine: Vec<Affine>,
}

impl<'a> Bands<'a> {
    fn new(conv: &FrozenConv, x: &Planes, before: Before<'a>, size: usize) -> Self {
        assert_eq!(x.channels, conv.shape().inputs, "input channels of a convolution");
        let affine = match before {
            Before::Normalize(norm) => norm.affine(&x.numbers),
            _ => Vec::new(),
        };
        let cut = Cut::new(conv.shape(), x.height, x.width, before, size);
        let wraps = conv.wraps();
        // Bands of several rows begin with an even one.
        let conv = conv.of_bands(matches!(before, Before::Double) && cut.step() > 1);
        Self { cut, wraps, conv, before, affine }
    }

    /// Calls `take` with each band of the output: its rows, and its numbers in all channels.
    fn each(&self, x: &Planes, mut take: impl FnMut(Range<usize>, &[f32])) {
        let mut band = Vec::new();
        for rows in self.cut.rows() {
            let numbers = self.multiply(x, rows.clone(), &mut band);
            take(rows, &numbers);
        }
    }

    /// Some rows of the output; `band` is memory to work in.
    fn multiply(&self, x: &Planes, rows: Range<usize>, band: &mut Vec<f32>) -> Vec<f32> {
        let cut = self.cut;
        let shape = cut.shape;
        let width = cut.band_width();
        let height = (rows.len() - 1) * shape.stride + shape.kernel;
        band.resize(shape.inputs * height * width, 0.0);
        let channels = band.par_chunks_exact_mut(height * width).zip(x.numbers.par_chunks_exact(x.plane()));
        channels.enumerate().for_each(|(index, (band, channel))| {
            for (row, line) in band.chunks_exact_mut(width).enumerate() {
                let mut from = (rows.start * shape.stride + row).wrapping_sub(cut.zeros_before);
                if self.wraps {
                    from = (rows.start * shape.stride + row + cut.height - cut.zeros_before) % cut.height;
                }
                if from >= cut.height {
                    line.fill(0.0);
                    continue;
                }
                let (left, line) = line.split_at_mut(cut.zeros_before);
                let (line, right) = line.split_at_mut(cut.width);
                left.fill(0.0);
                right.fill(0.0);
                self.bring(index, &channel[from * x.height / cut.height * x.width..][..x.width], line);
                if self.wraps {
                    left.copy_from_slice(&line[cut.width - cut.zeros_before..]);
                    right.copy_from_slice(&line[..cut.zeros_after]);
                }
            }
        });
        self.conv.on_numbers(band, [1, shape.inputs, height, width])
    }

    /// What the convolution sees of one row of a channel.
    fn bring(&self, channel: usize, row: &[f32], line: &mut [f32]) {
        match self.before {
            Before::Nothing | Before::PadEnd => line.copy_from_slice(row),
            Before::Double => line.chunks_exact_mut(2).zip(row).for_each(|(pair, x)| pair.fill(*x)),
            Before::Normalize(_) => {
                let Affine { scale, shift } = self.affine[channel];
                vectorized!({
                    line.iter_mut().zip(row).for_each(|(y, x)| {
                        let z = x * scale + shift;
                        *y = z * sigmoid(z);
                    });
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::module::interpolate;
    use burn::tensor::ops::{InterpolateMode, InterpolateOptions, PadMode};
    use burn::tensor::{Device, Tensor, TensorData};

    use super::*;
    use crate::agreement::{numbers, relative_error};
    use crate::{Activation, Edges, FrozenMatrix, WeightDtype};

    fn image([channels, height, width]: [usize; 3], salt: u64) -> Planes {
        Planes { channels, height, width, numbers: numbers(channels * height * width, salt) }
    }

    fn tensor(x: &Planes) -> Tensor<4> {
        Tensor::from_data(TensorData::new(x.numbers.clone(), [1, x.channels, x.height, x.width]), &Device::flex())
    }

    fn conv([inputs, outputs, kernel, stride, padding]: [usize; 5], dtype: WeightDtype) -> FrozenConv {
        let shape = ConvShape { inputs, outputs, kernel, stride, padding };
        let weight = FrozenMatrix::new(outputs, shape.patch(), numbers(outputs * shape.patch(), 1), dtype);
        FrozenConv::new(shape, weight, Some(numbers(outputs, 2)))
    }

    /// A convolution of what `before` makes of `x` in Burn primitives, in one piece.
    fn plain(conv: &FrozenConv, x: &Planes, before: Before<'_>) -> Vec<f64> {
        let x = tensor(x);
        let x = match before {
            Before::Nothing => x,
            Before::Normalize(norm) => norm.plain_forward(x, Activation::Silu),
            Before::PadEnd => x.pad((0, 1, 0, 1), PadMode::Constant(0.0)),
            Before::Double => {
                interpolate(x, InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0, 2.0]))
            }
        };
        let y: Vec<f32> = conv.plain_forward(x).into_data().try_into_vec().unwrap();
        y.into_iter().map(f64::from).collect()
    }

    fn in_bands_of(conv: &FrozenConv, x: &Planes, before: Before<'_>, size: usize) -> (usize, Vec<f32>) {
        let bands = Bands::new(conv, x, before, size);
        let mut y = Planes::zeros(bands.cut.output());
        bands.each(x, |rows, numbers| put(&mut y, rows, numbers, |y, new| y.copy_from_slice(new)));
        (bands.cut.rows().count(), y.numbers)
    }

    #[test]
    fn any_number_of_bands_gives_the_whole() {
        let norm = GroupNorm::new(numbers(8, 5), numbers(8, 6), 4, 1e-6);
        let same = [8, 6, 3, 1, 1];
        for (sizes, before) in [
            (same, Before::Normalize(&norm)),
            (same, Before::Double),
            (same, Before::Nothing),
            ([8, 6, 1, 1, 0], Before::Nothing),
            ([8, 20, 3, 2, 0], Before::PadEnd),
        ] {
            for dtype in [WeightDtype::F32, WeightDtype::Bf16] {
                let (conv, x) = (conv(sizes, dtype), image([8, 12, 10], 3));
                let expected = plain(&conv, &x, before);
                let (one, whole) = in_bands_of(&conv, &x, before, BAND);
                assert_eq!(one, 1);
                for size in [1, 200, 500] {
                    let (count, y) = in_bands_of(&conv, &x, before, size);
                    assert!(count > 1);
                    assert_eq!(y, whole, "{sizes:?} {before:?} in {count} bands");
                }
                // What a norm gives is not exact in bf16.
                let rounded = dtype == WeightDtype::Bf16 && matches!(before, Before::Normalize(_));
                let (error, allowed) = (relative_error(&whole, &expected), if rounded { 4e-3 } else { 1e-6 });
                assert!(error < allowed, "{sizes:?} {before:?} {dtype:?}: {error:e}");
            }
        }
    }

    /// With as many tiles in each band as make Winograd's products worth their while.
    #[test]
    fn winograd_gives_the_whole_too() {
        let norm = GroupNorm::new(numbers(40, 5), numbers(40, 6), 4, 1e-6);
        let conv = conv([40, 48, 3, 1, 1], WeightDtype::Bf16).with_winograd_in_bands();
        let x = image([40, 20, 60], 3);
        for (before, scale) in [(Before::Normalize(&norm), 1), (Before::Double, 2), (Before::Nothing, 1)] {
            for conv in [conv.clone(), conv.with_edges(Edges::Wrap)] {
                let (one, whole) = in_bands_of(&conv, &x, before, BAND);
                assert_eq!(one, 1);
                let (bands, y) = in_bands_of(&conv, &x, before, 10 * 48 * (60 * scale + 2));
                assert_eq!(bands, 2 * scale);
                assert_eq!(y, whole, "{before:?}");
                let error = relative_error(&whole, &plain(&conv, &x, before));
                assert!(error < 5e-3, "{before:?}: {error:e}");
            }
        }
    }

    #[test]
    fn what_wraps_does_so_in_any_number_of_bands() {
        let norm = GroupNorm::new(numbers(8, 5), numbers(8, 6), 4, 1e-6);
        for before in [Before::Normalize(&norm), Before::Double, Before::Nothing] {
            let conv = conv([8, 6, 3, 1, 1], WeightDtype::F32).with_edges(Edges::Wrap);
            let x = image([8, 12, 10], 3);
            let expected = plain(&conv, &x, before);
            for size in [BAND, 500, 1] {
                let (_, y) = in_bands_of(&conv, &x, before, size);
                let error = relative_error(&y, &expected);
                assert!(error < 1e-6, "{before:?} in bands of {size}: {error:e}");
            }
        }
        let straight = conv([8, 6, 3, 1, 1], WeightDtype::F32);
        let x = image([8, 12, 10], 3);
        assert_ne!(
            plain(&straight, &x, Before::Nothing),
            plain(&straight.with_edges(Edges::Wrap), &x, Before::Nothing)
        );
    }

    #[test]
    fn sums_and_pointwise_convolutions_reuse_memory() {
        let (x, y) = (image([8, 12, 10], 3), image([6, 12, 10], 4));
        let wide = conv([8, 6, 3, 1, 1], WeightDtype::F32);
        let alone = convolved(&wide, &x, Before::Nothing);
        let expected: Vec<f32> = y.numbers.iter().zip(&alone.numbers).map(|(y, x)| y + x).collect();
        let mut sum = y;
        add_convolved(&wide, &x, Before::Nothing, &mut sum);
        assert_eq!(sum.numbers, expected);
        for outputs in [6, 8, 11] {
            let conv = conv([8, outputs, 1, 1, 0], WeightDtype::F32);
            let expected = convolved(&conv, &x, Before::Nothing);
            assert_eq!(pointwise(&conv, image([8, 12, 10], 3)), expected);
        }
    }
}
