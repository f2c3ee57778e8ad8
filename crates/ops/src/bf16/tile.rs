//! The innermost product: up to 24 vectors of sums, held in registers: six rows by 64 columns, or more rows by fewer.

use std::arch::x86_64::*;

use crate::shared_output::Target;

/// Rows of a tile of full width: with four vectors of columns, 24 sums, four operands and one broadcast fill the 32
/// registers.
pub(super) const ROWS: usize = 6;
/// Rows of a tile by its vectors of columns. A sum waits for the one before it, so that narrow tiles need rows.
const TALL: [usize; 5] = [0, 12, 12, 8, ROWS];
/// Columns of a tile.
pub(super) const COLUMNS: usize = 64;
/// Words in a vector.
pub(super) const LANES: usize = 16;
/// Numbers in a line of the cache.
pub(super) const LINE: usize = 32;

/// Whether this processor has the instructions.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bf16")
}

/// The operand whose words are broadcast: word p of row r is at `words[r * row_stride + p * pair_stride]`.
#[derive(Clone, Copy)]
pub(super) struct Broadcast<'a> {
    pub words: &'a [u32],
    pub row_stride: usize,
    pub pair_stride: usize,
}

impl<'a> Broadcast<'a> {
    /// Row-major bf16 numbers, `row_stride` words apart.
    pub fn rows(words: &'a [u32], row_stride: usize) -> Self {
        Self { words, row_stride, pair_stride: 1 }
    }

    /// A panel of lanes read along its lanes: row r is lane r.
    pub fn lanes(panel: Lanes<'a>) -> Self {
        Self { words: panel.words, row_stride: 1, pair_stride: panel.width }
    }
}

/// The operand whose words fill the lanes: word p of column c is at `words[p * width + c]`; `width` is a multiple of 16.
#[derive(Clone, Copy)]
pub(super) struct Lanes<'a> {
    pub words: &'a [u32],
    pub width: usize,
}

/// What the sums start from.
#[derive(Clone, Copy)]
pub(super) enum Start<'a> {
    Zero,
    /// What the output holds.
    Output,
    /// One number a row.
    Rows(&'a [f32]),
    /// One number a column.
    Columns(&'a [f32]),
}

/// Extents of a product in rows, columns and words.
#[derive(Clone, Copy)]
pub(super) struct Extents {
    pub rows: usize,
    pub columns: usize,
    pub pairs: usize,
}

/// What main memory is asked for, line by line, while a product is computed, so that it is near when it is packed.
#[derive(Clone, Copy)]
pub(super) enum Ahead {
    /// Rows of so many lines from here on, so many numbers apart: two for each pair that is multiplied.
    Columns { first: *const u16, stride: usize, lines: usize },
    /// 64 rows from here on, so many numbers apart: two numbers of each for each pair that is multiplied.
    Rows { first: *const u16, stride: usize },
}

/// Lines to ask for: the first, the step to the next, and what is to go besides after every sixteenth, in numbers.
type Lines = (*const u16, usize, usize);

impl Ahead {
    /// What the tile with this number asks for, a line for each pair that is multiplied.
    fn lines(self, tile: usize) -> Option<Lines> {
        match self {
            Self::Columns { first, stride, lines } => {
                let first = first.wrapping_add(tile % 2 * stride + tile / 2 * LINE);
                (tile < 2 * lines).then_some((first, 2 * stride, 0))
            }
            Self::Rows { first, stride } => {
                let leap = LINE.wrapping_sub(16 * stride);
                (tile < 4).then_some((first.wrapping_add(16 * tile * stride), stride, leap))
            }
        }
    }
}

/// output = start + a · b on the calling thread.
///
/// # Safety
/// The processor has the instructions ([`available`]), and no other thread touches these elements of the output.
pub(super) unsafe fn multiply(e: Extents, a: Broadcast<'_>, b: Lanes<'_>, target: Target<'_>, start: Start<'_>) {
    // SAFETY: the caller's promise.
    unsafe { multiply_before(e, a, b, target, start, None) }
}

/// [`multiply`], before something that it knows will be read.
///
/// # Safety
/// As [`multiply`].
pub(super) unsafe fn multiply_before(
    e: Extents,
    a: Broadcast<'_>,
    b: Lanes<'_>,
    target: Target<'_>,
    start: Start<'_>,
    ahead: Option<Ahead>,
) {
    if e.rows == 0 || e.columns == 0 {
        return;
    }
    let pointer = target.output.matrix(target.start, e.rows, e.columns, target.row_stride);
    assert!(b.width.is_multiple_of(LANES) && e.columns <= b.width && e.pairs * b.width <= b.words.len());
    assert!(e.pairs == 0 || (e.rows - 1) * a.row_stride + (e.pairs - 1) * a.pair_stride < a.words.len());
    match start {
        Start::Rows(bias) => assert!(bias.len() >= e.rows),
        Start::Columns(bias) => assert!(bias.len() >= e.columns),
        Start::Zero | Start::Output => {}
    }
    let vectors = e.columns.div_ceil(LANES);
    let parts = vectors.div_ceil(COLUMNS / LANES);
    let width = vectors.div_ceil(parts);
    for first in (0..vectors).step_by(width) {
        let column = first * LANES;
        let columns = (width * LANES).min(e.columns - column);
        let tall = TALL[columns.div_ceil(LANES)];
        for row in (0..e.rows).step_by(tall) {
            let rows = tall.min(e.rows - row);
            // SAFETY: tile, operands and bias lie inside their slices (checked above).
            unsafe {
                let tile = Tile {
                    a: a.words.as_ptr().add(row * a.row_stride),
                    row_stride: a.row_stride,
                    pair_stride: a.pair_stride,
                    b: b.words.as_ptr().add(column),
                    width: b.width,
                    pairs: e.pairs,
                    c: pointer.add(row * target.row_stride + column),
                    c_stride: target.row_stride,
                    columns,
                    ahead: ahead.and_then(|ahead| ahead.lines(row / tall)),
                };
                let start = match start {
                    Start::Zero => First::Zero,
                    Start::Output => First::Output,
                    Start::Rows(bias) => First::Rows(bias.as_ptr().add(row)),
                    Start::Columns(bias) => First::Columns(bias.as_ptr().add(column)),
                };
                dispatch(&tile, start, rows);
            }
        }
    }
}

/// One tile by its pointers.
struct Tile {
    a: *const u32,
    row_stride: usize,
    pair_stride: usize,
    b: *const u32,
    width: usize,
    pairs: usize,
    c: *mut f32,
    c_stride: usize,
    columns: usize,
    ahead: Option<Lines>,
}

#[derive(Clone, Copy)]
enum First {
    Zero,
    Output,
    Rows(*const f32),
    Columns(*const f32),
}

unsafe fn dispatch(tile: &Tile, start: First, rows: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match tile.columns.div_ceil(LANES) {
            1 => by_rows::<1>(tile, start, rows),
            2 => by_rows::<2>(tile, start, rows),
            3 => by_rows::<3>(tile, start, rows),
            _ => by_rows::<4>(tile, start, rows),
        }
    }
}

