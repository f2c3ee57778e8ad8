//! Pillow's `GaussianBlur`: three box blurs along each side, whose box ends with a share of a pixel.
//!
//! The weights and the rounding are those of Pillow 9.5 (`src/libImaging/BoxBlur.c`); the size of the box is after
//! Gwosdek et al., "Theoretical foundations of Gaussian convolution by extended box filtering" (2011).

use crate::image::Image;

/// Box blurs along each side.
const PASSES: usize = 3;

/// A blurred image; `radius` is the standard deviation in pixels.
pub fn gaussian_blur<const C: usize>(image: &Image<C>, radius: f32) -> Image<C> {
    let width = Box::new(radius);
    let mut blurred = image.clone();
    let mut line = Vec::new();
    let columns = image.width as usize;
    let rows = image.height as usize;
    for row in 0..rows {
        for channel in 0..C {
            width.blur(&mut blurred.data, row * columns * C + channel, C, columns, &mut line);
        }
    }
    for start in 0..columns * C {
        width.blur(&mut blurred.data, start, columns * C, rows, &mut line);
    }
    blurred
}

/// A box that reaches whole pixels to each side, and a share of the next.
struct Box {
    reach: usize,
    /// Weight of a whole pixel, with 24 bits after the point.
    whole: u32,
    /// Weight of the last one on each side.
    last: u32,
}

impl Box {
    fn new(deviation: f32) -> Self {
        let variance = deviation * deviation / PASSES as f32;
        let length = (12.0 * f64::from(variance) + 1.0).sqrt() as f32;
        let reach = ((f64::from(length) - 1.0) / 2.0).floor() as f32;
        let mut share = (2.0 * reach + 1.0) * (reach * (reach + 1.0) - 3.0 * variance);
        share /= 6.0 * (variance - (reach + 1.0) * (reach + 1.0));
        let radius = reach + share;
        let reach = radius as usize;
        let whole = ((1 << 24) as f32 / (radius * 2.0 + 1.0)) as u32;
        let last = ((1 << 24) - (2 * reach as u32 + 1) * whole) / 2;
        Self { reach, whole, last }
    }

    /// Blurs one row or column in place, `length` values that are `stride` apart.
    fn blur(&self, data: &mut [u8], start: usize, stride: usize, length: usize, line: &mut Vec<u8>) {
        for _ in 0..PASSES {
            line.clear();
            line.extend(data[start..].iter().step_by(stride).take(length));
            let at = |position: isize| u32::from(line[position.clamp(0, length as isize - 1) as usize]);
            let reach = self.reach as isize;
            let mut sum: u32 = (-reach - 1..reach).map(at).sum();
            for position in 0..length as isize {
                sum = sum + at(position + reach) - at(position - reach - 1);
                let ends = at(position - reach - 1) + at(position + reach + 1);
                let blurred = sum * self.whole + ends * self.last;
                data[start + position as usize * stride] = ((blurred + (1 << 23)) >> 24) as u8;
            }
        }
    }
}
