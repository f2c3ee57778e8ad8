//! Winograd's three transforms for sixteen tiles at once, and what brings their numbers into vectors and out of them.

use std::arch::x86_64::*;

use crate::bf16::pack::in_turn;
use crate::bf16::tile::LANES;

/// Nine bf16 numbers in the lower halves of words.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn nine(numbers: &[u16], at: usize) -> __m512i {
    let numbers = &numbers[at..at + 9];
    // SAFETY: nine numbers exist (checked), the lanes beyond are masked.
    unsafe { _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(0x1ff, numbers.as_ptr().cast())) }
}

/// Bᵀ times a column.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn down([a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
    [_mm512_sub_ps(a, c), _mm512_add_ps(b, c), _mm512_sub_ps(c, b), _mm512_sub_ps(b, d)]
}

/// Aᵀ times a column.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn two([a, b, c, d]: [__m512; 4]) -> [__m512; 2] {
    [_mm512_add_ps(_mm512_add_ps(a, b), c), _mm512_sub_ps(_mm512_sub_ps(b, c), d)]
}

/// G times a column.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn four([a, b, c]: [__m512; 3]) -> [__m512; 4] {
    let (half, sides) = (_mm512_set1_ps(0.5), _mm512_add_ps(a, c));
    [a, _mm512_mul_ps(half, _mm512_add_ps(sides, b)), _mm512_mul_ps(half, _mm512_sub_ps(sides, b)), c]
}

/// The numbers at even and at odd places of two vectors.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn apart(low: __m512, high: __m512) -> [__m512; 2] {
    let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    [_mm512_permutex2var_ps(low, even, high), _mm512_permutex2var_ps(low, odd, high)]
}

/// The inverse of [`apart`].
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn together(even: __m512, odd: __m512) -> [__m512; 2] {
    in_turn(_mm512_castps_si512(even), _mm512_castps_si512(odd)).map(|words| _mm512_castsi512_ps(words))
}

/// Sixteen numbers from place `at` − 1 of a line that has zeros on both sides.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn padded(line: &[f32], at: usize) -> __m512 {
    let present = (line.len() + 1).saturating_sub(at).min(LANES);
    let mask = ((1u32 << present) - 1) as u16 & if at == 0 { !1 } else { !0 };
    // SAFETY: the lanes before and behind the line are masked.
    unsafe { _mm512_maskz_loadu_ps(mask, line.as_ptr().wrapping_add(at).wrapping_sub(1)) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn load(numbers: &[f32], at: usize) -> __m512 {
    let numbers = &numbers[at..at + LANES];
    // SAFETY: 16 numbers exist (checked).
    unsafe { _mm512_loadu_ps(numbers.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store(values: __m512, out: &mut [f32], at: usize) {
    let out = &mut out[at..at + LANES];
    // SAFETY: 16 numbers exist (checked).
    unsafe { _mm512_storeu_ps(out.as_mut_ptr(), values) }
}

/// Rounds both and stores them as the halves of words.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) fn store_words(low: __m512, high: __m512, out: &mut [u32]) {
    let out = &mut out[..LANES];
    // SAFETY: a vector of bf16 numbers is 256 bits of anything; 16 words exist (checked).
    unsafe {
        let halves = [low, high].map(|numbers| {
            _mm512_cvtepu16_epi32(std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(numbers)))
        });
        let words = _mm512_or_si512(halves[0], _mm512_slli_epi32::<16>(halves[1]));
        _mm512_storeu_si512(out.as_mut_ptr().cast(), words);
    }
}
