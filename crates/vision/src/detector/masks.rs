//! Masks of what was found: a few masks for the whole picture (prototypes), of which each box has its own mixture.
//!
//! Source: ultralytics' `process_mask` (Bolya et al. 2019, "YOLACT"). Unlike in ADetailer, which stretches the padded input
//! over the picture, the padding is cut off first.

use lorabake_pixels::pillow::{Filter, resize};
use lorabake_pixels::{Gray, Size};

use super::letterbox::Pixels;

/// The prototypes of a picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prototypes<'a> {
    /// count × height × width values.
    pub values: &'a [f32],
    pub count: usize,
    pub height: usize,
    pub width: usize,
}

impl Prototypes<'_> {
    /// The mask of one box, whose `sides` are those in the padded input `boxed`, at the size of `image`: 255 where it is.
    pub fn mask(&self, coefficients: &[f32], sides: [f32; 4], image: &Pixels, boxed: &Pixels) -> Gray {
        let plane = self.height * self.width;
        let across = self.width as f32 / boxed.width as f32;
        let down = self.height as f32 / boxed.height as f32;
        let [left, top, right, bottom] = sides;
        let [left, right] = [left * across, right * across];
        let [top, bottom] = [top * down, bottom * down];
        let mut logits = vec![0.0_f32; plane];
        for (at, logit) in logits.iter_mut().enumerate() {
            let x = (at % self.width) as f32;
            let y = (at / self.width) as f32;
            if x >= left && x < right && y >= top && y < bottom {
                for (index, share) in coefficients.iter().take(self.count).enumerate() {
                    *logit += share * self.values[index * plane + at];
                }
            }
        }
        let inner = inner_part(image, boxed);
        let mut data = Vec::with_capacity((inner.size.0 * inner.size.1) as usize);
        for y in 0..inner.size.1 {
            for x in 0..inner.size.0 {
                let exact = |place: u32, scale: f32| ((place as f32 + 0.5) * scale - 0.5).max(0.0);
                let value = self.between(&logits, exact(x + inner.at.0, across), exact(y + inner.at.1, down));
                data.push(if value > 0.0 { 255 } else { 0 });
            }
        }
        let mask = Gray { width: inner.size.0, height: inner.size.1, data };
        let size = (image.width as u32, image.height as u32);
        if mask.size() == size { mask } else { resize(&mask, size, Filter::Bicubic) }
    }

    /// A value between four of a plane.
    fn between(&self, plane: &[f32], x: f32, y: f32) -> f32 {
        let [column, row] = [x as usize, y as usize];
        let [share_x, share_y] = [x - column as f32, y - row as f32];
        let at = |row: usize, column: usize| plane[row.min(self.height - 1) * self.width + column.min(self.width - 1)];
        let above = at(row, column) * (1.0 - share_x) + at(row, column + 1) * share_x;
        let below = at(row + 1, column) * (1.0 - share_x) + at(row + 1, column + 1) * share_x;
        above * (1.0 - share_y) + below * share_y
    }
}

/// Where the picture lies in its padded form.
struct Inner {
    at: (u32, u32),
    size: Size,
}

fn inner_part(image: &Pixels, boxed: &Pixels) -> Inner {
    let share = (boxed.width as f64 / image.width as f64).min(boxed.height as f64 / image.height as f64);
    let side = |length: usize| ((length as f64 * share).round_ties_even() as u32).max(1);
    let size = (side(image.width).min(boxed.width as u32), side(image.height).min(boxed.height as u32));
    let before =
        |outer: usize, inner: u32| ((outer as f64 - f64::from(inner)) / 2.0 - 0.1).round_ties_even().max(0.0) as u32;
    Inner { at: (before(boxed.width, size.0), before(boxed.height, size.1)), size }
}
