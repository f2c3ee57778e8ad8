//! Geometry of a convolution: sides, patches, and which part of an input row each tap of the kernel reads.

use std::ops::Range;

/// Geometry of a square convolution with the same padding on all sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Step in both directions.
    pub stride: usize,
    /// Zeros added on each side.
    pub padding: usize,
}

impl ConvShape {
    /// Side of the output for a side of the input.
    pub fn output_side(&self, input: usize) -> usize {
        (input + 2 * self.padding - self.kernel) / self.stride + 1
    }

    /// Numbers in one patch: in · k · k.
    pub fn patch(&self) -> usize {
        self.inputs * self.kernel * self.kernel
    }

    pub(crate) fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.padding == 0
    }
}

/// How a 3×3 convolution of stride 1 without padding may be computed in bf16; one with padding may by Winograd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unpadded {
    /// As it stands.
    Direct,
    /// By Winograd.
    Winograd,
    /// By Winograd, of an image with twice its height and width, every pixel four times, and one pixel around it.
    WinogradOfDoubled,
}

/// Sides of one image on its way through a convolution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plane {
    shape: ConvShape,
    pub height: usize,
    pub width: usize,
    pub out_height: usize,
    pub out_width: usize,
}

/// Neighbouring pixels of the output whose inputs for one tap of the kernel exist; these are `stride` apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// The first pixel, from the first of the pixels that were asked for.
    pub pixel: usize,
    /// Where its input is in the channel.
    pub input: usize,
    pub count: usize,
}

impl Plane {
    /// For an image of this size.
    pub fn new(shape: ConvShape, height: usize, width: usize) -> Self {
        Self { shape, height, width, out_height: shape.output_side(height), out_width: shape.output_side(width) }
    }

    /// Pixels of the input.
    pub fn input(&self) -> usize {
        self.height * self.width
    }

    /// Pixels of the output.
    pub fn output(&self) -> usize {
        self.out_height * self.out_width
    }

    /// The pixels of some output rows.
    pub fn pixels(&self, rows: &Range<usize>) -> Range<usize> {
        rows.start * self.out_width..rows.end * self.out_width
    }

    /// Calls `visit` for each run of one tap (row and column of the kernel in one number) within some pixels of the output.
    pub fn runs(&self, tap: usize, pixels: Range<usize>, mut visit: impl FnMut(Run)) {
        let s = self.shape;
        let kernel_column = tap % s.kernel;
        // The outputs of a row whose input column exists, and the first such column.
        let first = s.padding.saturating_sub(kernel_column).div_ceil(s.stride);
        let end = (self.width + s.padding).saturating_sub(kernel_column).div_ceil(s.stride).min(self.out_width);
        let end = end.max(first);
        let column = (first * s.stride + kernel_column).wrapping_sub(s.padding);
        for y in pixels.start / self.out_width..pixels.end.div_ceil(self.out_width) {
            let row = (y * s.stride + tap / s.kernel).wrapping_sub(s.padding);
            let start = y * self.out_width;
            let from = (start + first).max(pixels.start);
            let to = (start + end).min(pixels.end);
            if row < self.height && from < to {
                let skipped = (from - start - first) * s.stride;
                let input = row * self.width + column + skipped;
                visit(Run { pixel: from - pixels.start, input, count: to - from });
            }
        }
    }
}
