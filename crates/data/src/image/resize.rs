//! The two resizers whose pixels sd-scripts trains on: OpenCV's `INTER_AREA` to shrink, Pillow's Lanczos to enlarge.
//!
//! Written here, and not taken from a library, because pixel equality with sd-scripts is the point: both reproduce the
//! weights, the order of sums, the number format and the rounding of the originals (OpenCV
//! `modules/imgproc/src/resize.cpp`, Pillow `src/libImaging/Resample.c`). Three channels of 8 bits only.

use std::f64::consts::PI;

use super::rgb::Rgb;
use crate::size::Size;

const CHANNELS: usize = 3;

/// Resizes as sd-scripts does by default: area if no side grows, else Lanczos.
pub(super) fn resize(source: &Rgb, size: Size) -> Rgb {
    if (source.width, source.height) == size {
        source.clone()
    } else if source.width >= size.0 && source.height >= size.1 {
        area(source, size)
    } else {
        lanczos(source, size)
    }
}

/// Mean over the source area of each target pixel.
fn area(source: &Rgb, size: Size) -> Rgb {
    let x_scale = area_scale(source.width, size.0);
    let y_scale = area_scale(source.height, size.1);
    if is_whole(x_scale) && is_whole(y_scale) {
        let block = Block { width: x_scale.round() as usize, height: y_scale.round() as usize };
        return block_means(source, &block, size);
    }
    let columns = overlaps(source.width, size.0, x_scale);
    let rows = overlaps(source.height, size.1, y_scale);
    fractional(source, &columns, &rows, size)
}

/// Source pixels per target pixel, by OpenCV's two divisions.
fn area_scale(from: u32, to: u32) -> f64 {
    1.0 / (f64::from(to) / f64::from(from))
}

fn is_whole(scale: f64) -> bool {
    (scale - scale.round()).abs() < f64::EPSILON
}

/// The source pixels of one target pixel, where they are a whole number along each side.
struct Block {
    width: usize,
    height: usize,
}

/// Area mean over whole blocks: integer sums, one rounding.
fn block_means(source: &Rgb, block: &Block, size: Size) -> Rgb {
    let stride = source.width as usize * CHANNELS;
    let share = 1.0 / (block.width * block.height) as f32;
    let mut data = Vec::with_capacity(size.0 as usize * size.1 as usize * CHANNELS);
    for y in 0..size.1 as usize {
        let rows = &source.data[y * block.height * stride..][..block.height * stride];
        for x in 0..size.0 as usize {
            for channel in 0..CHANNELS {
                let mut sum = 0;
                for row in rows.chunks_exact(stride) {
                    for column in x * block.width..(x + 1) * block.width {
                        sum += u32::from(row[column * CHANNELS + channel]);
                    }
                }
                // OpenCV has a path of its own for 2 × 2, where one half rounds up instead of to even.
                let is_two_by_two = block.width == 2 && block.height == 2;
                data.push(if is_two_by_two { ((sum + 2) >> 2) as u8 } else { to_u8(sum as f32 * share) });
            }
        }
    }
    Rgb { width: size.0, height: size.1, data }
}

/// A source position that contributes to a target position.
struct Overlap {
    target: usize,
    source: usize,
    weight: f32,
}

/// Which source pixels a target pixel covers along one side, and how much of each; ordered by target.
fn overlaps(from: u32, to: u32, scale: f64) -> Vec<Overlap> {
    const NEGLIGIBLE: f64 = 1e-3;
    let from = f64::from(from);
    let mut overlaps = Vec::new();
    for target in 0..to as usize {
        let begin = target as f64 * scale;
        let end = begin + scale;
        let covered = scale.min(from - begin);
        let last = end.floor().min(from - 1.0);
        let first = begin.ceil().min(last);
        if first - begin > NEGLIGIBLE {
            let weight = ((first - begin) / covered) as f32;
            overlaps.push(Overlap { target, source: (first - 1.0) as usize, weight });
        }
        for source in first as usize..last as usize {
            overlaps.push(Overlap { target, source, weight: (1.0 / covered) as f32 });
        }
        if end - last > NEGLIGIBLE {
            let weight = ((end - last).min(1.0).min(covered) / covered) as f32;
            overlaps.push(Overlap { target, source: last as usize, weight });
        }
    }
    overlaps
}

