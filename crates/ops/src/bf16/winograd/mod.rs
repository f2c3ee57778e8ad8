//! 3×3 convolutions of stride 1 by Winograd's F(2×2, 3×3): sixteen products for four outputs instead of thirty-six.
//!
//! Tiles of 4 × 4 inputs and the 3 × 3 taps are transformed in f32 and rounded to bf16, sixteen matrix products of the
//! transformed numbers follow, and their f32 sums are transformed into tiles of 2 × 2 outputs. The weight is transformed
//! anew in each call, which a few dozen tiles make up for, so that it has no second copy. A relative rounding error is
//! about twice that of the direct product, since the transforms add numbers that partly cancel each other later. Of an
//! image whose sides were doubled, seven of the sixteen products are of zeros and left out.
//!
//! Lavin and Gray 2016, arXiv 1509.09308.

mod tiles;
mod vectors;

use std::arch::x86_64::*;

use rayon::prelude::*;

use self::tiles::{Segment, Tiling};
use self::vectors::{apart, down, four, load, nine, padded, store, store_words, together, two};
use super::pack::{ask_for, transposed};
use super::scratch::{with_floats, with_words};
use super::tile::{Broadcast, COLUMNS, Extents, LANES, Lanes, Start, multiply};
use super::weight::{ConvWeight, Weight};
use crate::conv_shape::{ConvShape, Plane, Unpadded};
use crate::shared_output::{SharedOutput, Target, filled};

/// Transformed numbers of a tile.
const POINTS: usize = 16;
/// Channels of the result that are worked on together.
const BLOCK: usize = 48;
/// Fewer tiles in a batch than these do not make up for the transforms of the weight.
const FEWEST_TILES: usize = 48;
/// How many channels ahead taps are asked for: they come from sixteen places at once, which the processor does not foresee.
const FORESIGHT: usize = 24;
/// Up to so many panels of tiles or pixels, tasks are ranges of channels.
pub(super) const FEW_PANELS: usize = 4;
/// Fewest channels on either side, for the same reason.
const FEWEST_CHANNELS: usize = 32;
/// Fewer tiles than these need more channels: tasks are blocks of them then, and there have to be enough.
const FEW_TILES: usize = 128;
const CHANNELS_OF_FEW_TILES: usize = 256;
/// Largest product of channels, so that the transformed weight takes 64 MB at most.
const LARGEST: usize = 2 << 20;

/// Whether a convolution is one for Winograd: by its shape, with padding 1 or none, and by its size.
pub(super) fn suits(shape: ConvShape, batch: usize, plane: Plane) -> bool {
    let ConvShape { inputs, outputs, kernel, stride, padding } = shape;
    if (kernel, stride) != (3, 1) || padding > 1 {
        return false;
    }
    let tiles = batch * Tiling::of(plane).count();
    inputs.min(outputs) >= if tiles < FEW_TILES { CHANNELS_OF_FEW_TILES } else { FEWEST_CHANNELS }
        && tiles >= FEWEST_TILES
        && (batch * Tiling::of(plane).panels() <= FEW_PANELS || inputs * outputs <= LARGEST)
}

/// y for x [B, in, H, W], with padding 1 or none.
pub(super) fn forward(conv: ConvWeight<'_>, x: &[f32], batch: usize, plane: Plane) -> Vec<f32> {
    let shape = conv.shape;
    let k = shape.patch();
    let order = Order { rows: shape.outputs, depth: shape.inputs, row_stride: k, depth_stride: 9, turned: false };
    let tiling = Tiling::of(plane);
    let doubled = shape.padding == 0 && conv.unpadded == Unpadded::WinogradOfDoubled;
    convolve(&Convolution { weight: conv.weight, order, bias: conv.bias, tiling, plane, doubled }, x, batch)
}

/// dx for dy [B, out, H, W], with padding 1: the convolution with the taps turned round and the channels' roles exchanged.
pub(super) fn backward(conv: ConvWeight<'_>, dy: &[f32], batch: usize, plane: Plane) -> Vec<f32> {
    let shape = conv.shape;
    let k = shape.patch();
    let order = Order { rows: shape.inputs, depth: shape.outputs, row_stride: 9, depth_stride: k, turned: true };
    let tiling = Tiling::of(plane);
    convolve(&Convolution { weight: conv.weight, order, bias: None, tiling, plane, doubled: false }, dy, batch)
}

