//! One operation: recorded for a card, and computed by the processor's kernels.
//!
//! Both start from the same numbers, which bf16 and f16 hold exactly. The processor computes in f32, so that what is apart
//! comes of the roundings to 16 bits between launches.

use burn::tensor::{Device, Tensor, TensorData};
use half::bf16;
use lorabake_ops::cuda::{Buffer, Card, Contents, Launcher, Recording};
use lorabake_ops::{FrozenLinear, FrozenMatrix, WeightDtype};

/// Half a unit in the last place of f16, over the number: the most that one rounding changes.
pub const ROUNDING: f64 = 1.0 / 2048.0;
/// The same of bf16.
pub const BF16_ROUNDING: f64 = 1.0 / 256.0;
/// Elements are normally distributed around what is right, or less far: none of a million is off by more of the typical
/// error than this.
const TAIL: f64 = 8.0;

/// An operation in both forms.
pub struct Case {
    /// What it is, in a file's name.
    pub name: &'static str,
    /// What is launched.
    pub recording: Recording,
    /// What it results in.
    pub results: Vec<Expected>,
}

/// A result, and how far off it may be.
pub struct Expected {
    /// Where the launches leave it.
    pub buffer: Buffer<usize>,
    /// Its name, for messages.
    pub what: &'static str,
    /// By the processor.
    pub right: Vec<f32>,
    /// What the roundings on the way change, over the number that is rounded. An error takes the way of the numbers
    /// themselves, so that over all elements it stays the part of the result that it was.
    pub tolerance: f64,
}

impl Case {
    /// Begins one.
    pub fn new(name: &'static str, card: Card) -> Self {
        Self { name, recording: Recording::new(card), results: Vec::new() }
    }

    /// Numbers that both forms take, in 16 bits on the card.
    pub fn given(&mut self, numbers: &[f32], shape: &[usize]) -> Buffer<usize> {
        self.recording.given(Contents::Half(numbers), shape)
    }

    /// A result that is rounded to f16 so many times on its way. Roundings know nothing of each other: their squares add up.
    pub fn expect(&mut self, what: &'static str, buffer: &Buffer<usize>, right: Vec<f32>, roundings: u32) {
        self.expect_within(what, buffer, right, f64::from(roundings).sqrt() * ROUNDING);
    }

    /// A result with a tolerance of its own.
    pub fn expect_within(&mut self, what: &'static str, buffer: &Buffer<usize>, right: Vec<f32>, tolerance: f64) {
        assert_eq!(buffer.array.numbers(), right.len(), "{}: {what}", self.name);
        self.results.push(Expected { buffer: buffer.clone(), what, right, tolerance });
    }

    /// The list of the recording.
    pub fn list(&self) -> String {
        let results: Vec<Buffer<usize>> = self.results.iter().map(|result| result.buffer.clone()).collect();
        self.recording.list(&results)
    }

    /// What is wrong with what the interpreter found, the results one after another.
    pub fn wrong(&self, found: &[f32]) -> Vec<String> {
        let wanted: usize = self.results.iter().map(|result| result.right.len()).sum();
        if found.len() != wanted {
            return vec![format!("{}: {} numbers came back where {wanted} were asked for", self.name, found.len())];
        }
        let mut problems = Vec::new();
        let mut rest = found;
        for result in &self.results {
            let (own, behind) = rest.split_at(result.right.len());
            rest = behind;
            if let Some(problem) = result.wrong(own) {
                problems.push(format!("{}: {} {problem}", self.name, result.what));
            }
        }
        problems
    }
}

impl Expected {
    fn wrong(&self, found: &[f32]) -> Option<String> {
        let mean_square =
            |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>() / found.len() as f64;
        let right: Vec<f64> = self.right.iter().map(|x| f64::from(*x)).collect();
        let apart: Vec<f64> = found.iter().zip(&right).map(|(found, right)| f64::from(*found) - right).collect();
        let typical = mean_square(&mut right.iter().copied()).sqrt();
        if typical < 1e-4 {
            return Some("has nothing to compare with".to_string());
        }
        let error = mean_square(&mut apart.iter().copied()).sqrt() / typical;
        if error.is_nan() || error > self.tolerance {
            return Some(format!("is off by {error:.2e}, more than {:.2e}", self.tolerance));
        }
        for (index, (apart, right)) in apart.iter().zip(&right).enumerate() {
            if apart.abs() > TAIL * self.tolerance * typical.max(right.abs()) {
                return Some(format!("at {index} is {:.5}, right is {right:.5}", found[index]));
            }
        }
        None
    }
}

/// Numbers that bf16 holds, from a hash, evenly between −1.7 and 1.7 times `scale`, a power of two.
pub fn numbers(count: usize, salt: u64, scale: f32) -> Vec<f32> {
    let mut numbers = Vec::with_capacity(count);
    for index in 0..count as u64 {
        let mut bits = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = bits.wrapping_add(salt.wrapping_mul(0xd1b5_4a32_d192_ed03));
        bits = (bits ^ (bits >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
        let even = (bits as f32 / 16_777_216.0 - 0.5) * 3.4;
        numbers.push(bf16::from_f32(even).to_f32() * scale);
    }
    numbers
}

/// A power of two near 1/√count: sums of so many products stay near 1.
pub fn near_root(count: usize) -> f32 {
    (-((count as f32).log2() / 2.0).round()).exp2()
}

/// A tensor on the processor.
///
/// # Shapes
/// - output: `shape`
pub fn tensor<const D: usize>(numbers: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers.to_vec(), shape), &Device::flex())
}

/// A tensor of which a gradient is wanted.
///
/// # Shapes
/// - output: `shape`
pub fn tracked<const D: usize>(numbers: &[f32], shape: [usize; D]) -> Tensor<D> {
    tensor(numbers, shape).autodiff().require_grad()
}

/// The numbers of a tensor.
///
/// # Shapes
/// - x: any
pub fn numbers_of<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_into_vec().expect("f32")
}

/// A frozen matrix twice: as the card has it, and as the processor computes with it in f32, by the same numbers.
pub struct Twice {
    pub card: FrozenMatrix,
    pub processor: FrozenMatrix,
}

impl Twice {
    /// Of random numbers.
    pub fn new(rows: usize, columns: usize, salt: u64, dtype: WeightDtype) -> Self {
        let values = numbers(rows * columns, salt, near_root(columns));
        let card = FrozenMatrix::new(rows, columns, values, dtype);
        let processor = FrozenMatrix::new(rows, columns, card.to_f32(), WeightDtype::F32);
        Self { card, processor }
    }

    /// As linear layers with this bias.
    pub fn linear(self, bias: Option<Vec<f32>>) -> [FrozenLinear; 2] {
        [self.card, self.processor].map(|matrix| FrozenLinear::new(matrix, bias.clone()))
    }
}
