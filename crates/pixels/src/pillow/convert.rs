//! Pillow's conversions between modes, and `ImageOps.invert`.
//!
//! The rounding is that of Pillow (`src/libImaging/Convert.c`).

use crate::image::{Gray, Rgb, Rgba};

/// Grey by the weights of ITU-R 601: Pillow's mode `L`.
pub fn gray(image: &Rgb) -> Gray {
    image.map(|[red, green, blue]| {
        let sum = u32::from(red) * 19595 + u32::from(green) * 38470 + u32::from(blue) * 7471;
        [((sum + 0x8000) >> 16) as u8]
    })
}

/// 255 minus each value.
pub fn inverted(image: &Gray) -> Gray {
    image.map(|[value]| [255 - value])
}

/// The image with an alpha of 255.
pub fn opaque(image: &Rgb) -> Rgba {
    image.map(|[red, green, blue]| [red, green, blue, 255])
}

/// The colours, whatever the alpha.
pub fn without_alpha(image: &Rgba) -> Rgb {
    image.map(|[red, green, blue, _]| [red, green, blue])
}

/// Colours times alpha: Pillow's mode `RGBa`.
pub fn premultiplied(image: &Rgba) -> Rgba {
    image.map(|[red, green, blue, alpha]| {
        let times = |value: u8| divided_by_255(u32::from(value) * u32::from(alpha));
        [times(red), times(green), times(blue), alpha]
    })
}

/// Premultiplied colours divided by alpha again: Pillow's mode `RGBA`.
pub fn straight(image: &Rgba) -> Rgba {
    image.map(|[red, green, blue, alpha]| {
        if alpha == 0 || alpha == 255 {
            return [red, green, blue, alpha];
        }
        let over = |value: u8| (255 * u32::from(value) / u32::from(alpha)).min(255) as u8;
        [over(red), over(green), over(blue), alpha]
    })
}

/// A product of two values of 8 bits as one value, rounded.
pub(super) fn divided_by_255(product: u32) -> u8 {
    let product = product + 128;
    (((product >> 8) + product) >> 8) as u8
}
