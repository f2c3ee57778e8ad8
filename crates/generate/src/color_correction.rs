//! Colour correction of img2img: the result takes on the colours of the picture that it was made from.
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui (`modules/processing.py`).

use lorabake_pixels::histogram::match_histograms;
use lorabake_pixels::luminosity::with_luminosity;
use lorabake_pixels::opencv::{lab_to_rgb, rgb_to_lab};
use lorabake_pixels::{Image, Rgb};

/// The colours that results take on.
#[derive(Debug, Clone, PartialEq)]
pub struct ColorTarget {
    lab: Image<3>,
}

impl ColorTarget {
    /// The colours of a picture as it is encoded, after the masked part was filled.
    pub fn of(picture: &Rgb) -> Self {
        Self { lab: rgb_to_lab(picture) }
    }

    /// `result` with these colours and its own brightness. Acts before anything is laid over the result.
    pub fn apply(&self, result: &Rgb) -> Rgb {
        let matched = lab_to_rgb(&match_histograms(&rgb_to_lab(result), &self.lab));
        with_luminosity(&matched, result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_one_pixel_and_one_of_its_own_colours_stay_in_bounds() {
        let target = ColorTarget::of(&Rgb::filled((1, 1), [255, 0, 0]));
        let result = target.apply(&Rgb::filled((3, 2), [0, 0, 255]));
        assert_eq!(result.size(), (3, 2));
        let grey = Rgb::filled((2, 2), [128; 3]);
        for value in ColorTarget::of(&grey).apply(&grey).data {
            assert!(value.abs_diff(128) <= 1, "{value}");
        }
    }
}
