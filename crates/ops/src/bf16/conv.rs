//! Frozen convolution: y = W·patches, and dx from Wᵀ·dy, with panels of 64 pixels in the lanes and W read as it is.

use std::ops::Range;

use rayon::prelude::*;

use super::linear::Weight;
use super::pack::{Source, interleave, round_rows};
use super::scratch::{with_floats, with_halves, with_words};
use super::tile::{Broadcast, COLUMNS, Extents, LANES, Lanes, ROWS, Start, Target, multiply};
use super::winograd;
use crate::conv_shape::{ConvShape, Plane};
use crate::shared_output::{SharedOutput, filled};

/// Numbers of a patch that are worked on together.
const DEPTH: usize = 2304;
/// Numbers of a patch that are gathered together.
const GATHERED: usize = 32;
/// Numbers of all patches of a task of the backward pass, about: rows of Wᵀ that stay in the cache near the core.
const TALL: usize = 144;

/// A convolution and its weight, [out, in·k·k].
#[derive(Clone, Copy)]
pub(crate) struct Frozen<'a> {
    pub shape: ConvShape,
    pub weight: Weight<'a>,
    pub bias: Option<&'a [f32]>,
}

/// Runs of one tap: offset in the panel, offset in the input channel, count.
type Runs = Vec<(usize, usize, usize)>;

fn runs_of(plane: Plane, taps: usize, pixels: &Range<usize>) -> Vec<Runs> {
    let of = |tap| {
        let mut runs = Vec::new();
        plane.runs(tap, pixels.clone(), |to, from, count| runs.push((to, from, count)));
        runs
    };
    (0..taps).map(of).collect()
}

/// y for x [B, in, H, W].
///
/// # Panics
/// If the processor has not the instructions.
pub(crate) fn forward(conv: Frozen<'_>, x: &[f32], batch: usize, plane: Plane) -> Vec<f32> {
    assert!(super::available());
    if winograd::suits(conv.shape, batch, plane) {
        return winograd::forward(conv, x, batch, plane);
    }
    let (shape, k) = (conv.shape, conv.shape.patch());
    let (image_in, image_out) = (shape.inputs * plane.input(), shape.outputs * plane.output());
    let panels = plane.output().div_ceil(COLUMNS);
    let parts = (4 * rayon::current_num_threads()).div_ceil(batch * panels).min(shape.outputs.div_ceil(16 * ROWS));
    let tall = shape.outputs.div_ceil(parts).next_multiple_of(ROWS);
    let parts = shape.outputs.div_ceil(tall);
    // Words of W's rows start at even numbers only if rows have an even length.
    with_halves(x.len(), |rounded| {
        round_all(x, rounded);
        let rounded = &*rounded;
        with_even_rows(conv.weight, |words, row_stride| {
            let tasks = |y: &SharedOutput<'_>| {
                (0..batch * panels * parts).into_par_iter().for_each(|task| {
                    let (image, panel, part) = (task / (panels * parts), task / parts % panels, task % parts);
                    let pixels = panel * COLUMNS..((panel + 1) * COLUMNS).min(plane.output());
                    let rows = part * tall..((part + 1) * tall).min(shape.outputs);
                    let patches = Patches::new(shape, plane, &rounded[image * image_in..][..image_in], pixels.clone());
                    let start = image * image_out + rows.start * plane.output() + pixels.start;
                    let target = Target { output: y, start, row_stride: plane.output() };
                    let mut start = conv.bias.map_or(Start::Zero, |bias| Start::Rows(&bias[rows.clone()]));
                    with_words(DEPTH.min(k.next_multiple_of(2)) / 2 * COLUMNS, |panel| {
                        for first in (0..k).step_by(DEPTH) {
                            let depth = first..(first + DEPTH).min(k);
                            let e = Extents { rows: rows.len(), columns: pixels.len(), pairs: depth.len().div_ceil(2) };
                            patches.pack(depth, panel);
                            let a = Broadcast::rows(&words[rows.start * row_stride + first / 2..], row_stride);
                            // SAFETY: asserted above; each task writes its own channels and pixels.
                            unsafe { multiply(e, a, Lanes { words: panel, width: COLUMNS }, target, start) };
                            start = Start::Output;
                        }
                    });
                });
            };
            // SAFETY: the tasks cover all images, channels and pixels.
            unsafe { filled(batch * image_out, tasks) }
        })
    })
}

