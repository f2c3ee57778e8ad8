//! Frozen convolution: y = W·patches, and dx from Wᵀ·dy, with panels of 64 pixels in the lanes and W read as it is.

use std::ops::Range;

use rayon::prelude::*;

use super::pack::{Source, interleave, round_rows};
use super::scratch::{with_floats, with_halves, with_words};
use super::tile::{Ahead, Broadcast, COLUMNS, Extents, LANES, LINE, Lanes, ROWS, Start, multiply, multiply_before};
use super::weight::{ConvWeight, Weight};
use super::winograd::{self, FEW_PANELS};
use crate::conv_shape::{ConvShape, Plane, Run, Unpadded};
use crate::shared_output::{SharedOutput, Target, filled};

/// Numbers of a patch that are worked on together.
const DEPTH: usize = 2304;
/// Numbers of a patch that are gathered together.
const GATHERED: usize = 32;
/// Numbers of the patches of a panel that are a task where panels are few.
const SHARE: usize = 16 * GATHERED;
/// Numbers of all patches of a task of the backward pass, about: rows of Wᵀ that stay in the cache near the core.
const TALL: usize = 144;

/// Runs of one tap.
type Runs = Vec<Run>;

fn runs_of(plane: Plane, taps: usize, pixels: &Range<usize>) -> Vec<Runs> {
    let mut all = Vec::with_capacity(taps);
    for tap in 0..taps {
        let mut runs = Vec::new();
        plane.runs(tap, pixels.clone(), |run| runs.push(run));
        all.push(runs);
    }
    all
}

/// y for x [B, in, H, W].
///
/// # Panics
/// If the processor has not the instructions.
pub(crate) fn forward(conv: ConvWeight<'_>, x: &[f32], batch: usize, plane: Plane) -> Vec<f32> {
    assert!(super::available());
    let may = conv.shape.padding == 1 || conv.unpadded != Unpadded::Direct;
    if may && winograd::suits(conv.shape, batch, plane) {
        return winograd::forward(conv, x, batch, plane);
    }
    let outputs = batch * conv.shape.outputs * plane.output();
    // Words of W's rows start at even numbers only if rows have an even length.
    with_halves(x.len(), |rounded| {
        round_all(x, rounded);
        with_even_rows(conv.weight, |words, row_stride| {
            let forward = Forward { conv, plane, batch, rounded, words, row_stride };
            let tasks = |y: &SharedOutput<'_>| {
                if batch * forward.panels() <= FEW_PANELS { forward.by_channels(y) } else { forward.by_panels(y) }
            };
            // SAFETY: both ways cover all images, channels and pixels.
            unsafe { filled(outputs, tasks) }
        })
    })
}

/// 64 pixels of one image's output.
#[derive(Clone, Copy)]
struct ImagePanel {
    image: usize,
    /// Number among the panels of the image.
    index: usize,
}

/// A convolution on its way forward.
struct Forward<'a> {
    conv: ConvWeight<'a>,
    plane: Plane,
    batch: usize,
    /// x.
    rounded: &'a [u16],
    /// The weight.
    words: &'a [u32],
    row_stride: usize,
}

