//! Masks: read from a picture, inverted, blurred, brought to the latent's size.
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui 1.10 (`modules/processing.py`).

use lorabake_pixels::opencv::{self, Kernel};
use lorabake_pixels::pillow::{self, Filter};
use lorabake_pixels::{Gray, Rgba, Size};

/// The mask that a picture stands for: its alpha channel if any pixel is not opaque, else its grey. Alpha above 128 counts
/// as 255 and the rest as 0, unless `soft`.
pub fn read(picture: &Rgba, soft: bool) -> Gray {
    if picture.pixels().all(|pixel| pixel[3] == 255) {
        return pillow::gray(&pillow::without_alpha(picture));
    }
    picture.map(|[_, _, _, alpha]| {
        if soft {
            return [alpha];
        }
        [if alpha > 128 { 255 } else { 0 }]
    })
}

/// The mask blurred along the rows by a standard deviation of `x` pixels, along the columns by `y`; 0 leaves it as it is.
pub fn blurred(mask: &Gray, x: f64, y: f64) -> Gray {
    let mut mask = mask.clone();
    if x > 0.0 {
        mask = opencv::gaussian_blur(&mask, kernel(x), Kernel::NONE);
    }
    if y > 0.0 {
        mask = opencv::gaussian_blur(&mask, Kernel::NONE, kernel(y));
    }
    mask
}

fn kernel(sigma: f64) -> Kernel {
    Kernel { size: 2 * (2.5 * sigma + 0.5) as usize + 1, sigma }
}

/// The mask that tells how much of the original is seen over the result if the whole picture was painted: twice as strong.
pub fn for_overlay(mask: &Gray) -> Gray {
    mask.map(|[value]| [value.saturating_mul(2)])
}

/// The mask at the latent's size: 1 where it is painted, 0 where it is kept, in between only if `soft`. Rows from the top.
pub fn of_latent(mask: &Gray, latent: Size, soft: bool) -> Vec<f32> {
    let small = pillow::resize(mask, latent, Filter::Bicubic);
    let shares = small.data.iter().map(|value| f32::from(*value) / 255.0);
    if soft { shares.collect() } else { shares.map(f32::round_ties_even).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_the_alpha_channel_where_one_acts() {
        let drawn = Rgba { width: 3, height: 1, data: vec![9, 9, 9, 0, 9, 9, 9, 128, 9, 9, 9, 129] };
        assert_eq!(read(&drawn, false).data, [0, 0, 255]);
        assert_eq!(read(&drawn, true).data, [0, 128, 129]);
        let opaque = Rgba { width: 2, height: 1, data: vec![255, 255, 255, 255, 255, 0, 0, 255] };
        assert_eq!(read(&opaque, false).data, [255, 76]);
    }

    #[test]
    fn a_blur_wider_than_the_mask_is_a_mean() {
        let mut mask = Gray::filled((3, 1), [0]);
        mask.data[1] = 255;
        let blurred = blurred(&mask, 64.0, 64.0);
        assert!(blurred.data.iter().all(|value| (110..=145).contains(value)), "{:?}", blurred.data);
        assert_eq!(super::blurred(&mask, 0.0, -1.0), mask);
    }
}