unsafe fn by_rows<const N: usize>(tile: &Tile, start: First, rows: usize) {
    // SAFETY: the caller's promise. Wider tiles have fewer rows, which is all that is compiled for them.
    unsafe {
        match rows {
            1 => run::<1, N>(tile, start),
            2 => run::<2, N>(tile, start),
            3 => run::<3, N>(tile, start),
            4 => run::<4, N>(tile, start),
            5 => run::<5, N>(tile, start),
            6 => run::<6, N>(tile, start),
            7 if N < 4 => run::<7, N>(tile, start),
            8 if N < 4 => run::<8, N>(tile, start),
            9 if N < 3 => run::<9, N>(tile, start),
            10 if N < 3 => run::<10, N>(tile, start),
            11 if N < 3 => run::<11, N>(tile, start),
            12 if N < 3 => run::<12, N>(tile, start),
            _ => unreachable!("a tile of {rows} rows and {N} vectors"),
        }
    }
}

/// M rows by N vectors of sums.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn run<const M: usize, const N: usize>(tile: &Tile, start: First) {
    let mut masks = [u16::MAX; N];
    masks[N - 1] = u16::MAX >> (N * LANES - tile.columns);
    let mut sums = [[_mm512_setzero_ps(); N]; M];
    // SAFETY: rows and columns of the tile exist; lanes beyond them are masked.
    unsafe {
        for (i, sums) in sums.iter_mut().enumerate() {
            for (j, sum) in sums.iter_mut().enumerate() {
                *sum = match start {
                    First::Zero => continue,
                    First::Output => _mm512_maskz_loadu_ps(masks[j], tile.c.add(i * tile.c_stride + j * LANES)),
                    First::Rows(bias) => _mm512_set1_ps(*bias.add(i)),
                    First::Columns(bias) => _mm512_maskz_loadu_ps(masks[j], bias.add(j * LANES)),
                };
            }
        }
    }
    let (mut a, mut b) = (tile.a, tile.b);
    // Where nothing is to be asked for, a line that is there already.
    let (mut line, step, leap) = tile.ahead.unwrap_or((tile.a.cast(), 0, 0));
    for pair in 0..tile.pairs {
        // A prefetch reads nothing and fails nowhere.
        _mm_prefetch::<_MM_HINT_T1>(line.cast());
        line = line.wrapping_add(if pair % 16 == 15 { step.wrapping_add(leap) } else { step });
        // SAFETY: word p of every row and lane exists.
        unsafe {
            let mut lanes = [_mm512_setzero_si512(); N];
            for (j, lanes) in lanes.iter_mut().enumerate() {
                *lanes = _mm512_loadu_si512(b.add(j * LANES).cast());
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let word = _mm512_set1_epi32(a.add(i * tile.row_stride).read() as i32);
                for (sum, lanes) in sums.iter_mut().zip(lanes) {
                    *sum = _mm512_dpbf16_ps(*sum, pairs(word), pairs(lanes));
                }
            }
        }
        a = a.wrapping_add(tile.pair_stride);
        b = b.wrapping_add(tile.width);
    }
    for (i, sums) in sums.iter().enumerate() {
        for (j, sum) in sums.iter().enumerate() {
            // SAFETY: as for the first loop.
            unsafe { _mm512_mask_storeu_ps(tile.c.add(i * tile.c_stride + j * LANES), masks[j], *sum) }
        }
    }
}

/// Words as pairs of bf16 numbers, bit by bit.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn pairs(words: __m512i) -> __m512bh {
    // SAFETY: both types are 512 bits of anything.
    unsafe { std::mem::transmute(words) }
}