/// How a convolution goes through its weight: channels of the result are rows, those that are summed are its depth.
#[derive(Clone, Copy)]
struct Order {
    rows: usize,
    depth: usize,
    row_stride: usize,
    depth_stride: usize,
    turned: bool,
}

impl Order {
    fn pairs(&self) -> usize {
        self.depth.div_ceil(2)
    }

    /// Words of one block of rows, all points.
    fn block_words(&self) -> usize {
        POINTS * self.pairs() * BLOCK
    }
}

fn convolve(convolution: &Convolution<'_>, x: &[f32], batch: usize) -> Vec<f32> {
    assert!(super::available());
    let Convolution { order, plane, .. } = convolution;
    let tasks = |y: &SharedOutput<'_>| {
        if batch * convolution.tiling.panels() <= FEW_PANELS {
            convolution.by_blocks(x, batch, y);
        } else {
            convolution.by_panels(x, batch, y);
        }
    };
    // SAFETY: both ways cover all images, tiles and channels.
    unsafe { filled(batch * order.rows * plane.output(), tasks) }
}

struct Convolution<'a> {
    weight: Weight<'a>,
    order: Order,
    bias: Option<&'a [f32]>,
    tiling: Tiling,
    plane: Plane,
    /// Whether the two inputs in the middle of each side of a tile are one pixel.
    doubled: bool,
}

impl<'a> Convolution<'a> {
    fn blocks(&self) -> usize {
        self.order.rows.div_ceil(BLOCK)
    }

    /// Words of one panel of tiles, all points and channels.
    fn panel_words(&self) -> usize {
        POINTS * self.order.pairs() * COLUMNS
    }

    /// The numbers of one image.
    fn image<'x>(&self, x: &'x [f32], image: usize) -> &'x [f32] {
        let size = self.order.depth * self.plane.input();
        &x[image * size..][..size]
    }

    fn segments(&self, panel: usize) -> Vec<Segment> {
        self.tiling.segments(panel * COLUMNS..((panel + 1) * COLUMNS).min(self.tiling.count()))
    }

    fn work<'s>(&self, segments: &'s [Segment]) -> Work<'s>
    where
        'a: 's,
    {
        Work { order: self.order, tiling: self.tiling, segments, bias: self.bias, doubled: self.doubled }
    }

    /// All taps are transformed first; then each task has a panel of tiles.
    fn by_panels(&self, x: &[f32], batch: usize, y: &SharedOutput<'_>) {
        let (order, panels, blocks) = (self.order, self.tiling.panels(), self.blocks());
        // A part transforms its tiles again, so that there are no more than threads need.
        let parts = (4 * rayon::current_num_threads()).div_ceil(batch * panels).min(blocks.div_ceil(2));
        let blocks_of = |part: usize| part * blocks / parts..(part + 1) * blocks / parts;
        with_words(blocks * order.block_words(), |taps| {
            taps.par_chunks_exact_mut(order.block_words()).enumerate().for_each(|(block, out)| {
                // SAFETY: `convolve` has asserted the instructions.
                unsafe { transform_weight(self.weight, order, block * BLOCK, out) }
            });
            let taps = &*taps;
            (0..batch * panels * parts).into_par_iter().for_each(|task| {
                let (image, panel, part) = (task / (panels * parts), task / parts % panels, task % parts);
                let segments = self.segments(panel);
                let work = self.work(&segments);
                with_words(self.panel_words(), |lanes| {
                    // SAFETY: as above.
                    unsafe { work.transform_input(self.image(x, image), lanes) };
                    for block in blocks_of(part) {
                        let taps = &taps[block * order.block_words()..][..order.block_words()];
                        work.products(block * BLOCK, taps, lanes, (y, image * order.rows * self.plane.output()));
                    }
                });
            });
        });
    }

    /// All tiles are transformed first; then each task has a block of channels, whose transformed taps never leave the
    /// cache: with few tiles they are most of the numbers.
    fn by_blocks(&self, x: &[f32], batch: usize, y: &SharedOutput<'_>) {
        let (order, panels) = (self.order, self.tiling.panels());
        with_words(batch * panels * self.panel_words(), |lanes| {
            lanes.par_chunks_exact_mut(self.panel_words()).enumerate().for_each(|(index, out)| {
                // SAFETY: `convolve` has asserted the instructions.
                unsafe { self.work(&self.segments(index % panels)).transform_input(self.image(x, index / panels), out) }
            });
            let lanes = &*lanes;
            (0..self.blocks()).into_par_iter().for_each(|block| {
                with_words(order.block_words(), |taps| {
                    // SAFETY: as above.
                    unsafe { transform_weight(self.weight, order, block * BLOCK, taps) };
                    for (index, lanes) in lanes.chunks_exact(self.panel_words()).enumerate() {
                        let start = index / panels * order.rows * self.plane.output();
                        self.work(&self.segments(index % panels)).products(block * BLOCK, taps, lanes, (y, start));
                    }
                });
            });
        });
    }
}

