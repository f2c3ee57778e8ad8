//! One image of a network that is only run forward, where that network is computed: owned planes on the processor, a
//! tensor on another device.
//!
//! So a network describes its way through convolutions once, and each place does them in its own way.

use burn::tensor::{Device, Tensor};

use crate::bands::{self, Before};
use crate::conv::FrozenConv;
use crate::device::{BAND, convolved_on_device, is_host};
use crate::planes::Planes;

/// One image, [C, H, W].
#[derive(Debug)]
pub struct Image(Pixels);

#[derive(Debug)]
// Two or three of them exist at a time.
#[allow(clippy::large_enum_variant)]
enum Pixels {
    Host(Planes),
    /// [1, H, W, C]: with its channels last, convolutions on GPUs take it as it lies.
    Device(Tensor<4>),
}

impl Image {
    /// The images of a batch, each on the batch's device.
    ///
    /// # Shapes
    /// - x: [B, C, H, W]
    pub fn of_batch(x: Tensor<4>) -> impl Iterator<Item = Self> {
        (0..x.dims()[0]).map(move |image| Self::of(x.clone().narrow(0, image, 1)))
    }

    /// The only image of a batch of one.
    ///
    /// # Shapes
    /// - x: [1, C, H, W]
    ///
    /// # Panics
    /// If there are more.
    pub fn of(x: Tensor<4>) -> Self {
        assert_eq!(x.dims()[0], 1, "one image");
        Self(if is_host(&x.device()) { Pixels::Host(Planes::of(x)) } else { Pixels::Device(x.permute([0, 2, 3, 1])) })
    }

    /// A batch of one.
    ///
    /// # Shapes
    /// - output: [1, C, H, W]
    pub fn into_tensor(self) -> Tensor<4> {
        match self.0 {
            Pixels::Host(x) => x.into_tensor(&Device::flex()),
            Pixels::Device(x) => x.permute([0, 3, 1, 2]),
        }
    }
}

impl FrozenConv {
    /// The convolution of what `before` makes of `x`.
    pub fn in_bands(&self, x: &Image, before: Before<'_>) -> Image {
        Image(match &x.0 {
            Pixels::Host(x) => Pixels::Host(bands::convolved(self, x, before)),
            Pixels::Device(x) => Pixels::Device(convolved_on_device(self, x, before, None, BAND)),
        })
    }

    /// The convolution of what `before` makes of `x`, added to `y`.
    ///
    /// # Panics
    /// If `y` has another size than the output, or is elsewhere than `x`.
    pub fn add_in_bands(&self, x: &Image, before: Before<'_>, y: Image) -> Image {
        Image(match (&x.0, y.0) {
            (Pixels::Host(x), Pixels::Host(mut y)) => {
                bands::add_convolved(self, x, before, &mut y);
                Pixels::Host(y)
            }
            (Pixels::Device(x), Pixels::Device(y)) => {
                Pixels::Device(convolved_on_device(self, x, before, Some(y), BAND))
            }
            _ => panic!("a sum of images in two places"),
        })
    }

    /// A 1×1 convolution; the processor does it in the memory of its input where there is room.
    ///
    /// # Panics
    /// If it is another convolution.
    pub fn pointwise_in_bands(&self, x: Image) -> Image {
        Image(match x.0 {
            Pixels::Host(x) => Pixels::Host(bands::pointwise(self, x)),
            Pixels::Device(x) => Pixels::Device(convolved_on_device(self, &x, Before::Nothing, None, BAND)),
        })
    }
}
