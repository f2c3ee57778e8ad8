//! Rounding to bf16, and bringing bf16 numbers into the order of lanes.

use std::arch::x86_64::*;

use super::tile::LANES;

/// Rounds rows of `k` numbers to nearest even; rows of the result are `stride` ≥ `k` apart, the gap is zeroed.
///
/// # Safety
/// The processor has the instructions.
pub(super) unsafe fn round_rows(x: &[f32], k: usize, out: &mut [u16], stride: usize) {
    debug_assert!(k <= stride);
    if k == stride {
        // SAFETY: the caller's promise.
        return unsafe { round(x, out) };
    }
    for (x, out) in x.chunks_exact(k).zip(out.chunks_exact_mut(stride)) {
        // SAFETY: the caller's promise.
        unsafe { round(x, &mut out[..k]) };
        out[k..].fill(0);
    }
}

/// Rounds to nearest even.
///
/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn round(x: &[f32], out: &mut [u16]) {
    assert!(x.len() <= out.len());
    let whole = x.len() / 32 * 32;
    for at in (0..whole).step_by(32) {
        // SAFETY: 32 numbers from `at` exist in both.
        unsafe {
            let (low, high) = (_mm512_loadu_ps(x.as_ptr().add(at)), _mm512_loadu_ps(x.as_ptr().add(at + 16)));
            let halves: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
            _mm512_storeu_si512(out.as_mut_ptr().add(at).cast(), halves);
        }
    }
    for at in (whole..x.len()).step_by(16) {
        let mask = mask(x.len() - at);
        // SAFETY: the lanes beyond the end are masked.
        unsafe {
            let halves: __m256i =
                std::mem::transmute(_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, x.as_ptr().add(at))));
            _mm256_mask_storeu_epi16(out.as_mut_ptr().add(at).cast(), mask, halves);
        }
    }
}

/// The first `count` of 16 lanes.
fn mask(count: usize) -> u16 {
    u16::MAX >> (LANES - count.min(LANES))
}

/// The first `count` of 32 lanes.
fn mask_of_32(count: usize) -> u32 {
    u32::MAX.checked_shr((2 * LANES - count.min(2 * LANES)) as u32).unwrap_or(0)
}

/// Rows of numbers to read: `rows` × `columns`, `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub numbers: &'a [u16],
    pub rows: usize,
    pub columns: usize,
    pub stride: usize,
}

impl Source<'_> {
    fn check(&self) {
        let inside = (self.rows.saturating_sub(1)) * self.stride + self.columns <= self.numbers.len();
        assert!(self.rows == 0 || inside, "a source outside its slice");
    }
}

/// Rows at least this many numbers apart are asked for before they are read: the processor does not foresee such leaps.
const LEAP: usize = 256;
/// How many rows before, and how many numbers before in a row, so that about two dozen lines are on their way.
const ROWS_AHEAD: usize = 8;
const ALONG: usize = 128;

/// Brings a line of the cache near; whether there is such a place does not matter.
#[inline(always)]
pub(super) fn ask_for(place: *const u16) {
    // SAFETY: a prefetch reads nothing and fails nowhere.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(place.cast()) }
}

