//! OpenCV's `GaussianBlur`, on 8 bits by its exact fixed-point way, and on f32.
//!
//! Source: OpenCV 4 (`modules/imgproc/src/smooth.dispatch.cpp`, `smooth.simd.hpp`): a kernel of 8 bits after the point
//! whose rounding errors are carried on to the next weight, 16 bits between rows and columns.

use super::border::seen;
use crate::image::Image;

/// A kernel along one side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kernel {
    /// Number of weights, odd.
    pub size: usize,
    /// Standard deviation in pixels.
    pub sigma: f64,
}

impl Kernel {
    /// The kernel that changes nothing.
    pub const NONE: Self = Self { size: 1, sigma: 1.0 };

    /// The kernel that OpenCV chooses for images of 8 bits when only sigma is given.
    pub fn of_u8(sigma: f64) -> Self {
        Self { size: (sigma * 3.0 * 2.0 + 1.0).round_ties_even() as usize | 1, sigma }
    }

    /// The kernel that OpenCV chooses for images of f32 when only sigma is given.
    pub fn of_f32(sigma: f64) -> Self {
        Self { size: (sigma * 4.0 * 2.0 + 1.0).round_ties_even() as usize | 1, sigma }
    }

    fn weights(self) -> Vec<f64> {
        let scale = -0.125 / (self.sigma * self.sigma);
        let half = self.size / 2;
        let mut weights = Vec::with_capacity(self.size);
        let mut sum = 0.0;
        for index in 0..half {
            let x = 2.0 * index as f64 + 1.0 - self.size as f64;
            let weight = (x * x * scale).exp();
            sum += weight;
            weights.push(weight);
        }
        sum = sum * 2.0 + 1.0;
        weights.push(1.0);
        weights.extend_from_within(..half);
        weights[half + 1..].reverse();
        let factor = 1.0 / sum;
        weights.iter().map(|weight| weight * factor).collect()
    }

    /// Weights with 8 bits after the point, the middle so that they sum up to one.
    fn fixed_point(self) -> Vec<u32> {
        let half = self.size / 2;
        let mut fixed = vec![0; self.size];
        let mut error = 0.0;
        let mut sum = 0;
        for (index, weight) in self.weights()[..half].iter().enumerate() {
            let wanted = weight * 256.0 + error;
            let rounded = wanted.round_ties_even();
            error = wanted - rounded;
            fixed[index] = rounded as u32;
            fixed[self.size - 1 - index] = rounded as u32;
            sum += rounded as u32;
        }
        fixed[half] = 256 - 2 * sum;
        fixed
    }
}

/// A blurred image, by kernels `x` along the rows and `y` along the columns.
pub fn gaussian_blur<const C: usize>(image: &Image<C>, x: Kernel, y: Kernel) -> Image<C> {
    let widths = x.fixed_point();
    let heights = y.fixed_point();
    let columns = image.width as usize;
    let rows = image.height as usize;
    let across = seen(columns, widths.len());
    let down = seen(rows, heights.len());
    let mut between = vec![0_u32; image.data.len()];
    for (source, target) in image.data.chunks_exact(columns * C).zip(between.chunks_exact_mut(columns * C)) {
        for column in 0..columns {
            for (weight, from) in widths.iter().zip(&across[column..]) {
                for channel in 0..C {
                    target[column * C + channel] += weight * u32::from(source[from * C + channel]);
                }
            }
        }
    }
    let mut data = Vec::with_capacity(image.data.len());
    let mut sums = vec![0_u32; columns * C];
    for row in 0..rows {
        sums.fill(1 << 15);
        for (weight, from) in heights.iter().zip(&down[row..]) {
            for (sum, value) in sums.iter_mut().zip(&between[from * columns * C..]) {
                *sum += weight * value;
            }
        }
        data.extend(sums.iter().map(|sum| (sum >> 16) as u8));
    }
    Image { data, ..*image }
}

/// A blurred image of f32, by one kernel along both sides.
pub fn gaussian_blur_f32<const C: usize>(image: &Image<C, f32>, kernel: Kernel) -> Image<C, f32> {
    let weights: Vec<f32> = kernel.weights().iter().map(|weight| *weight as f32).collect();
    let columns = image.width as usize;
    let rows = image.height as usize;
    let across = seen(columns, weights.len());
    let down = seen(rows, weights.len());
    let mut between = vec![0.0_f32; image.data.len()];
    for (source, target) in image.data.chunks_exact(columns * C).zip(between.chunks_exact_mut(columns * C)) {
        for column in 0..columns {
            for (weight, from) in weights.iter().zip(&across[column..]) {
                for channel in 0..C {
                    target[column * C + channel] += weight * source[from * C + channel];
                }
            }
        }
    }
    let mut data = vec![0.0_f32; image.data.len()];
    for (row, target) in data.chunks_exact_mut(columns * C).enumerate() {
        for (weight, from) in weights.iter().zip(&down[row..]) {
            for (sum, value) in target.iter_mut().zip(&between[from * columns * C..]) {
                *sum += weight * value;
            }
        }
    }
    Image { data, ..*image }
}