/// Area mean with fractional borders: rows are shrunk first, then summed down, all in f32.
fn fractional(source: &Rgb, columns: &[Overlap], rows: &[Overlap], size: Size) -> Rgb {
    let stride = source.width as usize * CHANNELS;
    let length = size.0 as usize * CHANNELS;
    let mut data = Vec::with_capacity(length * size.1 as usize);
    let mut line = vec![0f32; length];
    let mut sums = vec![0f32; length];
    for (i, row) in rows.iter().enumerate() {
        line.fill(0.0);
        let pixels = &source.data[row.source * stride..][..stride];
        for column in columns {
            let target = &mut line[column.target * CHANNELS..][..CHANNELS];
            let pixel = &pixels[column.source * CHANNELS..][..CHANNELS];
            for (sum, value) in target.iter_mut().zip(pixel) {
                *sum += f32::from(*value) * column.weight;
            }
        }
        let begins = i == 0 || rows[i - 1].target != row.target;
        for (sum, value) in sums.iter_mut().zip(&line) {
            *sum = if begins { row.weight * value } else { *sum + row.weight * value };
        }
        if rows.get(i + 1).is_none_or(|next| next.target != row.target) {
            data.extend(sums.iter().map(|sum| to_u8(*sum)));
        }
    }
    Rgb { width: size.0, height: size.1, data }
}

/// One half goes to the even neighbour, as the processor rounds.
fn to_u8(value: f32) -> u8 {
    value.round_ties_even() as u8
}

/// Three-lobed Lanczos, one side after the other, with 8 bits in between.
fn lanczos(source: &Rgb, size: Size) -> Rgb {
    // Found by trial with Pillow 13: it saves work where the width grows and the height shrinks, and nowhere else.
    if size.0 > source.width && size.1 < source.height {
        to_width(&to_height(source, size.1), size.0)
    } else {
        to_height(&to_width(source, size.0), size.1)
    }
}

/// An image with another width, by Lanczos.
fn to_width(source: &Rgb, width: u32) -> Rgb {
    if width == source.width {
        return source.clone();
    }
    let windows = windows(source.width, width);
    let stride = source.width as usize * CHANNELS;
    let mut data = Vec::with_capacity(windows.len() * source.height as usize * CHANNELS);
    for row in source.data.chunks_exact(stride) {
        for window in &windows {
            for channel in 0..CHANNELS {
                data.push(window.sum(|x| row[x * CHANNELS + channel]));
            }
        }
    }
    Rgb { width, height: source.height, data }
}

/// An image with another height, by Lanczos.
fn to_height(source: &Rgb, height: u32) -> Rgb {
    if height == source.height {
        return source.clone();
    }
    let stride = source.width as usize * CHANNELS;
    let mut data = Vec::with_capacity(stride * height as usize);
    for window in windows(source.height, height) {
        for x in 0..stride {
            data.push(window.sum(|y| source.data[y * stride + x]));
        }
    }
    Rgb { width: source.width, height, data }
}

/// The source positions from `first` on that make one target position, with fixed-point weights.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

/// Bits after the point of Pillow's fixed-point weights.
const PRECISION: u32 = 32 - 8 - 2;
/// Zero crossings of the kernel to each side of its middle.
const LOBES: f64 = 3.0;

/// The windows of all target positions along one side.
fn windows(from: u32, to: u32) -> Vec<Window> {
    let scale = f64::from(from) / f64::from(to);
    (0..to).map(|target| Window::new(target, scale, from)).collect()
}

impl Window {
    /// The window of a target position in a side of `from` pixels, `scale` of them for each target pixel.
    fn new(target: u32, scale: f64, from: u32) -> Self {
        let stretch = scale.max(1.0);
        let support = LOBES * stretch;
        let center = (f64::from(target) + 0.5) * scale;
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(from as usize);
        let mut weights = Vec::with_capacity(end - first);
        for source in first..end {
            weights.push(lanczos_kernel((source as f64 - center + 0.5) * (1.0 / stretch)));
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

fn lanczos_kernel(x: f64) -> f64 {
    if (-LOBES..LOBES).contains(&x) { sinc(x) * sinc(x / LOBES) } else { 0.0 }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}