impl Forward<'_> {
    fn panels(&self) -> usize {
        self.plane.output().div_ceil(COLUMNS)
    }

    /// Parts of what is summed.
    fn depths(&self) -> impl Iterator<Item = Range<usize>> + Clone {
        let k = self.conv.shape.patch();
        (0..k).step_by(DEPTH).map(move |first| first..(first + DEPTH).min(k))
    }

    /// The output channels in at most `parts` ranges, none of a few rows only.
    fn channels(&self, parts: usize) -> Vec<Range<usize>> {
        let outputs = self.conv.shape.outputs;
        let tall = outputs.div_ceil(parts.min(outputs.div_ceil(16 * ROWS))).next_multiple_of(2 * ROWS);
        (0..outputs).step_by(tall).map(|first| first..(first + tall).min(outputs)).collect()
    }

    /// Panel number `index` of all images.
    fn panel(&self, index: usize) -> ImagePanel {
        ImagePanel { image: index / self.panels(), index: index % self.panels() }
    }

    fn patches(&self, panel: ImagePanel) -> Patches<'_> {
        let size = self.conv.shape.inputs * self.plane.input();
        let first = panel.index * COLUMNS;
        let pixels = first..(first + COLUMNS).min(self.plane.output());
        Patches::new(self.conv.shape, self.plane, &self.rounded[panel.image * size..][..size], pixels)
    }

    /// Adds what some numbers of the patches of a panel give to some channels.
    fn multiply(
        &self,
        panel: ImagePanel,
        channels: &Range<usize>,
        depth: &Range<usize>,
        lanes: Lanes<'_>,
        y: &SharedOutput<'_>,
    ) {
        let pixels = self.plane.output();
        let first = panel.index * COLUMNS;
        let e = Extents { rows: channels.len(), columns: COLUMNS.min(pixels - first), pairs: depth.len().div_ceil(2) };
        let channel = panel.image * self.conv.shape.outputs + channels.start;
        let target = Target { output: y, start: channel * pixels + first, row_stride: pixels };
        let start = match self.conv.bias {
            _ if depth.start > 0 => Start::Output,
            Some(bias) => Start::Rows(&bias[channels.clone()]),
            None => Start::Zero,
        };
        let words = &self.words[channels.start * self.row_stride + depth.start / 2..];
        // SAFETY: `forward` has asserted the instructions; each task has its own channels or pixels.
        unsafe { multiply(e, Broadcast::rows(words, self.row_stride), lanes, target, start) };
    }

    /// Each task gathers the patches of a panel, for all channels or some of them.
    fn by_panels(&self, y: &SharedOutput<'_>) {
        let panels = self.panels();
        let channels = self.channels((4 * rayon::current_num_threads()).div_ceil(self.batch * panels));
        (0..self.batch * panels * channels.len()).into_par_iter().for_each(|task| {
            let panel = self.panel(task / channels.len());
            let channels = &channels[task % channels.len()];
            let patches = self.patches(panel);
            let width = COLUMNS;
            with_words(DEPTH.min(self.conv.shape.patch().next_multiple_of(2)) / 2 * width, |words| {
                for depth in self.depths() {
                    patches.pack(depth.clone(), words, width);
                    self.multiply(panel, channels, &depth, Lanes { words, width }, y);
                }
            });
        });
    }

    /// The patches of the few panels are gathered once, then each task has some channels: with few pixels, the weight is
    /// most of the numbers, and is read once.
    fn by_channels(&self, y: &SharedOutput<'_>) {
        let panels = self.panels();
        let width = self.plane.output().min(COLUMNS).next_multiple_of(LANES);
        let size = self.conv.shape.patch().div_ceil(2) * width;
        let channels = self.channels(8 * rayon::current_num_threads());
        with_words(self.batch * panels * size, |gathered| {
            gathered.par_chunks_mut(size).enumerate().for_each(|(index, out)| {
                let patches = self.patches(self.panel(index));
                let tasks = out.par_chunks_mut(SHARE / 2 * width).enumerate();
                tasks.for_each(|(share, out)| {
                    let first = share * SHARE;
                    patches.pack(first..(first + SHARE).min(self.conv.shape.patch()), out, width);
                });
            });
            let gathered = &*gathered;
            channels.par_iter().for_each(|channels| {
                for depth in self.depths() {
                    for (index, words) in gathered.chunks_exact(size).enumerate() {
                        let lanes = Lanes { words: &words[depth.start / 2 * width..], width };
                        self.multiply(self.panel(index), channels, &depth, lanes, y);
                    }
                }
            });
        });
    }
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

    /// Brings the numbers `depth` of every patch into lanes, `width` of them.
    fn pack(&self, depth: Range<usize>, panel: &mut [u32], width: usize) {
        if self.shape.is_pointwise() {
            let numbers = &self.image[depth.start * self.plane.input() + self.pixels.start..];
            let source = Source { numbers, rows: depth.len(), columns: self.pixels.len(), stride: self.plane.input() };
            // SAFETY: the caller has asserted the instructions.
            return unsafe { interleave(source, panel, width) };
        }
        let taps = self.shape.kernel * self.shape.kernel;
        let stride = self.shape.stride;
        let mut gathered = [0u16; GATHERED * COLUMNS];
        for first in depth.clone().step_by(GATHERED) {
            let rows = GATHERED.min(depth.end - first);
            gathered.fill(0);
            for (k, row) in (first..first + rows).zip(gathered.chunks_exact_mut(width)) {
                let channel = &self.image[k / taps * self.plane.input()..][..self.plane.input()];
                for Run { pixel, input, count } in &self.runs[k % taps] {
                    let row = &mut row[*pixel..pixel + count];
                    if stride == 1 {
                        row.copy_from_slice(&channel[*input..input + count]);
                    } else {
                        row.iter_mut().zip(channel[*input..].iter().step_by(stride)).for_each(|(out, x)| *out = *x);
                    }
                }
            }
            let source = Source { numbers: &gathered, rows, columns: width, stride: width };
            // SAFETY: the caller has asserted the instructions.
            unsafe { interleave(source, &mut panel[(first - depth.start) / 2 * width..], width) };
        }
    }
}

