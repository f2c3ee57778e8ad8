//! The blend mode "luminosity": the colours of one image with the brightness of another.
//!
//! Source: "Compositing and Blending Level 1" (W3C), in the steps and the rounding of blendmodes 2022.

use crate::image::{Image, Rgb};

/// `colors` with the brightness of `brightness`.
///
/// # Panics
/// If the two differ in size.
pub fn with_luminosity(colors: &Rgb, brightness: &Rgb) -> Rgb {
    assert!(colors.size() == brightness.size(), "sizes differ");
    let mut data = Vec::with_capacity(colors.data.len());
    for (color, other) in colors.pixels().zip(brightness.pixels()) {
        let wanted = luminosity(other.map(|value| f64::from(value) / 255.0));
        let blended = shifted(color.map(|value| f64::from(value) / 255.0), wanted);
        data.extend(blended.map(|value| (value.clamp(0.0, 1.0) * 255.0) as u8));
    }
    Image { data, ..*colors }
}

/// A colour with another luminosity, brought back towards grey where it leaves 0 to 1.
fn shifted(color: [f64; 3], wanted: f64) -> [f64; 3] {
    let change = wanted - luminosity(color);
    let mut color = color.map(|value| value + change);
    let grey = luminosity(color);
    let lowest = color.into_iter().fold(f64::INFINITY, f64::min);
    let highest = color.into_iter().fold(f64::NEG_INFINITY, f64::max);
    if lowest < 0.0 {
        color = color.map(|value| grey + (value - grey) * grey / (grey - lowest));
    }
    if highest > 1.0 {
        color = color.map(|value| grey + (value - grey) * (1.0 - grey) / (highest - grey));
    }
    color
}

fn luminosity(color: [f64; 3]) -> f64 {
    color[0] * 0.299 + color[1] * 0.587 + color[2] * 0.114
}
