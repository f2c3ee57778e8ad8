//! M9: pictures that are none: noise, blobs, one flat colour, values that are no numbers.
//!
//! Definition: four values of each picture, each out of range if it lies outside the 1st to 99th percentile of the base's
//! pictures for the same prompts by more than that range is wide: the round trip through the VAE, RMS(x − D(E(x))) ÷
//! std(x), which is large for what the VAE never saw; the slope of power over frequency; the correlation of neighbours;
//! how mixed the directions of edges are. Two of four out of range, no numbers, or no contrast at all: a broken picture.
//! More than 30 % of pictures broken: a broken LoRA.
//! Misleads: fur, starfields and textures look like noise to one value, hence two of four and the base as the measure.

use lorabake_pixels::Rgb;

use crate::bootstrap::Interval;
use crate::picture::{Luma, Spectrum};
use crate::quantile::quantile;
use crate::wilson::wilson;

/// So many values out of range make a broken picture.
const OUT_OF_RANGE: usize = 2;
/// A larger share of broken pictures makes a broken LoRA.
const BROKEN: f64 = 0.3;
/// A picture of less contrast is one flat colour: one step of 255.
const FLAT: f64 = 1.0 / 255.0;
/// How sure the interval of the share is.
const LEVEL: f64 = 0.95;
/// Fewer pictures of the base have no percentiles to speak of.
const LEAST_BASE: usize = 4;

/// What tells pictures from noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Texture {
    /// The picture was to hold values that are no numbers, so there is none.
    NoNumbers,
    /// One flat colour.
    Flat,
    /// Four values: round trip, slope, correlation of neighbours, mixed directions.
    Of([f64; 4]),
}

impl Texture {
    /// The texture of a picture; `again` is what the VAE makes of it after encoding and decoding.
    ///
    /// # Panics
    /// If they differ in size.
    pub fn of(picture: &Rgb, again: &Rgb) -> Self {
        let luma = Luma::of(picture);
        if luma.contrast() < FLAT {
            return Self::Flat;
        }
        Self::Of([
            round_trip(picture, again),
            Spectrum::of(&luma).slope(),
            luma.autocorrelation(),
            luma.mixed_directions(),
        ])
    }
}

/// The root of the mean square difference, divided by the standard deviation of the picture; over all channels.
fn round_trip(picture: &Rgb, again: &Rgb) -> f64 {
    assert_eq!(picture.size(), again.size(), "the same picture twice");
    let count = picture.data.len() as f64;
    let mean = picture.data.iter().copied().map(f64::from).sum::<f64>() / count;
    let [mut difference, mut spread] = [0.0, 0.0];
    for (one, other) in picture.data.iter().zip(&again.data) {
        difference += (f64::from(*one) - f64::from(*other)).powi(2);
        spread += (f64::from(*one) - mean).powi(2);
    }
    (difference / spread).sqrt()
}

/// How many pictures are broken.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseBlobs {
    /// The broken pictures.
    pub broken: Vec<usize>,
    /// Their share.
    pub share: f64,
    /// Where the share lies, with 95 %.
    pub interval: Interval,
    /// Whether more than 30 % are broken.
    pub is_broken: bool,
}

/// Broken pictures of a LoRA, beside the base's for the same prompts. `None` without pictures, or with fewer than four of
/// the base that are pictures themselves.
pub fn noise_blobs(lora: &[Texture], base: &[Texture]) -> Option<NoiseBlobs> {
    let mut usual: [Vec<f64>; 4] = Default::default();
    for texture in base {
        if let Texture::Of(values) = texture {
            for (all, value) in usual.iter_mut().zip(values) {
                all.push(*value);
            }
        }
    }
    if lora.is_empty() || usual[0].len() < LEAST_BASE {
        return None;
    }
    let ranges = usual.map(|values| Interval { low: quantile(&values, 0.01), high: quantile(&values, 0.99) });
    let mut broken = Vec::new();
    for (index, texture) in lora.iter().enumerate() {
        if is_broken(texture, &ranges) {
            broken.push(index);
        }
    }
    let share = broken.len() as f64 / lora.len() as f64;
    let interval = wilson(broken.len(), lora.len(), LEVEL);
    Some(NoiseBlobs { broken, share, interval, is_broken: share > BROKEN })
}

fn is_broken(texture: &Texture, ranges: &[Interval; 4]) -> bool {
    let values = match texture {
        Texture::NoNumbers | Texture::Flat => return true,
        Texture::Of(values) => values,
    };
    let mut out = 0;
    for (value, range) in values.iter().zip(ranges) {
        let width = range.high - range.low;
        let widened = Interval { low: range.low - width, high: range.high + width };
        // What is no number lies nowhere.
        if !widened.holds(*value) {
            out += 1;
        }
    }
    out >= OUT_OF_RANGE
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURES: [[f64; 4]; 5] = [
        [0.10, -2.0, 0.95, 0.50],
        [0.12, -2.2, 0.97, 0.55],
        [0.11, -1.9, 0.96, 0.52],
        [0.13, -2.4, 0.94, 0.48],
        [0.10, -2.1, 0.98, 0.51],
    ];
    const NOISE: [f64; 4] = [0.9, -0.1, 0.05, 0.93];

    fn of(all: &[[f64; 4]]) -> Vec<Texture> {
        all.iter().copied().map(Texture::Of).collect()
    }

    #[test]
    fn noise_is_out_of_range_and_one_odd_value_is_not() {
        let mut own = PICTURES;
        own[0] = NOISE;
        own[1][3] = 0.99;
        let found = noise_blobs(&of(&own), &of(&PICTURES)).unwrap();
        assert_eq!(found.broken, [0]);
        assert!((found.share - 0.2).abs() < 1e-12 && !found.is_broken && found.interval.holds(0.2));
        own[1] = NOISE;
        assert!(noise_blobs(&of(&own), &of(&PICTURES)).unwrap().is_broken);
    }

    #[test]
    fn no_numbers_and_one_colour_are_broken() {
        let own = [Texture::NoNumbers, Texture::Flat, Texture::Of(PICTURES[0]), Texture::Of([f64::NAN; 4])];
        assert_eq!(noise_blobs(&own, &of(&PICTURES)).unwrap().broken, [0, 1, 3]);
        let gray = Rgb::filled((64, 64), [100, 100, 100]);
        assert_eq!(Texture::of(&gray, &gray), Texture::Flat);
    }

    #[test]
    fn a_base_without_pictures_is_no_measure() {
        assert_eq!(noise_blobs(&of(&PICTURES), &of(&PICTURES[..3])), None);
        assert_eq!(noise_blobs(&of(&PICTURES), &[Texture::Flat; 9]), None);
        assert_eq!(noise_blobs(&[], &of(&PICTURES)), None);
    }

    #[test]
    fn the_round_trip_is_in_units_of_the_picture() {
        let picture = Rgb { width: 2, height: 1, data: vec![0, 0, 0, 100, 100, 100] };
        let again = Rgb { width: 2, height: 1, data: vec![10, 10, 10, 110, 110, 110] };
        assert!((round_trip(&picture, &again) - 0.2).abs() < 1e-12);
    }
}