/// Words of neighbouring rows: word (p, c) is rows 2p and 2p + 1 of column c; `width` words apart, missing numbers zero.
///
/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn interleave(source: Source<'_>, out: &mut [u32], width: usize) {
    source.check();
    assert!(width.is_multiple_of(LANES) && source.columns <= width);
    let pairs = source.rows.div_ceil(2);
    assert!(pairs * width <= out.len());
    for (p, out) in out.chunks_exact_mut(width).take(pairs).enumerate() {
        let upper = if 2 * p + 1 < source.rows { u32::MAX } else { 0 };
        for (index, out) in out.chunks_mut(2 * LANES).enumerate() {
            let at = 2 * LANES * index;
            let mask = mask_of_32(source.columns.saturating_sub(at));
            let first = source.numbers.as_ptr().wrapping_add(2 * p * source.stride + at);
            let second = first.wrapping_add(source.stride);
            if source.stride >= LEAP {
                ask_for(first.wrapping_add(ROWS_AHEAD * source.stride));
                ask_for(second.wrapping_add(ROWS_AHEAD * source.stride));
            }
            // SAFETY: lanes outside the source are masked; 16 or 32 words of output exist.
            unsafe {
                let first = _mm512_maskz_loadu_epi16(mask, first.cast());
                let second = _mm512_maskz_loadu_epi16(mask & upper, second.cast());
                let even = _mm512_mask_blend_epi16(0xaaaa_aaaa, first, _mm512_slli_epi32::<16>(second));
                let odd = _mm512_mask_blend_epi16(0xaaaa_aaaa, _mm512_srli_epi32::<16>(first), second);
                let [low, high] = in_turn(even, odd);
                _mm512_storeu_si512(out.as_mut_ptr().cast(), low);
                if out.len() > LANES {
                    _mm512_storeu_si512(out.as_mut_ptr().add(LANES).cast(), high);
                }
            }
        }
    }
}

/// The words of two vectors in turn.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn in_turn(even: __m512i, odd: __m512i) -> [__m512i; 2] {
    let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    let high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    [_mm512_permutex2var_epi32(even, low, odd), _mm512_permutex2var_epi32(even, high, odd)]
}

/// Words of neighbours in a row, turned: word (p, r) is columns 2p and 2p + 1 of row r; `width` words apart, missing
/// numbers zero.
///
/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn transpose(source: Source<'_>, out: &mut [u32], width: usize) {
    source.check();
    assert!(width.is_multiple_of(LANES) && source.rows <= width);
    let pairs = source.columns.div_ceil(2);
    assert!(pairs * width <= out.len());
    for row in (0..width).step_by(LANES) {
        for pair in (0..pairs).step_by(LANES) {
            let mask = mask_of_32(source.columns - 2 * pair);
            let mut block = [_mm512_setzero_si512(); LANES];
            let present = source.rows.saturating_sub(row).min(LANES);
            for (index, line) in block.iter_mut().take(present).enumerate() {
                let from = source.numbers.as_ptr().wrapping_add((row + index) * source.stride + 2 * pair);
                ask_for(from.wrapping_add(ALONG));
                // SAFETY: numbers beyond the row's end are masked.
                *line = unsafe { _mm512_maskz_loadu_epi16(mask, from.cast()) };
            }
            let block = transposed(block);
            for (index, line) in block.iter().take((pairs - pair).min(LANES)).enumerate() {
                // SAFETY: 16 words of each of these rows exist.
                unsafe { _mm512_storeu_si512(out.as_mut_ptr().add((pair + index) * width + row).cast(), *line) };
            }
        }
    }
}

/// The transpose of 16 × 16 words.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn transposed(r: [__m512i; 16]) -> [__m512i; 16] {
    let mut t = r;
    for i in 0..8 {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    let mut u = t;
    for i in 0..4 {
        u[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        u[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        u[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        u[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    // Now the 128 bits l of u[4i + j] are column 4l + j of rows 4i to 4i + 3.
    let mut out = u;
    for j in 0..4 {
        let even = _mm512_shuffle_i32x4::<0x88>(u[j], u[4 + j]);
        let even_below = _mm512_shuffle_i32x4::<0x88>(u[8 + j], u[12 + j]);
        let odd = _mm512_shuffle_i32x4::<0xdd>(u[j], u[4 + j]);
        let odd_below = _mm512_shuffle_i32x4::<0xdd>(u[8 + j], u[12 + j]);
        out[j] = _mm512_shuffle_i32x4::<0x88>(even, even_below);
        out[4 + j] = _mm512_shuffle_i32x4::<0x88>(odd, odd_below);
        out[8 + j] = _mm512_shuffle_i32x4::<0xdd>(even, even_below);
        out[12 + j] = _mm512_shuffle_i32x4::<0xdd>(odd, odd_below);
    }
    out
}