/// Lends the weight as words with rows that start at a word; where they do already, it is the weight itself.
fn with_even_rows<R>(weight: Weight<'_>, work: impl FnOnce(&[u32], usize) -> R) -> R {
    let source = weight.part(0..weight.rows, 0..weight.columns);
    if weight.columns.is_multiple_of(2)
        && let Ok(words) = bytemuck::try_cast_slice(source.numbers)
    {
        return work(words, weight.columns / 2);
    }
    let stride = weight.columns.next_multiple_of(2);
    with_halves(weight.rows * stride, |halves| {
        for (row, out) in source.numbers.chunks_exact(weight.columns).zip(halves.chunks_exact_mut(stride)) {
            out[..row.len()].copy_from_slice(row);
            out[row.len()..].fill(0);
        }
        work(bytemuck::cast_slice(halves), stride / 2)
    })
}

fn round_all(x: &[f32], out: &mut [u16]) {
    let slice = x.len().div_ceil(4 * rayon::current_num_threads()).next_multiple_of(32);
    out.par_chunks_mut(slice).zip(x.par_chunks(slice)).for_each(|(out, x)| {
        // SAFETY: the callers have asserted the instructions.
        unsafe { round_rows(x, x.len(), out, x.len()) }
    });
}

/// Patches of 64 output pixels of one image.
struct Patches<'a> {
    shape: ConvShape,
    plane: Plane,
    image: &'a [u16],
    pixels: Range<usize>,
    runs: Vec<Runs>,
}

impl<'a> Patches<'a> {
    fn new(shape: ConvShape, plane: Plane, image: &'a [u16], pixels: Range<usize>) -> Self {
        let runs = if shape.is_pointwise() { Vec::new() } else { runs_of(plane, shape.kernel * shape.kernel, &pixels) };
        Self { shape, plane, image, pixels, runs }
    }

    /// Brings the numbers `depth` of every patch into lanes.
    fn pack(&self, depth: Range<usize>, panel: &mut [u32]) {
        if self.shape.is_pointwise() {
            let numbers = &self.image[depth.start * self.plane.input() + self.pixels.start..];
            let (rows, columns) = (depth.len(), self.pixels.len());
            let source = Source { numbers, rows, columns, stride: self.plane.input() };
            // SAFETY: the caller has asserted the instructions.
            return unsafe { interleave(source, panel, COLUMNS) };
        }
        let (taps, stride) = (self.shape.kernel * self.shape.kernel, self.shape.stride);
        let mut gathered = [0u16; GATHERED * COLUMNS];
        for first in depth.clone().step_by(GATHERED) {
            let rows = GATHERED.min(depth.end - first);
            gathered.fill(0);
            for (k, row) in (first..first + rows).zip(gathered.chunks_exact_mut(COLUMNS)) {
                let channel = &self.image[k / taps * self.plane.input()..][..self.plane.input()];
                for (to, from, count) in &self.runs[k % taps] {
                    let row = &mut row[*to..to + count];
                    if stride == 1 {
                        row.copy_from_slice(&channel[*from..from + count]);
                    } else {
                        row.iter_mut().zip(channel[*from..].iter().step_by(stride)).for_each(|(out, x)| *out = *x);
                    }
                }
            }
            let source = Source { numbers: &gathered, rows, columns: COLUMNS, stride: COLUMNS };
            // SAFETY: the caller has asserted the instructions.
            unsafe { interleave(source, &mut panel[(first - depth.start) / 2 * COLUMNS..], COLUMNS) };
        }
    }
}

