//! A colour over the whole picture.
//!
//! CIE L*a*b* as OpenCV has it on 8 bits. What is lightest in a picture is mostly white paper, a light, a cloud or the white of
//! an eye, so the median a*, b* of the lightest hundredth tells of a cast. (The usual way, the mean of near-grey pixels, was
//! tried first: a cast of some strength makes grey a colour like any other, and hardly one in ten was found.)

use lorabake_pixels::Rgb;
use lorabake_pixels::opencv::rgb_to_lab;
use serde::{Deserialize, Serialize};

/// The colour of what is lightest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Cast {
    /// Towards red; below zero towards green.
    pub a: f64,
    /// Towards yellow; below zero towards blue.
    pub b: f64,
    /// How light it is at least, 0 to 100.
    pub lightness: f64,
}

/// Share of pixels that are the lightest.
const LIGHTEST: f64 = 0.01;

impl Cast {
    /// The cast of a picture.
    pub fn of(image: &Rgb) -> Self {
        let lab = rgb_to_lab(image);
        let mut lightnesses = [0_usize; 256];
        for [lightness, _, _] in lab.pixels() {
            lightnesses[usize::from(*lightness)] += 1;
        }
        let wanted = (LIGHTEST * lab.pixels().len() as f64).ceil() as usize;
        let mut counted = 0;
        let mut least = 255;
        for (lightness, count) in lightnesses.iter().enumerate().rev() {
            counted += count;
            least = lightness;
            if counted >= wanted {
                break;
            }
        }
        let mut counts = [[0_usize; 256]; 2];
        for [lightness, a, b] in lab.pixels() {
            if usize::from(*lightness) >= least {
                counts[0][usize::from(*a)] += 1;
                counts[1][usize::from(*b)] += 1;
            }
        }
        let [a, b] = counts.map(|counts| median(&counts, counted));
        Self { a, b, lightness: least as f64 * 100.0 / 255.0 }
    }

    /// How strong it is.
    pub fn strength(&self) -> f64 {
        self.a.hypot(self.b)
    }
}

/// The middle of `all` values of 8 bits whose zero is at 128.
fn median(counts: &[usize; 256], all: usize) -> f64 {
    const ZERO: f64 = 128.0;
    let mut below = 0;
    for (value, count) in counts.iter().enumerate() {
        below += count;
        if 2 * below >= all {
            return value as f64 - ZERO;
        }
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_has_no_cast_and_warm_light_has() {
        let mut picture = Rgb::filled((20, 20), [120, 20, 40]);
        picture.data[..60].fill(255);
        let cast = Cast::of(&picture);
        assert!(cast.strength() < 1.5 && cast.lightness > 99.0, "{cast:?}");
        picture.data[..60].as_chunks_mut::<3>().0.fill([255, 224, 173]);
        let cast = Cast::of(&picture);
        assert!(cast.b > 20.0 && cast.strength() > 20.0, "{cast:?}");
    }
}
