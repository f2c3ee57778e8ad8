//! What a convolution sees beyond the edges of an image.

use burn::tensor::Tensor;

/// What a convolution with padding sees beyond the edges of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Edges {
    /// Zeros.
    #[default]
    Zeros,
    /// The other side of the image, so that pictures can be laid side by side (torch's `circular`; the web UI's Tiling).
    Wrap,
}

/// x with so many pixels of its other side around it.
///
/// # Shapes
/// - x: [B, C, H, W]
/// - output: [B, C, H + 2·around, W + 2·around]
///
/// # Panics
/// If a side has less pixels than go around it.
pub fn wrapped(x: Tensor<4>, around: usize) -> Tensor<4> {
    let mut x = x;
    for axis in [2, 3] {
        let side = x.dims()[axis];
        let before = x.clone().narrow(axis, side - around, around);
        let after = x.clone().narrow(axis, 0, around);
        x = Tensor::cat(vec![before, x, after], axis);
    }
    x
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    #[test]
    fn the_other_side_goes_around() {
        let numbers: Vec<f32> = (0..6).map(|number| number as f32).collect();
        let x = wrapped(Tensor::from_data(TensorData::new(numbers, [1, 1, 2, 3]), &Device::flex()), 1);
        assert_eq!(x.dims(), [1, 1, 4, 5]);
        let own: Vec<f32> = x.into_data().try_into_vec().unwrap();
        let row = [5.0, 3.0, 4.0, 5.0, 3.0];
        let other = [2.0, 0.0, 1.0, 2.0, 0.0];
        assert_eq!(own, [row, other, row, other].concat());
    }
}
