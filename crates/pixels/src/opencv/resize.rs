//! OpenCV's `resize` with `INTER_CUBIC`, `INTER_LINEAR` and `INTER_NEAREST`.
//!
//! Source: OpenCV 4.8 (`modules/imgproc/src/resize.cpp`). Cubic, a = -0.75, is as the packages for x86 do it: by
//! Intel's library in f32, which leaves narrow images to OpenCV's own weights of 11 bits. Ties may round otherwise.

use crate::image::Image;
use crate::size::Size;

/// Bits after the point of linear weights.
const WEIGHT_BITS: u32 = 11;

/// An image of another size, each pixel a cubic through 4 × 4 of the source.
pub fn cubic<const C: usize>(source: &Image<C>, size: Size) -> Image<C> {
    if source.size() == size {
        return source.clone();
    }
    let weights = if source.width.min(source.height) < NARROW { Weights::Fixed } else { Weights::Exact };
    let across = cubic_taps(source.width, size.0, weights);
    let down = cubic_taps(source.height, size.1, weights);
    let stride = source.width as usize * C;
    let mut narrowed = Vec::with_capacity(across.len() * C * source.height as usize);
    for row in source.data.chunks_exact(stride) {
        for taps in &across {
            for channel in 0..C {
                narrowed.push(taps.sum(|x| f32::from(row[x * C + channel])));
            }
        }
    }
    let length = across.len() * C;
    let mut data = Vec::with_capacity(length * down.len());
    for taps in &down {
        for x in 0..length {
            data.push(taps.sum(|y| narrowed[y * length + x]).round_ties_even() as u8);
        }
    }
    Image { width: size.0, height: size.1, data }
}

struct CubicTaps {
    sources: [usize; 4],
    weights: [f32; 4],
}

impl CubicTaps {
    fn sum(&self, at: impl Fn(usize) -> f32) -> f32 {
        let part = |tap: usize| at(self.sources[tap]) * self.weights[tap];
        part(0) + (part(1) + (part(2) + part(3)))
    }
}

/// A side of fewer pixels makes an image narrow.
const NARROW: u32 = 4;

/// How exact weights are.
#[derive(Clone, Copy, PartialEq)]
enum Weights {
    /// As f32.
    Exact,
    /// With 11 bits after the point.
    Fixed,
}

fn cubic_taps(from: u32, to: u32, exactness: Weights) -> Vec<CubicTaps> {
    let last = i64::from(from) - 1;
    let mut all = Vec::with_capacity(to as usize);
    for target in 0..to {
        let position = (f64::from(target) + 0.5) * f64::from(from) / f64::from(to) - 0.5;
        let first = position.floor() as i64 - 1;
        let share = position - position.floor();
        let mut weights = [1.0 + share, share, 1.0 - share, 2.0 - share].map(|distance| keys(distance) as f32);
        if exactness == Weights::Fixed {
            let one = (1 << WEIGHT_BITS) as f32;
            weights = weights.map(|weight| (weight * one).round_ties_even() / one);
        }
        all.push(CubicTaps { sources: [0, 1, 2, 3].map(|tap| (first + tap).clamp(0, last) as usize), weights });
    }
    all
}

/// The cubic of Keys at a distance of 0 to 2.
fn keys(x: f64) -> f64 {
    const A: f64 = -0.75;
    if x < 1.0 {
        (A + 2.0) * x * x * x - (A + 3.0) * x * x + 1.0
    } else {
        A * x * x * x - 5.0 * A * x * x + 8.0 * A * x - 4.0 * A
    }
}

/// An image of another size, each pixel between 2 × 2 of the source.
pub fn linear<const C: usize>(source: &Image<C>, size: Size) -> Image<C> {
    if source.size() == size {
        return source.clone();
    }
    let across = linear_taps(source.width, size.0, Edge::Kept);
    let down = linear_taps(source.height, size.1, Edge::Doubled);
    between(source, &across, &down)
}

