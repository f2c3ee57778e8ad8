//! Pillow's `Image.resize`.
//!
//! Written here, and not taken from a library, because pixel equality is the point: the weights, the order of sums, the
//! number format and the rounding are those of Pillow (`src/libImaging/Resample.c`).

use std::f64::consts::PI;

use crate::image::Image;
use crate::size::Size;

/// How Pillow weighs the source around a target pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// The source pixels that the target pixel covers, alike.
    Box,
    /// A triangle.
    Bilinear,
    /// A cubic with a = -0.5.
    Bicubic,
    /// Three-lobed Lanczos.
    Lanczos,
}

/// An image of another size: first its width, then its height, with 8 bits in between (Pillow 9.5, as the web UI has it).
pub fn resize<const C: usize>(source: &Image<C>, size: Size, filter: Filter) -> Image<C> {
    resize_height(&resize_width(source, size.0, filter), size.1, filter)
}

/// An image of another width.
pub fn resize_width<const C: usize>(source: &Image<C>, width: u32, filter: Filter) -> Image<C> {
    if width == source.width {
        return source.clone();
    }
    let windows = windows(source.width, width, filter);
    let stride = source.width as usize * C;
    let mut data = Vec::with_capacity(windows.len() * source.height as usize * C);
    for row in source.data.chunks_exact(stride) {
        for window in &windows {
            for channel in 0..C {
                data.push(window.sum(|x| row[x * C + channel]));
            }
        }
    }
    Image { width, height: source.height, data }
}

/// An image of another height.
pub fn resize_height<const C: usize>(source: &Image<C>, height: u32, filter: Filter) -> Image<C> {
    if height == source.height {
        return source.clone();
    }
    let stride = source.width as usize * C;
    let mut data = Vec::with_capacity(stride * height as usize);
    for window in windows(source.height, height, filter) {
        for x in 0..stride {
            data.push(window.sum(|y| source.data[y * stride + x]));
        }
    }
    Image { width: source.width, height, data }
}

/// The source positions from `first` on that make one target position, with fixed-point weights.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

/// Bits after the point of Pillow's fixed-point weights.
const PRECISION: u32 = 32 - 8 - 2;

/// The windows of all target positions along one side.
fn windows(from: u32, to: u32, filter: Filter) -> Vec<Window> {
    let scale = f64::from(from) / f64::from(to);
    (0..to).map(|target| Window::new((f64::from(target) + 0.5) * scale, scale, from, filter)).collect()
}

impl Window {
    /// The window around `center` in a side of `from` pixels, `scale` of them for each target pixel.
    fn new(center: f64, scale: f64, from: u32, filter: Filter) -> Self {
        let stretch = scale.max(1.0);
        let support = filter.support() * stretch;
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(from as usize);
        let mut weights = Vec::with_capacity(end - first);
        for source in first..end {
            weights.push(filter.weight((source as f64 - center + 0.5) * (1.0 / stretch)));
        }
        let total: f64 = weights.iter().sum();
        let one = f64::from(1u32 << PRECISION);
        let fixed_point = weights.iter().map(|weight| (weight / total * one).round() as i32).collect();
        Self { first, weights: fixed_point }
    }

    /// Weighted sum of the values that `at` gives for each source position.
    fn sum(&self, at: impl Fn(usize) -> u8) -> u8 {
        let mut sum: i32 = 1 << (PRECISION - 1);
        for (source, weight) in (self.first..).zip(&self.weights) {
            sum = sum.wrapping_add(i32::from(at(source)) * weight);
        }
        (sum >> PRECISION).clamp(0, 255) as u8
    }
}

impl Filter {
    /// How far the filter reaches to each side of its middle, in pixels of the larger grid.
    fn support(self) -> f64 {
        match self {
            Self::Box => 0.5,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    /// The weight at a distance from the middle.
    fn weight(self, x: f64) -> f64 {
        match self {
            Self::Box => f64::from(x > -0.5 && x <= 0.5),
            Self::Bilinear => (1.0 - x.abs()).max(0.0),
            Self::Bicubic => cubic(x.abs()),
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
        }
    }
}

fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}
