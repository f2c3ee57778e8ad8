//! A rough look at latents while a picture is painted: colours at an eighth of its size, without a network.
//!
//! Each colour is a sum of the four channels. Factors of SD1.x and SD2.x: keturn, "Decoding latents to RGB without
//! upscaling" (discuss.huggingface.co, 2022); those of SDXL are a fit of the same kind, as in the web UI ("Approx cheap").

use burn::tensor::Tensor;
use lorabake_weights::Family;

/// Channels of latents.
const CHANNELS: usize = 4;
/// The colours that latents about stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatentColors {
    /// Red, green and blue of each channel.
    pub factors: [[f32; 3]; CHANNELS],
    /// Red, green and blue of zeros, in [-1, 1].
    pub constant: [f32; 3],
}

impl LatentColors {
    const SD1_AND_2: Self = Self {
        factors: [[0.298, 0.207, 0.208], [0.187, 0.286, 0.173], [-0.158, 0.189, 0.264], [-0.184, -0.271, -0.473]],
        constant: [0.0; 3],
    };
    const SDXL: Self = Self {
        factors: [
            [0.3448, 0.4168, 0.4395],
            [-0.1953, -0.0290, 0.0250],
            [0.1074, 0.0886, -0.0163],
            [-0.3730, -0.2499, -0.2088],
        ],
        constant: [0.0; 3],
    };

    /// Those of models of `family`.
    pub fn of(family: Family) -> Self {
        if family == Family::Sdxl { Self::SDXL } else { Self::SD1_AND_2 }
    }
}

/// A small picture of the first of some latents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// In pixels, an eighth of the picture's.
    pub width: usize,
    /// In pixels.
    pub height: usize,
    /// Red, green and blue, pixel by pixel, row by row.
    pub rgb: Vec<u8>,
}

/// What the first of these latents, as the UNet is to leave them, will about look like.
///
/// # Shapes
/// - latents: [B, 4, H, W], with the latent scale in them
pub fn preview(colors: &LatentColors, latents: Tensor<4>) -> Preview {
    let [_, _, height, width] = latents.dims();
    let first = latents.narrow(0, 0, 1).narrow(1, 0, CHANNELS);
    let numbers: Vec<f32> = first.into_data().try_into_vec().expect("latents are f32");
    let plane = height * width;
    let mut rgb = Vec::with_capacity(3 * plane);
    for pixel in 0..plane {
        for colour in 0..3 {
            let mut sum = colors.constant[colour];
            for (channel, factors) in colors.factors.iter().enumerate() {
                sum += numbers[channel * plane + pixel] * factors[colour];
            }
            // Not a number becomes black.
            rgb.push(((sum + 1.0) / 2.0 * 255.0).clamp(0.0, 255.0) as u8);
        }
    }
    Preview { width, height, rgb }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    #[test]
    fn colours_are_sums_of_channels() {
        let numbers = vec![0.0, 1.0, 0.0, 0.0, 0.0, -9.0, 0.0, f32::NAN];
        let latents = Tensor::from_data(TensorData::new(numbers, [1, 4, 1, 2]), &Device::flex());
        let Preview { width, height, rgb } = preview(&LatentColors::of(Family::Sd1), latents);
        assert_eq!([width, height], [2, 1]);
        assert_eq!(rgb, [127, 127, 127, 0, 0, 0]);
        let bright = Tensor::full([1, 4, 1, 1], 0.5, &Device::flex());
        assert_eq!(preview(&LatentColors::of(Family::Sdxl), bright).rgb, [120, 141, 142]);
    }
}
