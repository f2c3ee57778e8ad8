//! Detectors of writing: PP-OCR's text detection (PaddleOCR, "Real-time Scene Text Detection with Differentiable
//! Binarization", Liao et al. 2020), whose network gives for each pixel how likely it belongs to a line of text.
//!
//! Boxes are upright here, which is enough to tell where writing is and how much of it; PaddleOCR turns them with the text.

use lorabake_onnx::{Network, Side, Values};
use lorabake_pixels::{Rgb, opencv};

use super::boxes::Detection;
use crate::error::Error;

/// The class of what is found.
pub(super) const CLASS: &str = "text";
/// The longer side of the picture as the network sees it, at most; sides are multiples of [`STEP`].
const LONGEST: u32 = 960;
const STEP: u32 = 32;
/// ImageNet's mean and spread of colours; the network is given blue first.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const SPREAD: [f32; 3] = [0.229, 0.224, 0.225];
/// A pixel belongs to text from here on, and a text is one if its pixels are so likely in the mean.
const PIXEL: f32 = 0.3;
const LEAST: f32 = 0.6;
/// Boxes are smaller than texts by so much of area by circumference.
const GROW: f32 = 1.5;
/// Smaller ones are specks.
const SMALLEST: usize = 3;

/// Whether a network is of this form: a picture of any size in, a map of one channel out.
pub(super) fn is_writing(network: &Network) -> bool {
    let ([input], [output]) = (network.inputs(), network.outputs()) else { return false };
    let takes_pictures = matches!(input.shape.as_deref(), Some([_, Side::Fixed(3), Side::Free, Side::Free]));
    takes_pictures && matches!(output.shape.as_deref(), Some([_, Side::Fixed(1) | Side::Free, Side::Free, Side::Free]))
}

/// The texts in a picture with more than this score.
///
/// # Errors
/// When the network cannot be computed, or gives something else.
pub(super) fn detect(network: &Network, picture: &Rgb, confidence: f32) -> Result<Vec<Detection>, Error> {
    let size = seen_size(picture.size());
    let seen = if picture.size() == size { picture.clone() } else { opencv::linear(picture, size) };
    let mut values = Vec::with_capacity(seen.data.len());
    for (place, color) in [2, 1, 0].into_iter().enumerate() {
        let all = seen.data.iter().skip(color).step_by(3);
        values.extend(all.map(|byte| (f32::from(*byte) / 255.0 - MEAN[place]) / SPREAD[place]));
    }
    let [width, height] = [size.0 as usize, size.1 as usize];
    let map = network.run(Values { shape: vec![1, 3, height, width], values }, 0)?;
    if map.shape != [1, 1, height, width] {
        return Err(Error::of(
            network.path(),
            "it gives no map of writing; name a YOLOv8 detector or PP-OCR's text detector",
        ));
    }
    let scale = [f64::from(picture.width) / f64::from(size.0), f64::from(picture.height) / f64::from(size.1)];
    let mut found = Vec::new();
    for text in texts(&map.values, width) {
        if text.score > confidence.max(LEAST) {
            let limit = [picture.width, picture.height];
            let mut sides = text.sides;
            for (index, side) in sides.iter_mut().enumerate() {
                *side = (f64::from(*side) * scale[index % 2]).clamp(0.0, f64::from(limit[index % 2])) as f32;
            }
            found.push(Detection { sides, score: text.score, class: 0 });
        }
    }
    found.sort_by(|one, other| other.score.total_cmp(&one.score));
    Ok(found)
}

/// The size at which a picture is looked at.
fn seen_size(size: (u32, u32)) -> (u32, u32) {
    let longer = size.0.max(size.1).max(1);
    let scale = f64::from(longer.min(LONGEST)) / f64::from(longer);
    let side = |side: u32| ((f64::from(side) * scale / f64::from(STEP)).round() as u32).max(1) * STEP;
    (side(size.0), side(size.1))
}

/// A text in the map.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Text {
    sides: [f32; 4],
    score: f32,
}

/// The texts of a map of this width: heaps of pixels that touch each other, with their boxes grown.
fn texts(map: &[f32], width: usize) -> Vec<Text> {
    let height = map.len() / width.max(1);
    let mut is_done = vec![false; map.len()];
    let mut list = Vec::new();
    let mut heap = Vec::new();
    for start in 0..map.len() {
        if is_done[start] || map[start] <= PIXEL {
            continue;
        }
        is_done[start] = true;
        heap.push(start);
        let mut bounds = [width, height, 0, 0];
        let mut sum = 0.0;
        let mut count = 0_usize;
        while let Some(at) = heap.pop() {
            let [x, y] = [at % width, at / width];
            bounds = [bounds[0].min(x), bounds[1].min(y), bounds[2].max(x + 1), bounds[3].max(y + 1)];
            sum += map[at];
            count += 1;
            for row in y.saturating_sub(1)..(y + 2).min(height) {
                for column in x.saturating_sub(1)..(x + 2).min(width) {
                    let beside = row * width + column;
                    if !is_done[beside] && map[beside] > PIXEL {
                        is_done[beside] = true;
                        heap.push(beside);
                    }
                }
            }
        }
        let [across, down] = [bounds[2] - bounds[0], bounds[3] - bounds[1]];
        if across >= SMALLEST && down >= SMALLEST {
            let grow = (across * down) as f32 * GROW / (2 * (across + down)) as f32;
            let [left, top, right, bottom] = bounds.map(|side| side as f32);
            let sides = [left - grow, top - grow, right + grow, bottom + grow];
            list.push(Text { sides, score: sum / count as f32 });
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heaps_of_likely_pixels_are_texts() {
        let width = 40;
        let mut map = vec![0.1_f32; width * 20];
        for y in 5..9 {
            for x in 10..30 {
                map[y * width + x] = 0.9;
            }
        }
        // A speck, and a faint line whose score stays low.
        map[15 * width + 2] = 0.9;
        for x in 4..30 {
            for y in 15..18 {
                map[y * width + x] = 0.4;
            }
        }
        let found = texts(&map, width);
        assert_eq!(found.len(), 2);
        let grow = 80.0 * 1.5 / 48.0;
        assert_eq!(found[0].sides, [10.0 - grow, 5.0 - grow, 30.0 + grow, 9.0 + grow]);
        assert!((found[0].score - 0.9).abs() < 1e-5 && (found[1].score - 0.4).abs() < 1e-5);
        assert!(texts(&[], 0).is_empty());
    }

    #[test]
    fn sides_are_multiples_and_not_too_long() {
        assert_eq!(seen_size((1200, 1600)), (736, 960));
        assert_eq!(seen_size((100, 3)), (96, 32));
        assert_eq!(seen_size((0, 0)), (32, 32));
    }
}