/// dx for dy [B, out, H', W']; `plane` is that of the forward pass.
///
/// # Panics
/// If the processor has not the instructions.
pub(crate) fn backward(conv: ConvWeight<'_>, dy: &[f32], batch: usize, plane: Plane) -> Vec<f32> {
    assert!(super::available());
    if conv.shape.padding == 1 && winograd::suits(conv.shape, batch, plane) {
        return winograd::backward(conv, dy, batch, plane);
    }
    let shape = conv.shape;
    let taps = shape.kernel * shape.kernel;
    let panels = plane.output().div_ceil(COLUMNS);
    let panel_words = shape.outputs.div_ceil(2) * COLUMNS;
    let channels = (TALL / taps).clamp(1, shape.inputs.div_ceil(rayon::current_num_threads()));
    let blocks = shape.inputs.div_ceil(channels);
    with_words(batch * panels * panel_words, |lanes| {
        lanes.par_chunks_mut(panel_words).enumerate().for_each(|(index, out)| {
            let image = index / panels;
            let panel = index % panels;
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
                    let ahead = Ahead::Columns {
                        first: source.numbers.as_ptr().wrapping_add(source.columns),
                        stride: source.stride,
                        lines: source.columns.div_ceil(LINE) + 1,
                    };
                    for image in 0..batch {
                        let lanes = &lanes[image * panels * panel_words..][..panels * panel_words];
                        let first = (image * shape.inputs + channels.start) * plane.input();
                        // SAFETY: each task writes its own channels.
                        let dx = unsafe { dx.part(first, channels.len() * plane.input()) };
                        channels_backward(shape, plane, weight, lanes, ahead, dx);
                    }
                });
            });
        };
        // SAFETY: the tasks cover all images and channels; `channels_backward` writes all of its part.
        unsafe { filled(batch * shape.inputs * plane.input(), tasks) }
    })
}

/// The gradient of some channels of one image.
fn channels_backward(shape: ConvShape, plane: Plane, weight: Lanes<'_>, lanes: &[u32], ahead: Ahead, dx: &mut [f32]) {
    let taps = shape.kernel * shape.kernel;
    let rows = dx.len() / plane.input() * taps;
    let pairs = shape.outputs.div_ceil(2);
    let product = |panel: usize, columns: usize, out: &mut [f32], start: usize, row_stride: usize| {
        let output = SharedOutput::new(out);
        let words = &lanes[panel * pairs * COLUMNS..][..pairs * COLUMNS];
        let target = Target { output: &output, start, row_stride };
        let e = Extents { rows, columns, pairs };
        // SAFETY: the caller has asserted the instructions; `out` is borrowed exclusively.
        unsafe {
            multiply_before(
                e,
                Broadcast::lanes(weight),
                Lanes { words, width: COLUMNS },
                target,
                Start::Zero,
                Some(ahead),
            )
        };
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
                for Run { pixel, input, count } in &runs[row % taps] {
                    let patch = &patch[*pixel..pixel + count];
                    if shape.stride == 1 {
                        channel[*input..input + count].iter_mut().zip(patch).for_each(|(x, p)| *x += p);
                    } else {
                        channel[*input..].iter_mut().step_by(shape.stride).zip(patch).for_each(|(x, p)| *x += p);
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
