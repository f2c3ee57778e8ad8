//! `recolor_luminance`, `recolor_intensity`: the brightness of an image, which then gets new colours.

use lorabake_pixels::{Rgb, opencv};

/// L of L*a*b*. sd-webui-controlnet takes red for blue there, which its networks' users are used to.
pub(super) fn luminance(image: &Rgb, gamma: f32) -> Rgb {
    let swapped = image.map(|[red, green, blue]| [blue, green, red]);
    opencv::rgb_to_lab(&swapped).map(|[lightness, _, _]| [corrected(lightness, gamma); 3])
}

/// The largest channel.
pub(super) fn intensity(image: &Rgb, gamma: f32) -> Rgb {
    image.map(|[red, green, blue]| [corrected(red.max(green).max(blue), gamma); 3])
}

fn corrected(value: u8, gamma: f32) -> u8 {
    let bright = f64::from(f32::from(value) / 255.0).powf(f64::from(gamma)) as f32;
    (bright * 255.0).clamp(0.0, 255.0) as u8
}
