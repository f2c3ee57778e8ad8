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
        channel.iter_mut().for_each(|value| *value += offset);
    }
}

/// The noise offset's strength for each channel of each sample of `latents`: `strength`, plus `adaptive` · |mean of the
/// channel| (`--adaptive_noise_scale`), and never below 0.
pub fn offset_strengths(latents: &[f32], plane: usize, strength: f64, adaptive: Option<f64>) -> Vec<f32> {
    let strength = strength as f32;
    let of = |channel: &[f32]| {
        let Some(scale) = adaptive else { return strength };
        let mean = channel.iter().sum::<f32>() / plane as f32;
        (strength + scale as f32 * mean.abs()).max(0.0)
    };
    latents.chunks_exact(plane).map(of).collect()
}

/// One level of multi-resolution noise.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// Rows and columns.
    pub size: [usize; 2],
    /// (B, C, rows, columns).
    pub values: Vec<f32>,
}

/// Draws the levels of multi-resolution noise for latents of `shape` [B, C, H, W] (`--multires_noise_iterations`):
/// sides of level i are 1 / r^i of the latents', r drawn anew from 2 to 4; one that is a single row or column is the
/// last.
pub fn draw_levels(shape: [usize; 4], iterations: u32, rng: &mut impl Rng) -> Vec<Level> {
    let [batch, channels, height, width] = shape;
    let mut levels = Vec::new();
    for iteration in 0..iterations {
        let shrink = rng.random_range(2.0..4.0_f64).powi(iteration as i32);
        let size = [height, width].map(|side| ((side as f64 / shrink) as usize).max(1));
        levels.push(Level { size, values: unit_normal(rng, batch * channels * size[0] * size[1]) });
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
pub fn add_multires_noise(noise: &mut [f32], shape: [usize; 4], levels: &[Level], discount: f64) {
    let [_, _, height, width] = shape;
    for (index, level) in levels.iter().enumerate() {
        let factor = discount.powi(index as i32) as f32;
        let [rows, columns] = level.size;
        let (down, across) = (weights(rows, height), weights(columns, width));
        for (plane, small) in noise.chunks_exact_mut(height * width).zip(level.values.chunks_exact(rows * columns)) {
            for (row, (top, bottom, v)) in plane.chunks_exact_mut(width).zip(&down) {
                for (value, (left, right, h)) in row.iter_mut().zip(&across) {
                    let along = |y: usize| small[y * columns + left] * (1.0 - h) + small[y * columns + right] * h;
                    *value += factor * (along(*top) * (1.0 - v) + along(*bottom) * v);
                }
            }
        }
    }
    let spread = standard_deviation(noise) as f32;
    noise.iter_mut().for_each(|value| *value /= spread);
}

/// For each of `to` places the two of `from` between which it lies and the share of the second (torch's bilinear
/// interpolation without aligned corners).
fn weights(from: usize, to: usize) -> Vec<(usize, usize, f32)> {
    let scale = from as f32 / to as f32;
    let weight = |place: usize| {
        let at = ((place as f32 + 0.5) * scale - 0.5).max(0.0);
        let first = (at as usize).min(from - 1);
        (first, (first + 1).min(from - 1), at - first as f32)
    };
    (0..to).map(weight).collect()
}

/// With n − 1, as torch's `std`.
fn standard_deviation(values: &[f32]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    (values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt()
}
