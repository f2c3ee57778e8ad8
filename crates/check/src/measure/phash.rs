//! Near copies: the perceptual hash of imagehash, and a small picture to confirm by.
//!
//! Source: imagehash 4.3.2 (`phash`), bit for bit: Pillow's grey, Lanczos to 32 × 32, DCT-II along both axes, the 8 ×
//! 8 of low frequencies, a bit each for what is above the median of all 64. (imagededup leaves the first one out of
//! the median and so has other hashes.) What the hash cannot decide, as in drawings that are symmetrical, is left to
//! rounding there as here.

use std::f64::consts::PI;
use std::sync::LazyLock;

use lorabake_pixels::Gray;
use lorabake_pixels::pillow::{Filter, resize};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Side of the picture that is looked at.
const SIDE: usize = 32;
/// Frequencies along each axis.
const LOW: usize = 8;

/// What near copies have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The hash, first bit highest.
    #[serde(serialize_with = "write_hash", deserialize_with = "read_hash")]
    pub hash: u64,
    /// The hash of the mirror image, left and right exchanged.
    #[serde(serialize_with = "write_hash", deserialize_with = "read_hash")]
    pub mirrored: u64,
    /// Luma of 32 × 32 pixels.
    #[serde(serialize_with = "write_luma", deserialize_with = "read_luma")]
    pub luma: Vec<u8>,
}

impl Signature {
    /// The signature of a picture's luma.
    pub fn of(luma: &Gray) -> Self {
        let small = resize(luma, (SIDE as u32, SIDE as u32), Filter::Lanczos);
        Self { hash: hash(&small.data), mirrored: hash(&small.flip_horizontal().data), luma: small.data }
    }

    /// How alike the two small pictures are, −1 to 1; `mirrored` exchanges left and right of the other. A plain
    /// picture is like nothing but another plain one.
    pub fn correlation(&self, other: &Self, mirrored: bool) -> f64 {
        let mut sums = Sums::default();
        for (own, theirs) in self.luma.chunks_exact(SIDE).zip(other.luma.chunks_exact(SIDE)) {
            for (x, value) in own.iter().enumerate() {
                let place = if mirrored { SIDE - 1 - x } else { x };
                sums.add(f64::from(*value), f64::from(theirs[place]));
            }
        }
        sums.correlation()
    }

    /// How much the two small pictures differ where they differ most, 0 to 255: the mean of 2 × 2 places, since one
    /// alone may be the edge of something that hardly moved.
    pub fn largest_difference(&self, other: &Self, mirrored: bool) -> f64 {
        let mut largest = 0;
        for y in 0..SIDE - 1 {
            for x in 0..SIDE - 1 {
                let mut sum = 0_i32;
                for place in [y * SIDE + x, y * SIDE + x + 1, (y + 1) * SIDE + x, (y + 1) * SIDE + x + 1] {
                    let theirs = if mirrored { place / SIDE * SIDE + (SIDE - 1 - place % SIDE) } else { place };
                    sum += i32::from(self.luma[place]) - i32::from(other.luma[theirs]);
                }
                largest = largest.max(sum.abs());
            }
        }
        f64::from(largest) / 4.0
    }
}

#[derive(Default)]
struct Sums {
    count: f64,
    own: f64,
    theirs: f64,
    own_squares: f64,
    their_squares: f64,
    products: f64,
}

impl Sums {
    fn add(&mut self, own: f64, theirs: f64) {
        self.count += 1.0;
        self.own += own;
        self.theirs += theirs;
        self.own_squares += own * own;
        self.their_squares += theirs * theirs;
        self.products += own * theirs;
    }

    fn correlation(&self) -> f64 {
        let own = self.own_squares - self.own * self.own / self.count;
        let theirs = self.their_squares - self.theirs * self.theirs / self.count;
        if own < 1.0 || theirs < 1.0 {
            return if own < 1.0 && theirs < 1.0 { 1.0 } else { 0.0 };
        }
        (self.products - self.own * self.theirs / self.count) / (own * theirs).sqrt()
    }
}

/// Cosines of the frequencies at each place.
static COSINES: LazyLock<Vec<[f64; SIDE]>> = LazyLock::new(|| {
    let cosine =
        |frequency: usize, place: usize| (PI * frequency as f64 * (2 * place + 1) as f64 / (2 * SIDE) as f64).cos();
    (0..LOW).map(|frequency| std::array::from_fn(|place| cosine(frequency, place))).collect()
});

/// The hash of 32 × 32 values of luma.
fn hash(luma: &[u8]) -> u64 {
    let mut by_row = [[0.0; LOW]; SIDE];
    for (row, sums) in luma.chunks_exact(SIDE).zip(&mut by_row) {
        for (cosines, sum) in COSINES.iter().zip(sums) {
            *sum = row.iter().zip(cosines).map(|(value, cosine)| f64::from(*value) * cosine).sum();
        }
    }
    let mut frequencies = Vec::with_capacity(LOW * LOW);
    for cosines in COSINES.iter() {
        for x in 0..LOW {
            frequencies.push(by_row.iter().zip(cosines).map(|(row, cosine)| row[x] * cosine).sum::<f64>());
        }
    }
    let mut sorted = frequencies.clone();
    sorted.sort_by(f64::total_cmp);
    let median = (sorted[LOW * LOW / 2 - 1] + sorted[LOW * LOW / 2]) / 2.0;
    frequencies.iter().fold(0, |hash, value| hash << 1 | u64::from(*value > median))
}

fn write_hash<S: Serializer>(hash: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{hash:016x}"))
}

fn read_hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    u64::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
}

fn write_luma<S: Serializer>(luma: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&super::hexadecimal(luma))
}

fn read_luma<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut luma = Vec::with_capacity(SIDE * SIDE);
    for pair in text.as_bytes().chunks(2) {
        let digits = std::str::from_utf8(pair).map_err(serde::de::Error::custom)?;
        luma.push(u8::from_str_radix(digits, 16).map_err(serde::de::Error::custom)?);
    }
    if luma.len() == SIDE * SIDE { Ok(luma) } else { Err(serde::de::Error::custom("a picture of another size")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waves that are brighter at the right.
    fn picture(width: u32, height: u32) -> Gray {
        let mut image = Gray::filled((width, height), [0]);
        for (index, value) in image.data.iter_mut().enumerate() {
            let x = (index as u32 % width) as f64 / f64::from(width);
            let y = (index as u32 / width) as f64 / f64::from(height);
            *value = (127.0 + 60.0 * (9.0 * x + 4.0 * y * y).sin() + 60.0 * (7.0 * y - 3.0 * x * y).cos()) as u8;
        }
        image
    }

    #[test]
    fn copies_of_another_size_and_mirror_images_are_recognized() {
        let one = Signature::of(&picture(200, 150));
        let other = Signature::of(&picture(500, 380));
        assert!((one.hash ^ other.hash).count_ones() <= 2);
        assert!(one.correlation(&other, false) > 0.999 && one.largest_difference(&other, false) < 4.0);
        let mirror = Signature::of(&picture(500, 380).flip_horizontal());
        assert!((one.mirrored ^ mirror.hash).count_ones() <= 2);
        assert!(one.correlation(&mirror, true) > 0.999 && one.correlation(&mirror, false) < 0.9);
    }

    #[test]
    fn a_signature_goes_through_json_and_back() {
        let one = Signature::of(&picture(64, 64));
        let text = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<Signature>(&text).unwrap(), one);
        assert!(serde_json::from_str::<Signature>(&text.replace("\"luma\":\"", "\"luma\":\"ff")).is_err());
    }
}
