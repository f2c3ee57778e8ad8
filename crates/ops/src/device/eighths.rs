//! Frozen weights in 8 bits on a GPU: widened for each operation by what every kind of GPU can do.

use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData};

use crate::int8::{BLOCK, Eighths};

/// Codes that share a word of 32 bits; word `w` of `n` words has those of the numbers `w`, `n + w`, `2n + w` and `3n + w`,
/// so that a quarter of the numbers comes from all words by one shift.
const PER_WORD: usize = 4;
/// What is added to a code so that it has no sign, which shifts treat in different ways.
const SHIFTED: i32 = 128;

/// Numbers in 8 bits with one scale for each 128, on a device.
pub(crate) struct EighthsThere {
    /// `[words]`, 32 bits each; a multiple of 128.
    words: Tensor<1, Int>,
    /// For each block in the order of the numbers: `[4 · words ÷ 128, 1]`.
    scales: Tensor<2>,
    numbers: usize,
}

impl EighthsThere {
    /// The same numbers on `device`.
    pub fn new(eighths: &Eighths, device: &Device) -> Self {
        let numbers = eighths.codes.len();
        let words = numbers.div_ceil(PER_WORD).next_multiple_of(BLOCK);
        let mut packed = vec![0i32; words];
        for (quarter, codes) in eighths.codes.chunks(words).enumerate() {
            for (word, code) in packed.iter_mut().zip(codes) {
                *word |= (i32::from(*code) + SHIFTED) << (8 * quarter);
            }
        }
        let blocks = PER_WORD * words / BLOCK;
        let mut scales = eighths.scales.clone();
        scales.resize(blocks, 0.0);
        Self {
            words: Tensor::from_data(TensorData::new(packed, [words]), (device, DType::I32)),
            scales: Tensor::from_data(TensorData::new(scales, [blocks, 1]), (device, DType::F32)),
            numbers,
        }
    }

    /// All numbers in `dtype`. A quarter of them is in 32 bits for a moment.
    ///
    /// # Shapes
    /// - output: `[numbers]`
    pub fn widened(&self, dtype: FloatDType) -> Tensor<1> {
        let [words] = self.words.dims();
        let blocks = words / BLOCK;
        let mut quarters = Vec::with_capacity(PER_WORD);
        for quarter in 0..PER_WORD {
            let bits = i32::try_from(8 * quarter).expect("at most 24");
            let codes = self.words.clone().bitwise_right_shift_scalar(bits).bitwise_and_scalar(0xff);
            let codes = (codes - SHIFTED).float().cast(FloatDType::F32).reshape([blocks, BLOCK]);
            let scales = self.scales.clone().narrow(0, quarter * blocks, blocks);
            quarters.push((codes * scales).cast(dtype).reshape([words]));
        }
        Tensor::cat(quarters, 0).narrow(0, 0, self.numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::numbers;

    #[test]
    fn numbers_come_back_as_the_processor_widens_them() {
        // Whole quarters, a short block, quarters that are padding alone.
        for count in [2048, 1000, 130, 3] {
            let eighths = Eighths::new(&numbers(count, 3));
            let expected: Vec<f32> = eighths.widened().into_iter().map(f32::from).collect();
            let there = EighthsThere::new(&eighths, &Device::flex());
            let values = there.widened(FloatDType::BF16).cast(FloatDType::F32).into_data().try_to_vec::<f32>().unwrap();
            assert_eq!(values, expected, "{count} numbers");
        }
    }
}
