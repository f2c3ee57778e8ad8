//! The exponentials of attention, rounded to bf16 as they are made. Scores are in powers of two here.

use std::arch::x86_64::*;

use super::tile::{COLUMNS, LANES};

/// 2^x; relative error below 3e-7, 0 below −149.5 (polynomial: Cephes' exp2f).
#[inline]
#[target_feature(enable = "avx512f")]
fn exp2(x: __m512) -> __m512 {
    let x = _mm512_max_ps(x, _mm512_set1_ps(-150.0));
    let n = _mm512_roundscale_ps::<0x08>(x);
    let f = _mm512_sub_ps(x, n);
    let p = _mm512_set1_ps(1.535_336_2e-4);
    let p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.339_887_4e-3));
    let p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.618_437e-3));
    let p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.550_332_5e-2));
    let p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.402_264_8e-1));
    let p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.931_472e-1));
    let p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0));
    _mm512_scalef_ps(p, n)
}

fn mask(count: usize) -> u16 {
    if count < LANES { (1 << count) - 1 } else { u16::MAX }
}

/// Largest number of a row.
///
/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn largest(row: &[f32]) -> f32 {
    let mut most = [_mm512_set1_ps(f32::NEG_INFINITY); 2];
    for (index, part) in row.chunks(LANES).enumerate() {
        // SAFETY: lanes beyond the end are masked.
        unsafe {
            most[index % 2] = _mm512_mask_max_ps(
                most[index % 2],
                mask(part.len()),
                most[index % 2],
                _mm512_maskz_loadu_ps(mask(part.len()), part.as_ptr()),
            );
        }
    }
    _mm512_reduce_max_ps(_mm512_max_ps(most[0], most[1]))
}

/// Writes 2^(factor · x − now) for a row, rounded, and gives the sum of the unrounded.
///
/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn weigh(row: &[f32], factor: f32, now: f32, out: &mut [u16]) -> f32 {
    assert!(out.len() >= row.len());
    let (factor, now) = (_mm512_set1_ps(factor), _mm512_set1_ps(now));
    let mut total = _mm512_setzero_ps();
    for (part, out) in row.chunks(LANES).zip(out.chunks_mut(LANES)) {
        let mask = mask(part.len());
        // SAFETY: lanes beyond the end are masked.
        unsafe {
            let x = _mm512_maskz_loadu_ps(mask, part.as_ptr());
            let y = _mm512_maskz_mov_ps(mask, exp2(_mm512_fmsub_ps(x, factor, now)));
            total = _mm512_add_ps(total, y);
            let rounded: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(y));
            _mm256_mask_storeu_epi16(out.as_mut_ptr().cast(), mask, rounded);
        }
    }
    _mm512_reduce_add_ps(total)
}

/// What the gradients of one step are made from and where they go: keys by 64 queries.
pub(super) struct Tile<'a> {
    /// Unscaled scores.
    pub scores: &'a [f32],
    /// Gradients of the weights.
    pub dp: &'a [f32],
    /// Logarithms (base 2) of the queries' sums; ∞ for queries that do not exist.
    pub log_sum: &'a [f32; COLUMNS],
    /// dy · y of the queries.
    pub delta: &'a [f32; COLUMNS],
    /// Weights, rounded, row by row.
    pub weights: &'a mut [u16],
    /// Gradients of the scores, rounded, row by row.
    pub ds_rows: &'a mut [u16],
    /// Gradients of the scores, rounded, in lanes.
    pub ds_lanes: &'a mut [u32],
}

/// Weights and gradients of the scores; `visible(key)` has a bit for each query that sees the key.
///
/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) unsafe fn differentiate(tile: Tile<'_>, keys: usize, scale: f32, visible: impl Fn(usize) -> u64) {
    let count = keys * COLUMNS;
    assert!(tile.scores.len() >= count && tile.dp.len() >= count);
    assert!(tile.weights.len() >= count && tile.ds_rows.len() >= count);
    assert!(tile.ds_lanes.len() >= keys.div_ceil(2) * COLUMNS);
    let (factor, scale) = (_mm512_set1_ps(scale * std::f32::consts::LOG2_E), _mm512_set1_ps(scale));
    let mut order = [0u16; 2 * LANES];
    order.iter_mut().enumerate().for_each(|(index, from)| *from = (index / 2 + index % 2 * LANES) as u16);
    // SAFETY: rows below `keys` and 64 columns exist in every slice (checked above); a missing second row repeats the
    // first with no lane visible, and is not stored.
    unsafe {
        let order = _mm512_loadu_si512(order.as_ptr().cast());
        for key in (0..keys).step_by(2) {
            let second = (key + 1).min(keys - 1);
            let bits = [visible(key), if second > key { visible(second) } else { 0 }];
            for at in (0..COLUMNS).step_by(LANES) {
                let log_sum = _mm512_loadu_ps(tile.log_sum.as_ptr().add(at));
                let delta = _mm512_loadu_ps(tile.delta.as_ptr().add(at));
                let one = |row: usize, bits: u64| {
                    let s = _mm512_loadu_ps(tile.scores.as_ptr().add(row * COLUMNS + at));
                    let dp = _mm512_loadu_ps(tile.dp.as_ptr().add(row * COLUMNS + at));
                    let p = exp2(_mm512_fmsub_ps(s, factor, log_sum));
                    let p = _mm512_maskz_mov_ps((bits >> at) as u16, p);
                    (p, _mm512_mul_ps(_mm512_mul_ps(p, scale), _mm512_sub_ps(dp, delta)))
                };
                let ((p0, ds0), (p1, ds1)) = (one(key, bits[0]), one(second, bits[1]));
                let p: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(p1, p0));
                let ds: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(ds1, ds0));
                let lanes = tile.ds_lanes.as_mut_ptr().add(key / 2 * COLUMNS + at);
                _mm512_storeu_si512(lanes.cast(), _mm512_permutexvar_epi16(order, ds));
                for (halves, out) in [(p, tile.weights.as_mut_ptr()), (ds, tile.ds_rows.as_mut_ptr())] {
                    let to = out.add(key * COLUMNS + at);
                    _mm256_storeu_si256(to.cast(), _mm512_castsi512_si256(halves));
                    if second > key {
                        _mm256_storeu_si256(to.add(COLUMNS).cast(), _mm512_extracti64x4_epi64::<1>(halves));
                    }
                }
            }
        }
    }
}