/// What stands for `INTER_AREA` where a side grows: neighbours are blended only where a target pixel covers both.
pub(super) fn growing_area<const C: usize>(source: &Image<C>, size: Size) -> Image<C> {
    between(source, &area_taps(source.width, size.0), &area_taps(source.height, size.1))
}

struct LinearTaps {
    sources: [usize; 2],
    /// Sum up to 2048, or nearly.
    weights: [i32; 2],
}

impl LinearTaps {
    /// The position `first` and the one behind it, which counts by `share`.
    fn new(first: i64, share: f32, from: u32) -> Self {
        let last = i64::from(from) - 1;
        let one = (1 << WEIGHT_BITS) as f32;
        Self {
            sources: [first.clamp(0, last) as usize, (first + 1).clamp(0, last) as usize],
            weights: [1.0 - share, share].map(|weight| (weight * one).round_ties_even() as i32),
        }
    }
}

/// What lies beyond the outermost source pixels.
#[derive(Clone, Copy, PartialEq)]
enum Edge {
    /// The outermost one, taken as it is.
    Kept,
    /// The outermost one once more, blended with itself, which may round.
    Doubled,
}

fn linear_taps(from: u32, to: u32, edge: Edge) -> Vec<LinearTaps> {
    let scale = 1.0 / (f64::from(to) / f64::from(from));
    let mut all = Vec::with_capacity(to as usize);
    for target in 0..to {
        let position = ((f64::from(target) + 0.5) * scale - 0.5) as f32;
        let first = position.floor() as i64;
        let is_beyond = first < 0 || first >= i64::from(from) - 1;
        let share = if is_beyond && edge == Edge::Kept { 0.0 } else { position - position.floor() };
        all.push(LinearTaps::new(first, share, from));
    }
    all
}

fn area_taps(from: u32, to: u32) -> Vec<LinearTaps> {
    let inverse = f64::from(to) / f64::from(from);
    let mut all = Vec::with_capacity(to as usize);
    for target in 0..to {
        let first = (f64::from(target) * (1.0 / inverse)).floor() as i64;
        let position = (f64::from(target) + 1.0 - (first as f64 + 1.0) * inverse) as f32;
        let share = if position <= 0.0 { 0.0 } else { position - position.floor() };
        all.push(LinearTaps::new(first, share, from));
    }
    all
}

fn between<const C: usize>(source: &Image<C>, across: &[LinearTaps], down: &[LinearTaps]) -> Image<C> {
    let stride = source.width as usize * C;
    let length = across.len() * C;
    let mut narrowed = Vec::with_capacity(length * source.height as usize);
    for row in source.data.chunks_exact(stride) {
        for taps in across {
            for channel in 0..C {
                let value = |tap: usize| i32::from(row[taps.sources[tap] * C + channel]) * taps.weights[tap];
                narrowed.push(value(0) + value(1));
            }
        }
    }
    let mut data = Vec::with_capacity(length * down.len());
    for taps in down {
        for x in 0..length {
            let value = |tap: usize| (taps.weights[tap] * (narrowed[taps.sources[tap] * length + x] >> 4)) >> 16;
            data.push(((value(0) + value(1) + 2) >> 2).clamp(0, 255) as u8);
        }
    }
    Image { width: across.len() as u32, height: down.len() as u32, data }
}

/// An image of another size, each pixel the source pixel where it begins.
pub fn nearest<const C: usize>(source: &Image<C>, size: Size) -> Image<C> {
    let columns = nearest_sources(source.width, size.0);
    let rows = nearest_sources(source.height, size.1);
    source.picked(&columns, &rows)
}

fn nearest_sources(from: u32, to: u32) -> Vec<usize> {
    let scale = 1.0 / (f64::from(to) / f64::from(from));
    let last = from as usize - 1;
    (0..to).map(|target| ((f64::from(target) * scale).floor() as usize).min(last)).collect()
}
