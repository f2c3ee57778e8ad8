//! Numbers that lie in strides, as PyTorch keeps transposed tensors, in row-major order.

/// Brings numbers that lie in strides into row-major order.
pub(super) fn row_major(values: &[f32], shape: &[usize], strides: &[usize]) -> Vec<f32> {
    places(shape, strides).into_iter().map(|place| values[place]).collect()
}

/// The same for numbers of `width` bytes.
pub(super) fn row_major_bytes(bytes: &[u8], width: usize, shape: &[usize], strides: &[usize]) -> Vec<u8> {
    let places = places(shape, strides).into_iter();
    places.flat_map(|place| bytes[place * width..(place + 1) * width].iter().copied()).collect()
}

/// Where the numbers of a tensor lie, in row-major order.
fn places(shape: &[usize], strides: &[usize]) -> Vec<usize> {
    let mut places = vec![0];
    for (extent, stride) in shape.iter().zip(strides) {
        places = places.iter().flat_map(|place| (0..*extent).map(move |n| place + n * stride)).collect();
    }
    places
}
