//! Upscalers that need no file: None, Lanczos, Nearest; and what is done around any upscaler.
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui (`modules/upscaler.py`, `images.py`).

use lorabake_pixels::pillow::{Filter, resize, resize_nearest};
use lorabake_pixels::{Rgb, Size};

/// An upscaler that needs no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resampler {
    /// The picture as it is; what is done around an upscaler then resizes it by Lanczos.
    None,
    /// Pillow's Lanczos.
    Lanczos,
    /// The pixel itself.
    Nearest,
}

impl Resampler {
    /// The upscaler of a name, whatever its case.
    pub fn of_name(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "none" => Some(Self::None),
            "lanczos" => Some(Self::Lanczos),
            "nearest" => Some(Self::Nearest),
            _ => None,
        }
    }

    /// The picture enlarged by `factor`: what [`upscaled`] and [`upscaled_to`] ask for.
    pub fn enlarge(self, picture: &Rgb, factor: f64) -> Rgb {
        let side = |side: u32| ((f64::from(side) * factor) as u32).max(1);
        let size = (side(picture.width), side(picture.height));
        match self {
            Self::None => picture.clone(),
            Self::Lanczos => resize(picture, size, Filter::Lanczos),
            Self::Nearest => resize_nearest(picture, size),
        }
    }
}

/// How often an upscaler is asked at most.
const ROUNDS: usize = 3;

/// The picture enlarged by `factor`, its sides cut to multiples of 8: `enlarge` is asked (with the factor) until the picture
/// is large enough, at most three times and only while it grows, then Lanczos brings it to the size.
///
/// # Errors
/// What `enlarge` returns.
pub fn upscaled<E>(picture: &Rgb, factor: f64, mut enlarge: impl FnMut(&Rgb, f64) -> Result<Rgb, E>) -> Result<Rgb, E> {
    let side = |side: u32| ((f64::from(side) * factor) as u32 / 8 * 8).max(8);
    let size = (side(picture.width), side(picture.height));
    let mut picture = picture.clone();
    for _ in 0..ROUNDS {
        if picture.width >= size.0 && picture.height >= size.1 {
            break;
        }
        let larger = enlarge(&picture, factor)?;
        let has_grown = larger.size() != picture.size();
        picture = larger;
        if !has_grown {
            break;
        }
    }
    Ok(resize(&picture, size, Filter::Lanczos))
}

/// The picture at exactly `size`: enlarged as by [`upscaled`] until it covers it, then brought to it by Lanczos. A picture
/// that covers it already is only resized.
///
/// # Errors
/// What `enlarge` returns.
pub fn upscaled_to<E>(picture: &Rgb, size: Size, enlarge: impl FnMut(&Rgb, f64) -> Result<Rgb, E>) -> Result<Rgb, E> {
    let across = f64::from(size.0) / f64::from(picture.width);
    let factor = across.max(f64::from(size.1) / f64::from(picture.height));
    if factor <= 1.0 {
        return Ok(resize(picture, size, Filter::Lanczos));
    }
    Ok(resize(&upscaled(picture, factor, enlarge)?, size, Filter::Lanczos))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn the_size_is_met_whatever_the_upscaler_does() {
        let picture = Rgb::filled((13, 9), [8; 3]);
        for name in ["None", "lanczos", "Nearest "] {
            let resampler = Resampler::of_name(name).unwrap();
            let enlarge = |picture: &Rgb, factor: f64| Ok::<_, Infallible>(resampler.enlarge(picture, factor));
            assert_eq!(upscaled(&picture, 2.0, enlarge).unwrap().size(), (24, 16));
            assert_eq!(upscaled_to(&picture, (31, 40), enlarge).unwrap().size(), (31, 40));
            assert_eq!(upscaled_to(&picture, (4, 4), enlarge).unwrap().size(), (4, 4));
        }
        assert_eq!(Resampler::of_name("R-ESRGAN 4x+"), None);
    }

    #[test]
    fn an_upscaler_is_asked_three_times_at_most() {
        let picture = Rgb::filled((8, 8), [8; 3]);
        let mut times = 0;
        let doubled = upscaled(&picture, 32.0, |picture, _| {
            times += 1;
            Ok::<_, Infallible>(resize_nearest(picture, (picture.width * 2, picture.height * 2)))
        });
        assert_eq!((doubled.unwrap().size(), times), ((256, 256), 3));
    }
}
