//! Pillow's `paste` and `alpha_composite`.
//!
//! The rounding is that of Pillow (`src/libImaging/Paste.c` and `AlphaComposite.c`).

use super::convert::divided_by_255;
use crate::image::{Gray, Image, Rgb, Rgba};

/// Puts `top` over `base` with its left upper corner `at` (x, y); what lies outside of `base` is cut off.
pub fn paste<const C: usize>(base: &mut Image<C>, top: &Image<C>, at: (i64, i64)) {
    let first = (-at.0).clamp(0, i64::from(top.width));
    let end = (i64::from(base.width) - at.0).clamp(first, i64::from(top.width));
    let length = (end - first) as usize * C;
    for row in 0..i64::from(top.height) {
        let target_row = row + at.1;
        if length == 0 || target_row < 0 || target_row >= i64::from(base.height) {
            continue;
        }
        let source = (row * i64::from(top.width) + first) as usize * C;
        let target = (target_row * i64::from(base.width) + at.0 + first) as usize * C;
        base.data[target..][..length].copy_from_slice(&top.data[source..][..length]);
    }
}

/// Blends `top` over `base`: where the mask is 255 there is `top`, where it is 0 `base`. All channels are blended alike, an
/// alpha channel too.
///
/// # Panics
/// If the three differ in size.
pub fn paste_masked<const C: usize>(base: &mut Image<C>, top: &Image<C>, mask: &Gray) {
    assert!(base.size() == top.size() && base.size() == mask.size(), "sizes differ");
    let pixels = base.data.chunks_exact_mut(C).zip(top.data.chunks_exact(C)).zip(&mask.data);
    for ((below, above), share) in pixels {
        let share = u32::from(*share);
        for (value, new) in below.iter_mut().zip(above) {
            *value = divided_by_255(u32::from(*value) * (255 - share) + u32::from(*new) * share);
        }
    }
}

/// A picture over one colour, which is seen where the picture is transparent.
pub fn flattened(picture: &Rgba, color: [u8; 3]) -> Rgb {
    picture.map(|pixel| {
        let alpha = u32::from(pixel[3]);
        let mut flat = color;
        for (value, own) in flat.iter_mut().zip(pixel) {
            *value = divided_by_255(u32::from(*value) * (255 - alpha) + u32::from(own) * alpha);
        }
        flat
    })
}

/// `over` laid on `base`, both with straight alpha.
///
/// # Panics
/// If the two differ in size.
pub fn alpha_composite(base: &Rgba, over: &Rgba) -> Rgba {
    assert!(base.size() == over.size(), "sizes differ");
    let mut data = Vec::with_capacity(base.data.len());
    for (below, above) in base.pixels().zip(over.pixels()) {
        data.extend_from_slice(&laid_over(*below, *above));
    }
    Rgba { data, ..*base }
}

/// Bits after the point of the shares.
const PRECISION: u32 = 7;

fn laid_over(below: [u8; 4], above: [u8; 4]) -> [u8; 4] {
    if above[3] == 0 {
        return below;
    }
    let above_alpha = u32::from(above[3]);
    let alpha = above_alpha * 255 + u32::from(below[3]) * (255 - above_alpha);
    let share = above_alpha * 255 * 255 * (1 << PRECISION) / alpha;
    let rest = 255 * (1 << PRECISION) - share;
    let mut pixel = [0; 4];
    for channel in 0..3 {
        let sum = u32::from(above[channel]) * share + u32::from(below[channel]) * rest;
        pixel[channel] = (over_255(sum + (0x80 << PRECISION)) >> PRECISION) as u8;
    }
    pixel[3] = over_255(alpha + 0x80) as u8;
    pixel
}

fn over_255(value: u32) -> u32 {
    ((value >> 8) + value) >> 8
}
