//! RRDBNet, the network of ESRGAN and its many relatives (Wang et al. 2018 and 2021; names as in Real-ESRGAN, shapes of
//! the variants as in spandrel). Sizes are inferred from the file.

mod block;

use std::path::Path;

use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use lorabake_ops::{FrozenConv, WeightDtype};
use lorabake_weights::network_file::upscaler;
use lorabake_weights::{Error, NetworkFile};

use crate::nn::{self, Builder};
use block::{Block, SLOPE};

/// Colours of an image.
const COLOURS: usize = 3;

/// The largest upscalers enlarge 16 times.
const MOST_DOUBLINGS: usize = 4;

/// An upscaler.
#[derive(Debug, Clone)]
pub struct Upscaler {
    conv_first: FrozenConv,
    body: Vec<Block>,
    conv_body: FrozenConv,
    /// One for each doubling.
    conv_up: Vec<FrozenConv>,
    conv_hr: FrozenConv,
    conv_last: FrozenConv,
    /// Pixels of a square of this side become channels first.
    unshuffle: usize,
}

impl Upscaler {
    /// Reads the upscaler at `path`, a file of safetensors or PyTorch in any of its namings, with its matrices in `dtype`.
    ///
    /// # Errors
    /// When it cannot be read, is no upscaler of this family, or its tensors do not fit.
    pub fn open(path: &Path, dtype: WeightDtype) -> Result<Self, Error> {
        Self::read(&upscaler::open(path)?, dtype)
    }

    /// Reads the upscaler of an open file, with its matrices in `dtype`.
    ///
    /// # Errors
    /// When its tensors do not fit, or it takes or gives other images than RGB.
    pub fn read(file: &NetworkFile, dtype: WeightDtype) -> Result<Self, Error> {
        let upscaler = nn::read(file, dtype, Self::build)?;
        let inputs = upscaler.conv_first.shape().inputs;
        let doublings = upscaler.conv_up.len();
        let side = upscaler.unshuffle;
        let wrong = |reason| Err(Error::WrongKind { file: file.label().to_string(), reason });
        if inputs != COLOURS * side * side || !side.is_power_of_two() {
            return wrong(format!("its first layer takes {inputs} channels; give an upscaler of RGB images"));
        }
        if doublings > MOST_DOUBLINGS || side > 1 << doublings {
            return wrong(format!("it doubles {doublings} times, which no upscaler does; use another copy"));
        }
        Ok(upscaler)
    }

    fn build(mut b: Builder<'_, '_>) -> Self {
        let [width, inputs] = b.dims("conv_first.weight");
        let conv_first = b.frozen_conv("conv_first", Builder::same(inputs, width));
        let mut body = Vec::new();
        for index in 0..b.count(|i| format!("body.{i}.rdb1.conv1.weight")) {
            body.push(Block::build(&mut b, &format!("body.{index}"), width));
        }
        let same = Builder::same(width, width);
        let conv_body = b.frozen_conv("conv_body", same);
        let mut conv_up = Vec::new();
        for index in 0..b.count(|i| format!("conv_up{}.weight", i + 1)) {
            conv_up.push(b.frozen_conv(&format!("conv_up{}", index + 1), same));
        }
        let conv_hr = b.frozen_conv("conv_hr", same);
        let conv_last = b.frozen_conv("conv_last", Builder::same(width, COLOURS));
        let unshuffle = (inputs / COLOURS).isqrt().max(1);
        Self { conv_first, body, conv_body, conv_up, conv_hr, conv_last, unshuffle }
    }

    /// How many times as high and wide its pictures are.
    pub fn scale(&self) -> usize {
        (1 << self.conv_up.len()) / self.unshuffle
    }

    /// Enlarged images, which may go a little beyond 0 and 1.
    ///
    /// # Shapes
    /// - images: [B, 3, H, W], RGB, 0 to 1
    /// - output: [B, 3, scale·H, scale·W]
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = images.dims();
        let x = self.conv_first.forward(unshuffled(images, self.unshuffle));
        let mut deep = x.clone();
        for block in &self.body {
            deep = block.forward(deep);
        }
        let mut x = x + self.conv_body.forward(deep);
        for conv in &self.conv_up {
            let options = InterpolateOptions::new(InterpolateMode::Nearest).with_scale_factor([2.0, 2.0]);
            x = activation::leaky_relu(conv.forward(interpolate(x, options)), SLOPE);
        }
        let x = activation::leaky_relu(self.conv_hr.forward(x), SLOPE);
        let y = self.conv_last.forward(x);
        // What was added to make the sides even is cut off again.
        y.narrow(2, 0, self.scale() * height).narrow(3, 0, self.scale() * width)
    }
}

/// Squares of pixels as channels; sides that are no multiple of a square's are continued as in a mirror.
///
/// # Shapes
/// - images: [B, C, H, W]
/// - output: [B, C·side², ⌈H / side⌉, ⌈W / side⌉]
fn unshuffled(images: Tensor<4>, side: usize) -> Tensor<4> {
    if side == 1 {
        return images;
    }
    let device = images.device();
    let [batch, channels, height, width] = images.dims();
    let rows = mirrored(height, side, &device);
    let columns = mirrored(width, side, &device);
    let high = rows.dims()[0] / side;
    let wide = columns.dims()[0] / side;
    images
        .select(2, rows)
        .select(3, columns)
        .reshape([batch, channels, high, side, wide, side])
        .permute([0, 1, 3, 5, 2, 4])
        .reshape([batch, channels * side * side, high, wide])
}

/// The pixels 0 … `length` − 1, and those that follow in a mirror behind the last up to a multiple of `side`.
///
/// # Shapes
/// - output: as many as pixels
fn mirrored(length: usize, side: usize, device: &Device) -> Tensor<1, Int> {
    let mut places = Vec::new();
    for place in 0..length.next_multiple_of(side) {
        let beyond = (place + 1).saturating_sub(length);
        places.push(if beyond == 0 { place as i32 } else { (length - 1).saturating_sub(beyond) as i32 });
    }
    let count = places.len();
    Tensor::from_data(TensorData::new(places, [count]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_become_channels() {
        let device = Device::flex();
        let numbers: Vec<f32> = (0..9).map(|number| number as f32).collect();
        let x = Tensor::from_data(TensorData::new(numbers, [1, 1, 3, 3]), &device);
        let y = unshuffled(x, 2);
        assert_eq!(y.dims(), [1, 4, 2, 2]);
        let own: Vec<f32> = y.into_data().try_into_vec().unwrap();
        // Rows 0 1 2 1 and columns 0 1 2 1 of 0 … 8.
        assert_eq!(own, [0.0, 2.0, 6.0, 8.0, 1.0, 1.0, 7.0, 7.0, 3.0, 5.0, 3.0, 5.0, 4.0, 4.0, 4.0, 4.0]);
    }
}
