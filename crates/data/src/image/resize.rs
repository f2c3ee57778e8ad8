//! The two resizers whose pixels sd-scripts trains on: OpenCV's `INTER_AREA` to shrink, Pillow's Lanczos to enlarge.
//!
//! Written here, and not taken from a library, because pixel equality with sd-scripts is the point: both reproduce the
//! weights, the order of sums, the number format and the rounding of the originals (OpenCV
//! `modules/imgproc/src/resize.cpp`, Pillow `src/libImaging/Resample.c`). Three channels of 8 bits only.

use super::rgb::Rgb;
use crate::size::Size;

const CHANNELS: usize = 3;

/// Resizes as sd-scripts does by default: area if no side grows, else Lanczos.
pub(super) fn resize(source: &Rgb, (width, height): Size) -> Rgb {
    if (source.width, source.height) == (width, height) {
        source.clone()
    } else if source.width >= width && source.height >= height {
        area(source, (width, height))
    } else {
        lanczos(source, (width, height))
    }
}

/// Mean over the source area of each target pixel.
fn area(source: &Rgb, (width, height): Size) -> Rgb {
    let scale = |from: u32, to: u32| 1.0 / (f64::from(to) / f64::from(from));
    let (x, y) = (scale(source.width, width), scale(source.height, height));
    let whole = |scale: f64| (scale - scale.round()).abs() < f64::EPSILON;
    if whole(x) && whole(y) {
        return blocks(source, (x.round() as usize, y.round() as usize), (width, height));
    }
    let columns = overlaps(source.width, width, x);
    let rows = overlaps(source.height, height, y);
    fractional(source, &columns, &rows, (width, height))
}

/// Area mean over whole blocks of `block` pixels: integer sums, one rounding.
fn blocks(source: &Rgb, block: (usize, usize), (width, height): Size) -> Rgb {
    let stride = source.width as usize * CHANNELS;
    let share = 1.0 / (block.0 * block.1) as f32;
    let mut data = Vec::with_capacity(width as usize * height as usize * CHANNELS);
    for y in 0..height as usize {
        for x in 0..width as usize {
            for c in 0..CHANNELS {
                let start = y * block.1 * stride + x * block.0 * CHANNELS + c;
                let row = |j: usize| (0..block.0).map(move |i| start + j * stride + i * CHANNELS);
                let sum: u32 = (0..block.1).flat_map(row).map(|at| u32::from(source.data[at])).sum();
                // OpenCV has a path of its own for 2 × 2, where one half rounds up instead of to even.
                data.push(if block == (2, 2) { ((sum + 2) >> 2) as u8 } else { to_u8(sum as f32 * share) });
            }
        }
    }
    Rgb { width, height, data }
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
    let mut list = Vec::new();
    for target in 0..to as usize {
        let begin = target as f64 * scale;
        let end = begin + scale;
        let covered = scale.min(from - begin);
        let last = end.floor().min(from - 1.0);
        let first = begin.ceil().min(last);
        let mut push = |source: f64, share: f64| {
            list.push(Overlap { target, source: source as usize, weight: (share / covered) as f32 })
        };
        if first - begin > NEGLIGIBLE {
            push(first - 1.0, first - begin);
        }
        for source in first as usize..last as usize {
            push(source as f64, 1.0);
        }
        if end - last > NEGLIGIBLE {
            push(last, (end - last).min(1.0).min(covered));
        }
    }
    list
}

/// Area mean with fractional borders: rows are shrunk first, then summed down, all in f32.
fn fractional(source: &Rgb, columns: &[Overlap], rows: &[Overlap], (width, height): Size) -> Rgb {
    let stride = source.width as usize * CHANNELS;
    let length = width as usize * CHANNELS;
    let mut data = Vec::with_capacity(length * height as usize);
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
    Rgb { width, height, data }
}

/// One half goes to the even neighbour, as the processor rounds.
fn to_u8(value: f32) -> u8 {
    value.round_ties_even() as u8
}

/// Bits after the point of Pillow's fixed-point weights.
const PRECISION: u32 = 32 - 8 - 2;

/// Three-lobed Lanczos, one side after the other, with 8 bits in between.
fn lanczos(source: &Rgb, (width, height): Size) -> Rgb {
    let across = |image: &Rgb| match width == image.width {
        true => image.clone(),
        false => columns(image, &windows(image.width, width)),
    };
    let down = |image: &Rgb| match height == image.height {
        true => image.clone(),
        false => rows(image, &windows(image.height, height)),
    };
    // Found by trial with Pillow 13: it saves work where the width grows and the height shrinks, and nowhere else.
    if width > source.width && height < source.height { across(&down(source)) } else { down(&across(source)) }
}

/// The source positions from `first` on that make one target position, with fixed-point weights.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

fn windows(from: u32, to: u32) -> Vec<Window> {
    const LOBES: f64 = 3.0;
    let scale = f64::from(from) / f64::from(to);
    let stretch = scale.max(1.0);
    let support = LOBES * stretch;
    let window = |target: u32| {
        let center = (f64::from(target) + 0.5) * scale;
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(from as usize);
        let at = |source: usize| kernel((source as f64 - center + 0.5) * (1.0 / stretch), LOBES);
        let weights: Vec<f64> = (first..end).map(at).collect();
        let total: f64 = weights.iter().sum();
        let fixed = |weight: f64| (weight / total * f64::from(1u32 << PRECISION)).round() as i32;
        Window { first, weights: weights.into_iter().map(fixed).collect() }
    };
    (0..to).map(window).collect()
}

fn kernel(x: f64, lobes: f64) -> f64 {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI) };
    if (-lobes..lobes).contains(&x) { sinc(x) * sinc(x / lobes) } else { 0.0 }
}

impl Window {
    /// Weighted sum of the values that `at` gives for each source position.
    fn sum(&self, at: impl Fn(usize) -> u8) -> u8 {
        let terms = self.weights.iter().enumerate().map(|(i, weight)| i32::from(at(self.first + i)) * weight);
        let sum = terms.fold(1 << (PRECISION - 1), i32::wrapping_add);
        (sum >> PRECISION).clamp(0, 255) as u8
    }
}

fn columns(source: &Rgb, windows: &[Window]) -> Rgb {
    let stride = source.width as usize * CHANNELS;
    let mut data = Vec::with_capacity(windows.len() * source.height as usize * CHANNELS);
    for row in source.data.chunks_exact(stride) {
        for window in windows {
            data.extend((0..CHANNELS).map(|c| window.sum(|x| row[x * CHANNELS + c])));
        }
    }
    Rgb { width: windows.len() as u32, height: source.height, data }
}

fn rows(source: &Rgb, windows: &[Window]) -> Rgb {
    let stride = source.width as usize * CHANNELS;
    let mut data = Vec::with_capacity(stride * windows.len());
    for window in windows {
        data.extend((0..stride).map(|x| window.sum(|y| source.data[y * stride + x])));
    }
    Rgb { width: source.width, height: windows.len() as u32, data }
}
