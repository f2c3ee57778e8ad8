//! OpenCV's `erode`, `dilate` and hit-or-miss over 3 × 3, and Otsu's threshold. What lies beyond the edge counts for nothing.
//!
//! Source: OpenCV 4 (`modules/imgproc/src/morph.dispatch.cpp`, `thresh.cpp`).

use crate::image::{Gray, Image};

/// What is asked of a pixel and its neighbours, row by row.
pub type Pattern = [[Wanted; 3]; 3];

/// What is asked of one pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing.
    Any,
    /// It is 255.
    On,
    /// It is 0.
    Off,
}

/// The least value of each pixel and its neighbours.
pub fn erode<const C: usize>(image: &Image<C>) -> Image<C> {
    extreme(image, &[[true; 3]; 3], u8::min)
}

/// The largest value of each pixel and its neighbours.
pub fn dilate<const C: usize>(image: &Image<C>) -> Image<C> {
    extreme(image, &[[true; 3]; 3], u8::max)
}

/// The largest value of those of each pixel and its neighbours that `which` names.
pub fn dilate_by(image: &Gray, which: &[[bool; 3]; 3]) -> Gray {
    extreme(image, which, u8::max)
}

fn extreme<const C: usize>(image: &Image<C>, which: &[[bool; 3]; 3], choose: fn(u8, u8) -> u8) -> Image<C> {
    let columns = image.width as usize;
    let rows = image.height as usize;
    let mut data = image.data.clone();
    for y in 0..rows {
        for x in 0..columns {
            let mut chosen: Option<[u8; C]> = None;
            for (row, column) in neighbours(x, y, columns, rows) {
                if !which[row + 1 - y][column + 1 - x] {
                    continue;
                }
                let at = (row * columns + column) * C;
                let so_far = chosen.get_or_insert(std::array::from_fn(|channel| image.data[at + channel]));
                for (value, other) in so_far.iter_mut().zip(&image.data[at..]) {
                    *value = choose(*value, *other);
                }
            }
            if let Some(chosen) = chosen {
                data[(y * columns + x) * C..][..C].copy_from_slice(&chosen);
            }
        }
    }
    Image { data, ..*image }
}

/// Rows and columns of a pixel and of its neighbours within the image.
fn neighbours(x: usize, y: usize, columns: usize, rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let within = move |at: usize, length: usize| at.saturating_sub(1)..(at + 2).min(length);
    within(y, rows).flat_map(move |row| within(x, columns).map(move |column| (row, column)))
}

/// Sets to 0 all pixels whose surroundings are as the pattern wants them, all at once. Returns whether there were any.
pub fn remove_pattern(image: &mut Gray, pattern: &Pattern) -> bool {
    let columns = image.width as usize;
    let rows = image.height as usize;
    let mut hits = Vec::new();
    for y in 0..rows {
        for x in 0..columns {
            let is_hit = neighbours(x, y, columns, rows).all(|(row, column)| {
                let value = image.data[row * columns + column];
                match pattern[row + 1 - y][column + 1 - x] {
                    Wanted::Any => true,
                    Wanted::On => value == 255,
                    Wanted::Off => value == 0,
                }
            });
            if is_hit {
                hits.push(y * columns + x);
            }
        }
    }
    for at in &hits {
        image.data[*at] = 0;
    }
    !hits.is_empty()
}

/// 255 where the image is above the value that parts its values best by Otsu's rule, else 0.
pub fn otsu(image: &Gray) -> Gray {
    let limit = otsu_limit(image);
    image.map(|[value]| [if value > limit { 255 } else { 0 }])
}

fn otsu_limit(image: &Gray) -> u8 {
    let mut counts = [0_u64; 256];
    for value in &image.data {
        counts[usize::from(*value)] += 1;
    }
    let scale = 1.0 / image.data.len() as f64;
    let mut mean = 0.0;
    for (value, count) in (0..).zip(counts) {
        mean += f64::from(value) * count as f64;
    }
    mean *= scale;
    let mut lower_mean = 0.0;
    let mut lower = 0.0;
    let mut best = 0.0;
    let mut limit = 0;
    for (value, count) in (0..=255_u8).zip(counts) {
        let share = count as f64 * scale;
        lower_mean *= lower;
        lower += share;
        let upper = 1.0 - lower;
        if f64::min(lower, upper) < f64::from(f32::EPSILON) || f64::max(lower, upper) > 1.0 - f64::from(f32::EPSILON) {
            continue;
        }
        lower_mean = (lower_mean + f64::from(value) * share) / lower;
        let upper_mean = (mean - lower * lower_mean) / upper;
        let between = lower * upper * (lower_mean - upper_mean) * (lower_mean - upper_mean);
        if between > best {
            best = between;
            limit = value;
        }
    }
    limit
}
