//! f32 numbers rounded to bf16 (to nearest, ties to even) and back, by all threads.

use half::bf16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;

use crate::shared_output::written;

/// Numbers that one thread converts at a time.
const PIECE: usize = 1 << 15;

/// The nearest bf16 number as f32, in a form that loops over it vectorize.
#[cfg(any(test, target_arch = "x86_64"))]
#[inline(always)]
pub(crate) fn nearest_half(number: f32) -> f32 {
    let bits = number.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    if number.is_nan() { number } else { f32::from_bits(rounded) }
}

/// Rounded to bf16.
pub(crate) fn narrowed(numbers: &[f32]) -> Vec<bf16> {
    let mut halves = vec![bf16::ZERO; numbers.len()];
    halves.par_chunks_mut(PIECE).zip(numbers.par_chunks(PIECE)).for_each(|(halves, numbers)| round(numbers, halves));
    halves
}

/// As f32.
pub(crate) fn widened(halves: &[bf16]) -> Vec<f32> {
    let write = |numbers: &mut [f32]| {
        let parts = numbers.par_chunks_mut(PIECE).zip(halves.par_chunks(PIECE));
        parts.for_each(|(numbers, halves)| halves.convert_to_f32_slice(numbers));
    };
    // SAFETY: every number is written.
    unsafe { written(halves.len(), write) }
}

fn round(numbers: &[f32], halves: &mut [bf16]) {
    #[cfg(target_arch = "x86_64")]
    if crate::bf16::available() {
        return crate::bf16::round(numbers, halves);
    }
    halves.iter_mut().zip(numbers).for_each(|(half, number)| *half = bf16::from_f32(*number));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_half_rounds() {
        let numbers: Vec<f32> = (0..70_001).map(|i| (i as f32 - 35_000.0) * 1.000_37e-3).collect();
        let halves = narrowed(&numbers);
        assert!(halves.iter().zip(&numbers).all(|(half, x)| *half == bf16::from_f32(*x)));
        assert!(widened(&halves).iter().zip(&halves).all(|(x, half)| *x == half.to_f32()));
        assert!(widened(&halves).iter().zip(&numbers).all(|(half, x)| *half == nearest_half(*x)));
        assert!(nearest_half(f32::NAN).is_nan() && nearest_half(f32::INFINITY) == f32::INFINITY);
    }
}
