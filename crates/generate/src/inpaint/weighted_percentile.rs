//! A mean of the values around each place that lie between two percentiles, nearer ones counting more.
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui 1.8 and later, soft inpainting.

use lorabake_pixels::Size;

/// Two percentiles, as shares of the weight around a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Where it begins, 0 to 1.
    pub from: f64,
    /// Where it ends, 0 to 1.
    pub to: f64,
}

/// Places to each side that count.
const REACH: usize = 2;
/// Standard deviation of the weights, times the root of two.
const RADIUS: f64 = 1.5;
/// The least weight of what is averaged.
const LEAST: f64 = 1.0;

/// The filtered image, rows from the top.
///
/// # Panics
/// If `image` is not of this size.
pub fn filter(image: &[f32], size: Size, window: Window) -> Vec<f32> {
    let columns = size.0 as usize;
    let rows = size.1 as usize;
    assert_eq!(image.len(), columns * rows, "sizes differ");
    let mut filtered = Vec::with_capacity(image.len());
    for y in 0..rows {
        for x in 0..columns {
            let mut around = Vec::new();
            for row in y.saturating_sub(REACH)..(y + REACH + 1).min(rows) {
                for column in x.saturating_sub(REACH)..(x + REACH + 1).min(columns) {
                    let weight = weight(column.abs_diff(x), row.abs_diff(y));
                    around.push(Weighted { value: image[row * columns + column], weight });
                }
            }
            filtered.push(mean_within(&mut around, window) as f32);
        }
    }
    filtered
}

struct Weighted {
    value: f32,
    weight: f64,
}

/// A Gaussian, lowered so that it would be 0 one place beyond its reach.
pub fn weight(columns: usize, rows: usize) -> f64 {
    let gaussian = |squared: usize| (-(squared as f64) / (RADIUS * RADIUS)).exp();
    let floor = gaussian((REACH + 1) * (REACH + 1));
    (gaussian(columns * columns + rows * rows) - floor) / (1.0 - floor)
}

fn mean_within(around: &mut [Weighted], window: Window) -> f64 {
    around.sort_by(|a, b| a.value.total_cmp(&b.value));
    let all: f64 = around.iter().map(|element| element.weight).sum();
    let mut from = all * window.from;
    let mut to = all * window.to;
    if to - from < LEAST {
        let middle = (from + to) / 2.0;
        from = middle - LEAST / 2.0;
        to = middle + LEAST / 2.0;
        if to > all {
            to = all;
            from = all - LEAST;
        }
        if from < 0.0 {
            from = 0.0;
            to = LEAST;
        }
    }
    let mut begin = 0.0;
    let mut sum = 0.0;
    let mut weights = 0.0;
    for element in around {
        let end = begin + element.weight;
        let within = (f64::min(end, to) - f64::max(begin, from)).max(0.0);
        sum += f64::from(element.value) * within;
        weights += within;
        begin = end;
    }
    sum / weights
}