/// Room for a number of each tile of a panel; full vectors may be written up to its last tile.
type Panel = [f32; COLUMNS + LANES];

/// The four rows of input of each tile of a panel, times B: row, then column.
type Across = [[Panel; 4]; 4];

/// One panel of tiles of one image.
struct Work<'a> {
    order: Order,
    tiling: Tiling,
    segments: &'a [Segment],
    bias: Option<&'a [f32]>,
    doubled: bool,
}

impl Work<'_> {
    fn columns(&self) -> usize {
        self.segments.iter().map(|segment| segment.count).sum()
    }

    /// Bᵀ·d·B of all channels: words (point, pair of channels, tile).
    ///
    /// # Safety
    /// The processor has the instructions.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn transform_input(&self, x: &[f32], out: &mut [u32]) {
        let Self { order, tiling, .. } = self;
        let [height, width] = tiling.input();
        let (pixels, pairs) = (height * width, order.pairs());
        let mut across: [Across; 2] = [[[[0.0; COLUMNS + LANES]; 4]; 4]; 2];
        for pair in 0..pairs {
            for (channel, across) in (2 * pair..).zip(&mut across) {
                if channel < order.depth {
                    self.transform_rows(&x[channel * pixels..][..pixels], across);
                } else {
                    *across = [[[0.0; COLUMNS + LANES]; 4]; 4];
                }
            }
            let [low, high] = &across;
            for at in (0..self.columns()).step_by(LANES) {
                for k in 0..4 {
                    let [low, high] = [low, high].map(|across| down(std::array::from_fn(|r| load(&across[r][k], at))));
                    for (r, (low, high)) in low.into_iter().zip(high).enumerate() {
                        store_words(low, high, &mut out[((4 * r + k) * pairs + pair) * COLUMNS + at..]);
                    }
                }
            }
        }
    }

    /// d·B of one channel.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn transform_rows(&self, channel: &[f32], across: &mut Across) {
        let [height, width] = self.tiling.input();
        let padding = self.tiling.padding;
        for &Segment { row, column, place, count } in self.segments {
            for (r, across) in across.iter_mut().enumerate() {
                // With padding, a tile starts one row above its outputs and one column left of them.
                let y = (2 * row + r).checked_sub(padding).filter(|y| *y < height);
                let line = y.map_or(&[][..], |y| &channel[y * width..][..width]);
                for at in (0..count).step_by(LANES) {
                    let x = 2 * (column + at) + 1 - padding;
                    let [a, b] = apart(padded(line, x), padded(line, x + LANES));
                    let [c, d] = apart(padded(line, x + 2), padded(line, x + 2 + LANES));
                    let [a, b, c, d] = down([a, b, c, d]);
                    for (across, values) in across.iter_mut().zip([a, b, c, d]) {
                        store(values, across, place + at);
                    }
                }
            }
        }
    }

    /// The outputs of the channels from `first`.
    fn products(&self, first: usize, taps: &[u32], lanes: &[u32], y: (&SharedOutput<'_>, usize)) {
        let (pairs, rows) = (self.order.pairs(), BLOCK.min(self.order.rows - first));
        with_floats(POINTS * BLOCK * COLUMNS, |sums| {
            for point in 0..POINTS {
                // Of two equal inputs in the middle, c − b is zero: nine products are left.
                if self.doubled && (point / 4 == 2 || point % 4 == 2) {
                    sums[point * BLOCK * COLUMNS..][..rows * COLUMNS].fill(0.0);
                    continue;
                }
                let output = SharedOutput::new(sums);
                let taps = Lanes { words: &taps[point * pairs * BLOCK..][..pairs * BLOCK], width: BLOCK };
                let lanes = Lanes { words: &lanes[point * pairs * COLUMNS..][..pairs * COLUMNS], width: COLUMNS };
                let target = Target { output: &output, start: point * BLOCK * COLUMNS, row_stride: COLUMNS };
                let e = Extents { rows, columns: self.columns(), pairs };
                // SAFETY: `convolve` has asserted the instructions; the sums are borrowed exclusively.
                unsafe { multiply(e, Broadcast::lanes(taps), lanes, target, Start::Zero) };
            }
            for row in 0..rows {
                let bias = self.bias.map_or(0.0, |bias| bias[first + row]);
                let start = y.1 + (first + row) * self.tiling.height * self.tiling.width;
                // SAFETY: `convolve` has asserted the instructions; each task writes its own channels and tiles.
                unsafe { self.transform_output(&sums[row * COLUMNS..], bias, (y.0, start)) };
            }
        });
    }

    /// Aᵀ·m·A + bias of one channel, which starts at `y.1`; the points of `m` are a block apart.
    ///
    /// # Safety
    /// The processor has the instructions, and no other thread touches these tiles of the output.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn transform_output(&self, m: &[f32], bias: f32, y: (&SharedOutput<'_>, usize)) {
        let Tiling { height, width, .. } = self.tiling;
        let mut lines = [[0.0; 2 * COLUMNS]; 2];
        let bias = _mm512_set1_ps(bias);
        for at in (0..self.columns()).step_by(LANES) {
            let point = |index: usize| load(m, index * BLOCK * COLUMNS + at);
            let columns: [[__m512; 2]; 4] = std::array::from_fn(|k| two(std::array::from_fn(|r| point(4 * r + k))));
            for (r, line) in lines.iter_mut().enumerate() {
                let [even, odd] = two(columns.map(|column| column[r])).map(|sum| _mm512_add_ps(sum, bias));
                let [low, high] = together(even, odd);
                store(low, line, 2 * at);
                store(high, line, 2 * at + LANES);
            }
        }
        for &Segment { row, column, place, count } in self.segments {
            for (line, row) in lines.iter().zip(2 * row..height) {
                let length = (2 * count).min(width - 2 * column);
                // SAFETY: by the caller's promise.
                let out = unsafe { y.0.part(y.1 + row * width + 2 * column, length) };
                out.copy_from_slice(&line[2 * place..][..length]);
            }
        }
    }
}

