//! A colour over the whole picture: what should be grey, and is not.
//!
//! CIE L*a*b* as OpenCV has it on 8 bits. Near-grey pixels are those of a chroma below 20 and a lightness between 20
//! and 95; the cast is the distance of their mean a*, b* from zero. A stronger cast than that turns grey into a
//! colour like any other.

use lorabake_pixels::Rgb;
use lorabake_pixels::opencv::rgb_to_lab;
use serde::{Deserialize, Serialize};

/// The mean colour of near-grey pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Cast {
    /// Towards red; below zero towards green.
    pub a: f64,
    /// Towards yellow; below zero towards blue.
    pub b: f64,
    /// Share of pixels that are near-grey.
    pub share: f64,
}

impl Cast {
    /// The cast of a picture.
    pub fn of(image: &Rgb) -> Self {
        const MOST_CHROMA: f64 = 20.0;
        const ZERO: u8 = 128;
        let mut count = 0_usize;
        let mut sums = [0_i64; 2];
        for [lightness, a, b] in rgb_to_lab(image).pixels() {
            let lightness = f64::from(*lightness) * 100.0 / 255.0;
            let [a, b] = [a, b].map(|value| i64::from(*value) - i64::from(ZERO));
            if (a as f64).hypot(b as f64) < MOST_CHROMA && lightness > 20.0 && lightness < 95.0 {
                count += 1;
                sums[0] += a;
                sums[1] += b;
            }
        }
        if count == 0 {
            return Self::default();
        }
        let [a, b] = sums.map(|sum| sum as f64 / count as f64);
        Self { a, b, share: count as f64 / image.pixels().len() as f64 }
    }

    /// How strong it is.
    pub fn strength(&self) -> f64 {
        self.a.hypot(self.b)
    }
}
