//! Unit normal noise and what may be added to it. Plain numbers in row-major (B, C, H, W): the caller puts them on a
//! device. Formulas are those of sd-scripts' `custom_train_functions.py`.

use rand::Rng;
use rand_distr::StandardNormal;

/// `count` independent values of mean 0 and variance 1.
pub fn unit_normal(rng: &mut impl Rng, count: usize) -> Vec<f32> {
    rng.sample_iter(StandardNormal).take(count).collect()
}

/// Adds one constant per channel of each sample, so that brightness is learned too: strength · unit normal.
///
/// `strengths` has one value per channel of each sample, from [`offset_strengths`]; `plane` is H · W. What sd-scripts
/// does for `--noise_offset`; from Nicholas Guttenberg, "Diffusion with Offset Noise", 2023.
///
/// # Panics
/// If `noise` is not one plane per strength.
pub fn add_noise_offset(noise: &mut [f32], plane: usize, strengths: &[f32], rng: &mut impl Rng) {
    assert_eq!(noise.len(), plane * strengths.len(), "one plane per strength");
    for (channel, strength) in noise.chunks_exact_mut(plane).zip(strengths) {
        let offset = strength * rng.sample::<f32, _>(StandardNormal);
        for value in channel {
            *value += offset;
        }
    }
}

/// The noise offset's strength for each channel of each sample of `latents`: `strength`, plus `adaptive` · |mean of the
/// channel| (`--adaptive_noise_scale`), and never below 0.
pub fn offset_strengths(latents: &[f32], plane: usize, strength: f64, adaptive: Option<f64>) -> Vec<f32> {
    let mut strengths = vec![strength as f32; latents.len() / plane];
    if let Some(scale) = adaptive {
        for (strength, channel) in strengths.iter_mut().zip(latents.chunks_exact(plane)) {
            let mean = channel.iter().sum::<f32>() / plane as f32;
            *strength = (*strength + scale as f32 * mean.abs()).max(0.0);
        }
    }
    strengths
}

/// One level of multi-resolution noise.
#[derive(Debug, Clone, PartialEq)]
pub struct MultiresLevel {
    /// Rows and columns.
    pub size: [usize; 2],
    /// Unit normal values, (B, C, rows, columns).
    pub values: Vec<f32>,
}

/// Draws the levels of multi-resolution noise for latents of `shape` [B, C, H, W] (`--multires_noise_iterations`):
/// sides of level i are 1 / r^i of the latents', r drawn anew from 2 to 4; one that is a single row or column is the
/// last.
pub fn draw_multires_levels(shape: [usize; 4], iterations: u32, rng: &mut impl Rng) -> Vec<MultiresLevel> {
    let [batch, channels, height, width] = shape;
    let mut levels = Vec::new();
    for iteration in 0..iterations {
        let shrink = rng.random_range(2.0..4.0_f64).powi(iteration as i32);
        let size = [height, width].map(|side| ((side as f64 / shrink) as usize).max(1));
        levels.push(MultiresLevel { size, values: unit_normal(rng, batch * channels * size[0] * size[1]) });
        if size.contains(&1) {
            break;
        }
    }
    levels
}

/// Adds the levels to `noise` of `shape` [B, C, H, W], enlarged bilinearly, level i times `discount`^i, and scales the
/// whole batch back to standard deviation 1.
///
/// From J. Whitaker, "Multi-Resolution Noise for Diffusion Model Training", 2023, as sd-scripts does it.
pub fn add_multires_noise(noise: &mut [f32], shape: [usize; 4], levels: &[MultiresLevel], discount: f64) {
    let [_, _, height, width] = shape;
    for (index, level) in levels.iter().enumerate() {
        let factor = discount.powi(index as i32) as f32;
        let [rows, columns] = level.size;
        let down = interpolation(rows, height);
        let across = interpolation(columns, width);
        for (plane, small) in noise.chunks_exact_mut(height * width).zip(level.values.chunks_exact(rows * columns)) {
            for (row, vertical) in plane.chunks_exact_mut(width).zip(&down) {
                let top = &small[vertical.first * columns..];
                let bottom = &small[vertical.second * columns..];
                for (value, horizontal) in row.iter_mut().zip(&across) {
                    let between = vertical.of(horizontal.at(top), horizontal.at(bottom));
                    *value += factor * between;
                }
            }
        }
    }
    let std = standard_deviation(noise) as f32;
    for value in noise {
        *value /= std;
    }
}

/// A place between two neighbours of a smaller row.
struct Between {
    first: usize,
    second: usize,
    /// How much of the second there is in the mean, 0 to 1.
    share: f32,
}

impl Between {
    /// The mean of two values, weighted as the two neighbours are.
    fn of(&self, first: f32, second: f32) -> f32 {
        first * (1.0 - self.share) + second * self.share
    }

    /// The mean of the neighbours' values in `row`.
    fn at(&self, row: &[f32]) -> f32 {
        self.of(row[self.first], row[self.second])
    }
}

/// The places of a row of `to` values between those of a row of `from` values (torch's bilinear interpolation without
/// aligned corners).
fn interpolation(from: usize, to: usize) -> Vec<Between> {
    let scale = from as f32 / to as f32;
    let mut places = Vec::with_capacity(to);
    for index in 0..to {
        let place = ((index as f32 + 0.5) * scale - 0.5).max(0.0);
        let first = (place as usize).min(from - 1);
        places.push(Between { first, second: (first + 1).min(from - 1), share: place - first as f32 });
    }
    places
}

/// The standard deviation with n − 1, as torch's `std`.
fn standard_deviation(values: &[f32]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum();
    (squares / (count - 1.0)).sqrt()
}