/// dx for dy [B, out, H', W']; `plane` is that of the forward pass.
///
/// # Panics
/// If the processor has not the instructions.
pub(crate) fn backward(conv: Frozen<'_>, dy: &[f32], batch: usize, plane: Plane) -> Vec<f32> {
    assert!(super::available());
    if winograd::suits(conv.shape, batch, plane) {
        return winograd::backward(conv, dy, batch, plane);
    }
    let (shape, taps) = (conv.shape, conv.shape.kernel * conv.shape.kernel);
    let panels = plane.output().div_ceil(COLUMNS);
    let panel_words = shape.outputs.div_ceil(2) * COLUMNS;
    let channels = (TALL / taps).clamp(1, shape.inputs.div_ceil(rayon::current_num_threads()));
    let blocks = shape.inputs.div_ceil(channels);
    with_words(batch * panels * panel_words, |lanes| {
        lanes.par_chunks_mut(panel_words).enumerate().for_each(|(index, out)| {
            let (image, panel) = (index / panels, index % panels);
            let dy = &dy[image * shape.outputs * plane.output()..][..shape.outputs * plane.output()];
            lanes_of(dy, plane.output(), panel * COLUMNS, out);
        });
        let lanes = &*lanes;
        let tasks = |dx: &SharedOutput<'_>| {
            (0..blocks).into_par_iter().for_each(|block| {
                let channels = block * channels..((block + 1) * channels).min(shape.inputs);
                let width = (channels.len() * taps).next_multiple_of(LANES);
                with_words(shape.outputs.div_ceil(2) * width, |weight| {
                    let source = conv.weight.part(0..shape.outputs, channels.start * taps..channels.end * taps);
                    // SAFETY: asserted above.
                    unsafe { interleave(source, weight, width) };
                    let weight = Lanes { words: weight, width };
                    for image in 0..batch {
                        let lanes = &lanes[image * panels * panel_words..][..panels * panel_words];
                        let first = (image * shape.inputs + channels.start) * plane.input();
                        // SAFETY: each task writes its own channels.
                        let dx = unsafe { dx.part(first, channels.len() * plane.input()) };
                        channels_backward(shape, plane, weight, lanes, dx);
                    }
                });
            });
        };
        // SAFETY: the tasks cover all images and channels; `channels_backward` writes all of its part.
        unsafe { filled(batch * shape.inputs * plane.input(), tasks) }
    })
}

/// The gradient of some channels of one image.
fn channels_backward(shape: ConvShape, plane: Plane, weight: Lanes<'_>, lanes: &[u32], dx: &mut [f32]) {
    let taps = shape.kernel * shape.kernel;
    let rows = dx.len() / plane.input() * taps;
    let pairs = shape.outputs.div_ceil(2);
    let product = |panel: usize, columns: usize, out: &mut [f32], start: usize, row_stride: usize| {
        let output = SharedOutput::new(out);
        let words = &lanes[panel * pairs * COLUMNS..][..pairs * COLUMNS];
        let target = Target { output: &output, start, row_stride };
        let e = Extents { rows, columns, pairs };
        // SAFETY: the caller has asserted the instructions; `out` is borrowed exclusively.
        unsafe { multiply(e, Broadcast::lanes(weight), Lanes { words, width: COLUMNS }, target, Start::Zero) };
    };
    let panels = (0..plane.output()).step_by(COLUMNS).map(|from| from..(from + COLUMNS).min(plane.output()));
    if shape.is_pointwise() {
        panels.enumerate().for_each(|(index, pixels)| product(index, pixels.len(), dx, pixels.start, plane.input()));
        return;
    }
    dx.fill(0.0);
    with_floats(rows * COLUMNS, |patches| {
        for (index, pixels) in panels.enumerate() {
            product(index, pixels.len(), patches, 0, COLUMNS);
            let runs = runs_of(plane, taps, &pixels);
            for (row, patch) in patches.chunks_exact(COLUMNS).enumerate() {
                let channel = &mut dx[row / taps * plane.input()..][..plane.input()];
                for (from, to, count) in &runs[row % taps] {
                    let patch = &patch[*from..from + count];
                    if shape.stride == 1 {
                        channel[*to..to + count].iter_mut().zip(patch).for_each(|(x, p)| *x += p);
                    } else {
                        channel[*to..].iter_mut().step_by(shape.stride).zip(patch).for_each(|(x, p)| *x += p);
                    }
                }
            }
        }
    });
}

/// 64 columns from `first` of rows of f32 numbers, rounded, in lanes.
fn lanes_of(numbers: &[f32], stride: usize, first: usize, out: &mut [u32]) {
    let columns = COLUMNS.min(stride - first);
    let mut gathered = [0u16; GATHERED * COLUMNS];
    let blocks = numbers.chunks(GATHERED * stride).zip(out.chunks_mut(GATHERED / 2 * COLUMNS));
    for (numbers, out) in blocks {
        let rows = numbers.len() / stride;
        for (row, gathered) in numbers.chunks_exact(stride).zip(gathered.chunks_exact_mut(COLUMNS)) {
            // SAFETY: the caller has asserted the instructions.
            unsafe { round_rows(&row[first..first + columns], columns, gathered, columns) };
        }
        let source = Source { numbers: &gathered, rows, columns, stride: COLUMNS };
        // SAFETY: as above.
        unsafe { interleave(source, out, COLUMNS) };
    }
}
