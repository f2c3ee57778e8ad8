//! Frozen vectors: biases, and the scales and shifts of norms.

use std::fmt;
use std::ops::Deref;
use std::sync::Mutex;

use burn::tensor::{Device, Tensor, TensorData};

use super::is_host;

/// Numbers that never change; a device gets them once.
#[derive(Default)]
pub(crate) struct FrozenVector {
    numbers: Vec<f32>,
    there: Mutex<Option<Tensor<1>>>,
}

impl FrozenVector {
    pub fn new(numbers: Vec<f32>) -> Self {
        Self { numbers, there: Mutex::default() }
    }

    /// Others: these with `added` to the first of them.
    pub fn plus(&self, added: &[f32]) -> Self {
        let mut numbers = self.numbers.clone();
        numbers.iter_mut().zip(added).for_each(|(number, added)| *number += added);
        Self::new(numbers)
    }

    /// The numbers on a device.
    ///
    /// # Shapes
    /// - output: `[numbers]`
    pub fn tensor(&self, device: &Device) -> Tensor<1> {
        let bring = || Tensor::from_data(TensorData::new(self.numbers.clone(), [self.numbers.len()]), device);
        if is_host(device) {
            return bring();
        }
        let mut there = self.there.lock().expect("no other user panics");
        there.get_or_insert_with(bring).clone()
    }
}

impl Deref for FrozenVector {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.numbers
    }
}

impl fmt::Debug for FrozenVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FrozenVector({})", self.numbers.len())
    }
}
