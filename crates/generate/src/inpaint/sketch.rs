//! Inpaint sketch: what was drawn over a picture is its mask, and the colours are where painting begins.
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui 1.10 (`modules/img2img.py`, the tab "Inpaint sketch").

use lorabake_pixels::pillow::{gaussian_blur, opaque, paste_masked, without_alpha};
use lorabake_pixels::{Gray, Rgb, Rgba, pillow};

/// A picture that was drawn upon, as inpainting takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sketched {
    /// The original with the drawing blended in.
    pub picture: Rgb,
    /// What was drawn upon: 255, less if the mask is transparent; 0 elsewhere.
    pub mask: Gray,
}

/// The picture that a file with a drawing stands for: drawings on a transparent layer are laid on the original.
///
/// # Panics
/// If the two differ in size.
pub fn on_original(original: &Rgb, drawn: &Rgba) -> Rgb {
    without_alpha(&pillow::alpha_composite(&opaque(original), drawn))
}

/// Finds what of `drawn` differs from `original`, and blends it in over an edge of `blur` pixels. A `transparency` from 0 to
/// 1 weakens the mask, and with it the drawing.
///
/// # Panics
/// If the two differ in size.
pub fn sketched(original: &Rgb, drawn: &Rgb, blur: f32, transparency: f32) -> Sketched {
    assert!(original.size() == drawn.size(), "sizes differ");
    let shade = (255.0 * (1.0 - transparency)) as u8;
    let pixels = original.pixels().zip(drawn.pixels());
    let data = pixels.map(|(own, new)| if own == new { 0 } else { shade }).collect();
    let mask = Gray { width: original.width, height: original.height, data };
    let mut picture = original.clone();
    paste_masked(&mut picture, &gaussian_blur(drawn, blur), &gaussian_blur(&mask, blur));
    Sketched { picture, mask }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_drawn_is_the_mask_and_its_colour_is_blended_in() {
        let original = Rgb::filled((5, 1), [100; 3]);
        let mut drawn = original.clone();
        drawn.data[6] = 200;
        let sharp = sketched(&original, &drawn, 0.0, 0.0);
        assert_eq!(sharp.mask.data, [0, 0, 255, 0, 0]);
        assert_eq!(sharp.picture, drawn);
        let faint = sketched(&original, &drawn, 0.0, 0.5);
        assert_eq!(faint.mask.data, [0, 0, 127, 0, 0]);
        assert_eq!(faint.picture.data[6..9], [150, 100, 100]);
        let unseen = sketched(&original, &drawn, 4.0, 1.0);
        assert_eq!(unseen.picture, original);
    }

    #[test]
    fn a_transparent_layer_is_a_drawing_too() {
        let original = Rgb::filled((2, 1), [10, 20, 30]);
        let layer = Rgba { width: 2, height: 1, data: vec![9, 9, 9, 0, 200, 0, 0, 255] };
        assert_eq!(on_original(&original, &layer).data, [10, 20, 30, 200, 0, 0]);
    }
}