/// G·g·Gᵀ of the taps of a block of rows: words (point, pair of depth, row).
///
/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn transform_weight(weight: Weight<'_>, order: Order, first: usize, out: &mut [u32]) {
    let numbers = weight.part(0..weight.rows, 0..weight.columns).numbers;
    let (pairs, rows) = (order.pairs(), BLOCK.min(order.rows - first));
    for at in (0..rows).step_by(LANES) {
        for pair in 0..pairs {
            let mut lines = [_mm512_setzero_si512(); LANES];
            for (row, line) in lines.iter_mut().enumerate().take(rows - at) {
                let from = (first + at + row) * order.row_stride + 2 * pair * order.depth_stride;
                ask_for(numbers.as_ptr().wrapping_add(from + FORESIGHT * order.depth_stride));
                let high = if 2 * pair + 1 < order.depth { nine(numbers, from + order.depth_stride) } else { *line };
                *line = _mm512_or_si512(nine(numbers, from), _mm512_slli_epi32::<16>(high));
            }
            let lines = transposed(lines);
            let taps = |r: usize, k: usize| lines[if order.turned { 8 - 3 * r - k } else { 3 * r + k }];
            let mut points = [[[_mm512_setzero_ps(); 2]; 4]; 3];
            for (r, points) in points.iter_mut().enumerate() {
                let low = |k| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(taps(r, k)));
                let high = |k| _mm512_castsi512_ps(_mm512_and_si512(taps(r, k), _mm512_set1_epi32(!0xffff)));
                let (low, high) = (four([low(0), low(1), low(2)]), four([high(0), high(1), high(2)]));
                for k in 0..4 {
                    points[k] = [low[k], high[k]];
                }
            }
            for k in 0..4 {
                let [a, b, c] = [points[0][k], points[1][k], points[2][k]];
                let (low, high) = (four([a[0], b[0], c[0]]), four([a[1], b[1], c[1]]));
                for r in 0..4 {
                    store_words(low[r], high[r], &mut out[((4 * r + k) * pairs + pair) * BLOCK + at..]);
                }
            }
        }
    }
}
