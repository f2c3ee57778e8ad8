//! Pillow's `Image.resize`.
//!
//! Written here, and not taken from a library, because pixel equality is the point: the weights, the order of sums, the
//! number format and the rounding are those of Pillow (`src/libImaging/Resample.c`).

use std::f64::consts::PI;
use std::ops::Range;

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

/// A part of one side, in source pixels; may have no length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Where it begins.
    pub from: f32,
    /// Where it ends.
    pub to: f32,
}

impl Part {
    /// All of a side of `length` pixels.
    pub fn whole(length: u32) -> Self {
        Self { from: 0.0, to: length as f32 }
    }
}

/// A part of an image, `columns` × `rows`, brought to a size.
pub fn resize_part<const C: usize>(
    source: &Image<C>,
    columns: Part,
    rows: Part,
    size: Size,
    filter: Filter,
) -> Image<C> {
    let narrowed = part_to_width(source, columns, size.0, filter);
    part_to_height(&narrowed, rows, size.1, filter)
}

/// The part of `size` that begins `at` = (columns, rows) of an image that is resized to `covering`, without making the rest.
///
/// # Panics
/// If it does not lie within `covering`.
pub fn resize_and_crop<const C: usize>(
    source: &Image<C>,
    covering: Size,
    size: Size,
    at: (u32, u32),
    filter: Filter,
) -> Image<C> {
    assert!(at.0 + size.0 <= covering.0 && at.1 + size.1 <= covering.1, "the part lies beyond the image");
    let columns = windows(source.width, Part::whole(source.width), covering.0, at.0..at.0 + size.0, filter);
    let mut rows = windows(source.height, Part::whole(source.height), covering.1, at.1..at.1 + size.1, filter);
    let first = rows.iter().map(|window| window.first).min().unwrap_or(0);
    let end = rows.iter().map(|window| window.first + window.weights.len()).max().unwrap_or(0);
    for window in &mut rows {
        window.first -= first;
    }
    let needed = source.crop((source.width, (end - first) as u32), (0, first as u32));
    down_columns(&along_rows(&needed, &columns), &rows)
}

/// An image of another size, each pixel the source pixel at its middle.
pub fn resize_nearest<const C: usize>(source: &Image<C>, size: Size) -> Image<C> {
    let columns = nearest(source.width, size.0);
    let rows = nearest(source.height, size.1);
    source.picked(&columns, &rows)
}

/// The source position of each target position along one side.
fn nearest(from: u32, to: u32) -> Vec<usize> {
    let scale = f64::from(from) / f64::from(to);
    // Pillow adds the scale up step by step.
    let mut at = scale * 0.5;
    let mut positions = Vec::with_capacity(to as usize);
    for _ in 0..to {
        positions.push((at as usize).min(from as usize - 1));
        at += scale;
    }
    positions
}

/// An image of another width.
pub fn resize_width<const C: usize>(source: &Image<C>, width: u32, filter: Filter) -> Image<C> {
    part_to_width(source, Part::whole(source.width), width, filter)
}

fn part_to_width<const C: usize>(source: &Image<C>, part: Part, width: u32, filter: Filter) -> Image<C> {
    if width == source.width && part == Part::whole(source.width) {
        return source.clone();
    }
    along_rows(source, &windows(source.width, part, width, 0..width, filter))
}

fn along_rows<const C: usize>(source: &Image<C>, windows: &[Window]) -> Image<C> {
    let stride = source.width as usize * C;
    let mut data = Vec::with_capacity(windows.len() * source.height as usize * C);
    for row in source.data.chunks_exact(stride) {
        for window in windows {
            for channel in 0..C {
                data.push(window.sum(|x| row[x * C + channel]));
            }
        }
    }
    Image { width: windows.len() as u32, height: source.height, data }
}

/// An image of another height.
pub fn resize_height<const C: usize>(source: &Image<C>, height: u32, filter: Filter) -> Image<C> {
    part_to_height(source, Part::whole(source.height), height, filter)
}

fn part_to_height<const C: usize>(source: &Image<C>, part: Part, height: u32, filter: Filter) -> Image<C> {
    if height == source.height && part == Part::whole(source.height) {
        return source.clone();
    }
    down_columns(source, &windows(source.height, part, height, 0..height, filter))
}

fn down_columns<const C: usize>(source: &Image<C>, windows: &[Window]) -> Image<C> {
    let stride = source.width as usize * C;
    let mut data = Vec::with_capacity(stride * windows.len());
    for window in windows {
        for x in 0..stride {
            data.push(window.sum(|y| source.data[y * stride + x]));
        }
    }
    Image { width: source.width, height: windows.len() as u32, data }
}

/// The source positions from `first` on that make one target position, with fixed-point weights.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

/// Bits after the point of Pillow's fixed-point weights.
const PRECISION: u32 = 32 - 8 - 2;

/// The windows of the `targets` among `to` target positions along one side.
fn windows(from: u32, part: Part, to: u32, targets: Range<u32>, filter: Filter) -> Vec<Window> {
    let scale = f64::from(part.to - part.from) / f64::from(to);
    let start = f64::from(part.from);
    targets.map(|target| Window::new(start + (f64::from(target) + 0.5) * scale, scale, from, filter)).collect()
}

impl Window {
    /// The window around `center` in a side of `from` pixels, `scale` of them for each target pixel.
    fn new(center: f64, scale: f64, from: u32, filter: Filter) -> Self {
        let stretch = scale.max(1.0);
        let support = filter.support() * stretch;
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(from as usize);
        let mut weights = Vec::with_capacity(end.saturating_sub(first));
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
