//! What a frozen matrix takes of a device's memory, and whether it goes back.

use burn::tensor::Device;
use lorabake_ops::{FrozenMatrix, WeightDtype, half_of, is_host};

use super::Agreement;
use crate::trial::uniform_values;

/// Rows and columns; large beside what the device keeps for itself.
const SIDE: usize = 1024;
/// What was in use before may go in the meantime, so that a matrix seems to take a little less.
const BOUND: f64 = 0.1;

/// For each way to hold weights what it takes, and what is left when it is gone; none for the processor.
pub(super) fn agree(device: &Device) -> Vec<Agreement> {
    if is_host(device) {
        return Vec::new();
    }
    let count = (SIDE * SIDE) as u64;
    let halved = if half_of(device).is_some() { 2 * count } else { 4 * count };
    // In 8 bits a scale of 4 bytes belongs to 128 numbers.
    let cases = [(WeightDtype::F32, 4 * count), (WeightDtype::Bf16, halved), (WeightDtype::Int8, count + count / 32)];
    let mut found = Vec::new();
    for (dtype, expected) in cases {
        let before = in_use(device);
        let matrix = FrozenMatrix::new(SIDE, SIDE, uniform_values(SIDE * SIDE, 5), dtype);
        drop(matrix.on(device).into_data());
        let taken = in_use(device) - before;
        drop(matrix);
        device.memory_cleanup();
        let left = in_use(device) - before;
        let off = |bytes: f64, wanted: f64| (bytes - wanted).abs() / expected as f64;
        let row = |what: String, distance| Agreement { what, distance, bound: BOUND };
        found.push(row(format!("memory of a {dtype:?} matrix"), off(taken, expected as f64)));
        found.push(row(format!("memory after it {dtype:?}"), off(left.max(0.0), 0.0)));
    }
    found
}

/// Bytes of all tensors on the device.
fn in_use(device: &Device) -> f64 {
    device.memory_pool_usage().map_or(f64::NAN, |usage| usage.bytes_in_use as f64)
}
