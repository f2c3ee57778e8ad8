//! How a picture is brought to another aspect: the resize modes of img2img, and of what is laid back after inpainting.
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui (`modules/images.py`).

use std::str::FromStr;

use lorabake_pixels::pillow::{Filter, Part, paste, resize, resize_and_crop, resize_part};
use lorabake_pixels::{Image, Size};

/// How a picture is brought to the size that is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResizeMode {
    /// Squeezed to the size.
    #[default]
    JustResize,
    /// Resized so that it covers the size, its middle kept.
    CropAndResize,
    /// Resized so that it fits into the size, its edges stretched to fill the rest.
    ResizeAndFill,
    /// Encoded in its own size, and the latent resized bilinearly; masks as in [`Self::ResizeAndFill`].
    Latent,
}

impl ResizeMode {
    /// The mode of this number in the web UI, 0 to 3.
    pub fn of_number(number: u8) -> Option<Self> {
        [Self::JustResize, Self::CropAndResize, Self::ResizeAndFill, Self::Latent].get(usize::from(number)).copied()
    }

    /// The image in another size, by Pillow's Lanczos.
    pub fn apply<const C: usize>(self, image: &Image<C>, size: Size) -> Image<C> {
        match self {
            Self::JustResize => resize(image, size, Filter::Lanczos),
            Self::CropAndResize => crop_and_resize(image, size),
            Self::ResizeAndFill | Self::Latent => resize_and_fill(image, size),
        }
    }
}

impl FromStr for ResizeMode {
    type Err = String;

    /// Reads `just_resize`, `crop_and_resize`, `resize_and_fill` or `latent`, or the web UI's label.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().replace('_', " ").as_str() {
            "just resize" => Ok(Self::JustResize),
            "crop and resize" => Ok(Self::CropAndResize),
            "resize and fill" => Ok(Self::ResizeAndFill),
            "latent" | "just resize (latent upscale)" => Ok(Self::Latent),
            _ => Err(format!("there is no `{text}`; use just_resize, crop_and_resize, resize_and_fill or latent")),
        }
    }
}

/// Whether `size` is wider than the image, lower, or of the same aspect.
fn compare_aspects(size: Size, image: Size) -> std::cmp::Ordering {
    let wanted = f64::from(size.0) / f64::from(size.1);
    let own = f64::from(image.0) / f64::from(image.1);
    wanted.total_cmp(&own)
}

/// The width that an image of size `of` has at `height`, one at least.
fn width_at(height: u32, of: Size) -> u32 {
    scaled(of.0, height, of.1)
}

/// The height that an image of size `of` has at `width`, one at least.
fn height_at(width: u32, of: Size) -> u32 {
    scaled(of.1, width, of.0)
}

fn scaled(side: u32, to: u32, from: u32) -> u32 {
    let scaled = u64::from(side) * u64::from(to) / u64::from(from);
    u32::try_from(scaled).unwrap_or(u32::MAX).max(1)
}

fn crop_and_resize<const C: usize>(image: &Image<C>, size: Size) -> Image<C> {
    let is_wider = compare_aspects(size, image.size()).is_gt();
    let covering =
        if is_wider { (size.0, height_at(size.0, image.size())) } else { (width_at(size.1, image.size()), size.1) };
    let at = middle(covering, size);
    // What is cut off is not made: with an extreme aspect there is much of it.
    resize_and_crop(image, covering, size, (at.0 as u32, at.1 as u32), Filter::Lanczos)
}

/// Where something of size `inner` begins that lies in the middle of `outer`.
fn middle(outer: Size, inner: Size) -> (i64, i64) {
    let start = |outer: u32, inner: u32| i64::from(outer / 2) - i64::from(inner / 2);
    (start(outer.0, inner.0), start(outer.1, inner.1))
}

fn resize_and_fill<const C: usize>(image: &Image<C>, size: Size) -> Image<C> {
    let order = compare_aspects(size, image.size());
    let fitting = (
        if order.is_lt() { size.0 } else { width_at(size.1, image.size()) },
        if order.is_lt() { height_at(size.0, image.size()) } else { size.1 },
    );
    let resized = resize(image, fitting, Filter::Lanczos);
    let mut result = Image::filled(size, [0; C]);
    let at = middle(size, fitting);
    paste(&mut result, &resized, at);
    // The edges are read as parts without length, which the bicubic filter makes of the outermost two rows or columns.
    if at.1 > 0 && order.is_lt() {
        let stretched = |edge: u32| {
            let edge = Part { from: edge as f32, to: edge as f32 };
            resize_part(&resized, Part::whole(fitting.0), edge, (size.0, at.1 as u32), Filter::Bicubic)
        };
        paste(&mut result, &stretched(0), (0, 0));
        paste(&mut result, &stretched(fitting.1), (0, at.1 + i64::from(fitting.1)));
    } else if at.0 > 0 && order.is_gt() {
        let stretched = |edge: u32| {
            let edge = Part { from: edge as f32, to: edge as f32 };
            resize_part(&resized, edge, Part::whole(fitting.1), (at.0 as u32, size.1), Filter::Bicubic)
        };
        paste(&mut result, &stretched(0), (0, 0));
        paste(&mut result, &stretched(fitting.0), (at.0 + i64::from(fitting.0), 0));
    }
    result
}

#[cfg(test)]
mod tests {
    use lorabake_pixels::Rgb;

    use super::*;

    #[test]
    fn every_mode_gives_the_size_whatever_the_aspect() {
        for number in 0..4 {
            let mode = ResizeMode::of_number(number).unwrap();
            for own in [(1, 1), (1, 500), (500, 1), (33, 57)] {
                for size in [(64, 64), (8, 512), (512, 8), (65, 63)] {
                    assert_eq!(mode.apply(&Rgb::filled(own, [3; 3]), size).size(), size);
                }
            }
        }
        assert_eq!(ResizeMode::of_number(4), None);
    }

    #[test]
    fn what_is_cropped_is_what_a_whole_resize_shows() {
        let data = (0..33 * 57 * 3).map(|at: u32| (at * 97 % 255) as u8).collect();
        let image = Rgb { width: 33, height: 57, data };
        for size in [(64, 64), (20, 64), (64, 20), (16, 9)] {
            let cropped = ResizeMode::CropAndResize.apply(&image, size);
            let is_wider = u64::from(size.0) * 57 > u64::from(size.1) * 33;
            let covering = if is_wider { (size.0, 57 * size.0 / 33) } else { (33 * size.1 / 57, size.1) };
            let at = (covering.0 / 2 - size.0 / 2, covering.1 / 2 - size.1 / 2);
            assert_eq!(cropped, resize(&image, covering, Filter::Lanczos).crop(size, at));
        }
    }

    #[test]
    fn a_long_picture_that_is_cropped_takes_no_memory() {
        // Covering 1024 × 1024 it would be 1024 × 67 million pixels.
        let long = Rgb::filled((1, 65536), [5; 3]);
        assert_eq!(ResizeMode::CropAndResize.apply(&long, (1024, 1024)), Rgb::filled((1024, 1024), [5; 3]));
    }
}
