//! What the masked part holds when sampling starts.
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui (`modules/masking.py`).

use lorabake_pixels::pillow::{
    alpha_composite, gaussian_blur, inverted, opaque, paste_masked, premultiplied, straight, without_alpha,
};
use lorabake_pixels::{Gray, Rgb, Rgba};

/// What the masked part holds when sampling starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MaskedContent {
    /// The colours around it.
    Fill,
    /// What was there.
    #[default]
    Original,
    /// The colours around it, encoded, and then noise in their place.
    LatentNoise,
    /// The colours around it, encoded, and then zeros in their place.
    LatentNothing,
}

impl MaskedContent {
    /// The content of this number in the web UI's API (`inpainting_fill`), 0 to 3.
    pub fn of_number(number: u8) -> Option<Self> {
        let all = [Self::Fill, Self::Original, Self::LatentNoise, Self::LatentNothing];
        all.get(usize::from(number)).copied()
    }

    /// What it is called in the text of a picture (`Masked content`).
    pub fn label(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::Original => "original",
            Self::LatentNoise => "latent noise",
            Self::LatentNothing => "latent nothing",
        }
    }
}

/// Standard deviation in pixels, and how often what was blurred by it is laid over the one before.
const LAYERS: [(f32, usize); 6] = [(256.0, 1), (64.0, 1), (16.0, 2), (4.0, 4), (2.0, 2), (0.0, 1)];

/// The picture with its masked part filled by the colours around it: what is not masked is blurred more and more weakly,
/// layer over layer.
///
/// # Panics
/// If picture and mask differ in size.
pub fn fill(image: &Rgb, mask: &Gray) -> Rgb {
    let mut kept = Rgba::filled(image.size(), [0; 4]);
    paste_masked(&mut kept, &premultiplied(&opaque(image)), &inverted(mask));
    let mut filled = Rgba::filled(image.size(), [0; 4]);
    for (deviation, repeats) in LAYERS {
        let blurred = straight(&gaussian_blur(&kept, deviation));
        for _ in 0..repeats {
            filled = alpha_composite(&filled, &blurred);
        }
    }
    without_alpha(&filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_colour_around_fills_the_mask_and_nothing_fills_it_if_there_is_none() {
        let picture = Rgb::filled((9, 9), [200, 100, 50]);
        let mut mask = Gray::filled((9, 9), [0]);
        mask.data[40] = 255;
        let filled = fill(&picture, &mask);
        for (value, wanted) in filled.data[40 * 3..][..3].iter().zip([200_u8, 100, 50]) {
            assert!(value.abs_diff(wanted) <= 2, "{value} for {wanted}");
        }
        let nothing = fill(&picture, &Gray::filled((9, 9), [255]));
        assert!(nothing.data.iter().all(|value| *value == 0));
    }
}
