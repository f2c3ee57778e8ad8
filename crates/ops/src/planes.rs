//! The channels of one image, owned: what networks work on that are only run forward.
//!
//! Tensors are shared, so that nothing is changed in place while a tape may want it. Here there is no tape, and one copy of
//! an image in the VAE's widest level is half a gigabyte at 1024 × 1024 pixels.

use burn::tensor::{Device, Tensor, TensorData};

/// One image on the host, [C, H, W] row-major.
#[derive(Debug, PartialEq)]
pub(crate) struct Planes {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub numbers: Vec<f32>,
}

impl Planes {
    /// An image of zeros.
    pub fn zeros([channels, height, width]: [usize; 3]) -> Self {
        Self { channels, height, width, numbers: vec![0.0; channels * height * width] }
    }

    /// Numbers of one channel.
    pub fn plane(&self) -> usize {
        self.height * self.width
    }

    /// The only image of a batch of one.
    ///
    /// # Shapes
    /// - x: [1, C, H, W]
    ///
    /// # Panics
    /// If there are more.
    pub fn of(x: Tensor<4>) -> Self {
        let [1, channels, height, width] = x.dims() else { panic!("one image") };
        Self { channels, height, width, numbers: x.into_data().try_into_vec().expect("f32 images") }
    }

    /// A batch of one.
    ///
    /// # Shapes
    /// - output: [1, C, H, W]
    pub fn into_tensor(self, device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(self.numbers, [1, self.channels, self.height, self.width]), device)
    }
}
