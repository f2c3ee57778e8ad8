//! `invert`, `threshold`, `tile_resample`, `blur_gaussian`.

use lorabake_pixels::opencv::{self, Kernel};
use lorabake_pixels::{Rgb, Size};

use super::resolution::resized;

/// 255 minus each value.
pub(super) fn inverted(image: &Rgb) -> Rgb {
    image.map(|color| color.map(|value| 255 - value))
}

/// White where the darkest channel is above the limit, else black.
pub(super) fn threshold(image: &Rgb, resolution: u32, limit: f64) -> Result<Rgb, String> {
    let image = resized(image, resolution)?;
    Ok(image.map(|[red, green, blue]| {
        let darkest = red.min(green).min(blue);
        [if f64::from(darkest) > limit { 255 } else { 0 }; 3]
    }))
}

/// The image made smaller by a rate; rates below 1.1 leave it as it is.
pub(super) fn smaller(image: &Rgb, rate: f64) -> Rgb {
    if rate < 1.1 || rate.is_nan() {
        return image.clone();
    }
    let side = |side: u32| ((f64::from(side) / rate) as u32).max(1);
    let size: Size = (side(image.width), side(image.height));
    opencv::area(image, size)
}

/// The largest standard deviation of a blur, in pixels.
const MOST_SIGMA: f64 = 1024.0;

/// The image blurred by a standard deviation in pixels.
pub(super) fn blurred(image: &Rgb, resolution: u32, sigma: f64) -> Result<Rgb, String> {
    if sigma > MOST_SIGMA {
        return Err(format!("a blur of {sigma} pixels; use at most {MOST_SIGMA}"));
    }
    let image = resized(image, resolution)?;
    if sigma <= 0.0 || sigma.is_nan() {
        return Ok(image);
    }
    let kernel = Kernel::of_u8(sigma);
    Ok(opencv::gaussian_blur(&image, kernel, kernel))
}
