//! Numbers as 8-bit whole numbers times a scale that a block of them shares.
//!
//! The scale is that of the block's largest number, so that a small weight beside small ones keeps its digits. Normally
//! distributed weights are off by 0.6 % (root mean square over the weights'), where an 8-bit float with 3 bits of mantissa
//! (torch's `float8_e4m3fn`, as in sd-scripts' `fp8_base`) is off by 2.7 %. Method: block-wise absolute maximum, as in
//! Dettmers et al., "8-bit Optimizers via Block-wise Quantization" (2021), with evenly spaced codes.

use half::bf16;
use rayon::prelude::*;

use crate::lanes::vectorized;

/// Numbers with one scale; with 4 bytes for it, a number takes 3 % more than a byte.
pub(crate) const BLOCK: usize = 128;
/// Blocks that one thread converts at a time.
const BLOCKS: usize = 512;
/// The code of the largest number of a block.
const LARGEST: f32 = 127.0;

/// Numbers in 8 bits.
#[derive(Debug)]
pub(crate) struct Eighths {
    pub codes: Vec<i8>,
    /// One for each block, the last of which may be short.
    pub scales: Vec<f32>,
}

impl Eighths {
    /// The nearest there is. A block with a number that is not finite becomes not finite as a whole.
    pub fn new(values: &[f32]) -> Self {
        let mut codes = vec![0; values.len()];
        let mut scales = vec![0.0; values.len().div_ceil(BLOCK)];
        let parts = codes.par_chunks_mut(BLOCK * BLOCKS).zip(values.par_chunks(BLOCK * BLOCKS));
        parts.zip(scales.par_chunks_mut(BLOCKS)).for_each(|((codes, values), scales)| {
            let blocks = codes.chunks_mut(BLOCK).zip(values.chunks(BLOCK)).zip(scales);
            blocks.for_each(|((codes, values), scale)| vectorized!(*scale = round(values, codes)));
        });
        Self { codes, scales }
    }

    /// The whole numbers.
    pub fn codes(&self) -> &[i8] {
        &self.codes
    }

    /// What each block of 128 of them is multiplied by.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// All numbers in bf16, rounded once more.
    pub fn widened(&self) -> Vec<bf16> {
        let mut numbers = vec![bf16::ZERO; self.codes.len()];
        let parts = numbers.par_chunks_mut(BLOCK * BLOCKS).zip(self.codes.par_chunks(BLOCK * BLOCKS));
        parts.zip(self.scales.par_chunks(BLOCKS)).for_each(|((numbers, codes), scales)| {
            let blocks = numbers.chunks_mut(BLOCK).zip(codes.chunks(BLOCK)).zip(scales);
            vectorized!(blocks.for_each(|((numbers, codes), scale)| widen(codes, *scale, numbers)));
        });
        numbers
    }
}

/// Fills in the codes of a block and returns their scale.
#[inline(always)]
fn round(values: &[f32], codes: &mut [i8]) -> f32 {
    // A number that is not finite makes this infinite or NaN.
    let largest = values.iter().fold(0.0f32, |most, x| if x.abs() <= most { most } else { x.abs() + 0.0 * most });
    let scale = largest / LARGEST;
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    codes.iter_mut().zip(values).for_each(|(code, x)| *code = (x * inverse).round_ties_even() as i8);
    scale
}

/// Finite numbers and quiet NaNs are rounded to nearest even by the upper half of their bits.
#[inline(always)]
fn widen(codes: &[i8], scale: f32, numbers: &mut [bf16]) {
    numbers.iter_mut().zip(codes).for_each(|(number, code)| {
        let bits = (f32::from(*code) * scale).to_bits();
        *number = bf16::from_bits(((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::{numbers, relative_error};

    fn there_and_back(values: &[f32]) -> Vec<f32> {
        Eighths::new(values).widened().into_iter().map(f32::from).collect()
    }

    #[test]
    fn every_number_is_within_half_a_step_of_its_block() {
        // Blocks of very different size, and a short one at the end.
        let mut values = numbers(5 * BLOCK * BLOCKS / 2 + 77, 3);
        for (index, block) in values.chunks_mut(BLOCK).enumerate() {
            block.iter_mut().for_each(|x| *x *= 10f32.powi(index as i32 % 9 - 6));
        }
        let found = there_and_back(&values);
        for (values, found) in values.chunks(BLOCK).zip(found.chunks(BLOCK)) {
            let largest = values.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            for (x, y) in values.iter().zip(found) {
                // Half a step, and what bf16 rounds.
                assert!((x - y).abs() <= largest / LARGEST / 2.0 * 1.001 + x.abs() / 250.0, "{x} became {y}");
            }
        }
    }

    #[test]
    fn codes_that_fit_are_exact() {
        let values: Vec<f32> = (-127..=127).map(|code| code as f32 * 0.25).collect();
        assert_eq!(there_and_back(&values), values);
        assert_eq!(there_and_back(&[0.0; 3]), [0.0; 3]);
    }

    /// The sum of twelve evenly distributed numbers is nearly normally distributed.
    #[test]
    fn normal_numbers_are_off_by_less_than_a_hundredth() {
        let values: Vec<f32> = numbers(12 * 40_000, 9).chunks(12).map(|twelve| twelve.iter().sum()).collect();
        let exact: Vec<f64> = values.iter().map(|x| f64::from(*x)).collect();
        let error = relative_error(&there_and_back(&values), &exact);
        assert!((4e-3..7e-3).contains(&error), "{error:e}");
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut values = numbers(3 * BLOCK, 1);
            values[BLOCK + 5] = bad;
            let found = there_and_back(&values);
            assert!(!found[BLOCK + 5].is_finite(), "{bad} became {}", found[BLOCK + 5]);
            assert!(found[..BLOCK].iter().chain(&found[2 * BLOCK..]).all(|x| x.is_finite()));
        }
    }
}
