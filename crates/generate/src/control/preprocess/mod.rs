//! Preprocessors: from an image to what a ControlNet was trained on. Those without a network.
//!
//! Each works at a resolution: the shorter side is brought to it, by cubics if it grows, else by areas; sides are filled up
//! to multiples of 64 with their edge, and cut again.
//!
//! Source: sd-webui-controlnet 1.1.455 (`scripts/processor.py`, `annotator/util.py`).

mod canny;
mod lineart_standard;
mod recolor;
mod resolution;
mod scribble_xdog;
mod simple;

use lorabake_pixels::{Gray, Rgb};

/// A preprocessor with its settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Preprocessor {
    /// The image as it is: a map already.
    None,
    /// Edges; see [`lorabake_pixels::opencv::canny`].
    Canny {
        /// The weaker threshold.
        low: f64,
        /// The stronger threshold.
        high: f64,
    },
    /// 255 minus each value.
    Invert,
    /// White where the darkest channel is above a limit.
    Threshold {
        /// The limit, 0 to 255.
        limit: f64,
    },
    /// The image, smaller.
    TileResample {
        /// By how much.
        rate: f64,
    },
    /// Strokes, by the difference of two blurs.
    ScribbleXdog {
        /// The strength from which on there is a stroke.
        threshold: f64,
    },
    /// The image, blurred.
    BlurGaussian {
        /// Standard deviation in pixels.
        sigma: f64,
    },
    /// Lines of a drawing, dark on light.
    LineartStandard,
    /// Brightness as L*a*b* tells it.
    RecolorLuminance {
        /// Gamma correction.
        gamma: f32,
    },
    /// Brightness as the largest channel.
    RecolorIntensity {
        /// Gamma correction.
        gamma: f32,
    },
}

impl Preprocessor {
    /// The preprocessor of a name of the web UI, with its two thresholds or their defaults.
    pub fn of_name(name: &str, a: Option<f64>, b: Option<f64>) -> Option<Self> {
        let short = name.split(" (").next().unwrap_or(name).trim();
        Some(match short.to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "canny" => Self::Canny { low: a.unwrap_or(100.0), high: b.unwrap_or(200.0) },
            "invert" => Self::Invert,
            "threshold" => Self::Threshold { limit: a.unwrap_or(127.0) },
            "tile_resample" => Self::TileResample { rate: a.unwrap_or(1.0) },
            "scribble_xdog" => Self::ScribbleXdog { threshold: a.unwrap_or(32.0) },
            "blur_gaussian" => Self::BlurGaussian { sigma: a.unwrap_or(9.0) },
            "lineart_standard" => Self::LineartStandard,
            "recolor_luminance" => Self::RecolorLuminance { gamma: a.unwrap_or(1.0) as f32 },
            "recolor_intensity" => Self::RecolorIntensity { gamma: a.unwrap_or(1.0) as f32 },
            _ => return None,
        })
    }

    /// The map of an image. Those that need no resolution keep the image's own.
    ///
    /// # Errors
    /// If the image's aspect is so extreme that it would take much memory on the way, or a blur is too wide.
    pub fn map(&self, image: &Rgb, resolution: u32) -> Result<Rgb, String> {
        match *self {
            Self::None => Ok(image.clone()),
            Self::Canny { low, high } => Ok(colored(&canny::map(image, resolution, low, high)?)),
            Self::Invert => Ok(simple::inverted(image)),
            Self::Threshold { limit } => simple::threshold(image, resolution, limit),
            Self::TileResample { rate } => Ok(simple::smaller(image, rate)),
            Self::ScribbleXdog { threshold } => scribble_xdog::map(image, resolution, threshold),
            Self::BlurGaussian { sigma } => simple::blurred(image, resolution, sigma),
            Self::LineartStandard => Ok(colored(&lineart_standard::map(image, resolution)?)),
            Self::RecolorLuminance { gamma } => Ok(recolor::luminance(image, gamma)),
            Self::RecolorIntensity { gamma } => Ok(recolor::intensity(image, gamma)),
        }
    }
}

fn colored(map: &Gray) -> Rgb {
    map.map(|[value]| [value; 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 10] = [
        "none",
        "canny",
        "invert (from white bg & black line)",
        "threshold",
        "tile_resample",
        "scribble_xdog",
        "blur_gaussian",
        "lineart_standard (from white bg & black line)",
        "recolor_luminance",
        "recolor_intensity",
    ];

    #[test]
    fn every_preprocessor_takes_a_single_pixel_and_odd_settings() {
        let pixel = Rgb::filled((1, 1), [200, 100, 0]);
        for name in NAMES {
            for a in [None, Some(-1.0), Some(0.0), Some(1e9), Some(f64::NAN)] {
                let preprocessor = Preprocessor::of_name(name, a, None).unwrap();
                let Ok(map) = preprocessor.map(&pixel, 64) else {
                    assert!(name == "blur_gaussian" && a == Some(1e9), "{name} {a:?}");
                    continue;
                };
                assert!(matches!(map.size(), (1, 1) | (64, 64)), "{name}: {:?}", map.size());
            }
        }
        assert_eq!(Preprocessor::of_name("openpose", None, None), None);
    }

    #[test]
    fn an_extreme_aspect_is_refused_before_it_takes_memory() {
        let long = Rgb::filled((1, 1 << 20), [0; 3]);
        let refused = Preprocessor::Canny { low: 100.0, high: 200.0 }.map(&long, 512).unwrap_err();
        assert!(refused.contains("crop it"), "{refused}");
    }
}
