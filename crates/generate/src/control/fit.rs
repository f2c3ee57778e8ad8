//! A control map brought to the painted size, with what it shows kept: colours of few, lines of one pixel.
//!
//! Source: sd-webui-controlnet 1.1.455 (`scripts/controlnet.py`).

use std::collections::HashSet;
use std::str::FromStr;

use lorabake_pixels::opencv::{self, otsu};
use lorabake_pixels::pillow::paste;
use lorabake_pixels::{Gray, Rgb, Size};

use super::enlarged;
use super::thin::{ridges, thinned};
use crate::inpaint::Region;
use crate::resize_mode::ResizeMode;

/// How a control image is brought to the painted size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ControlResize {
    /// `Just Resize`: squeezed.
    JustResize,
    /// `Crop and Resize`: covers the size, its middle kept.
    #[default]
    CropAndResize,
    /// `Resize and Fill`: fits in, the rest filled with the colour of its border.
    ResizeAndFill,
}

impl ControlResize {
    /// Its name in the web UI.
    pub fn label(self) -> &'static str {
        match self {
            Self::JustResize => "Just Resize",
            Self::CropAndResize => "Crop and Resize",
            Self::ResizeAndFill => "Resize and Fill",
        }
    }
}

impl FromStr for ControlResize {
    type Err = String;

    /// Reads `just_resize`, `crop_and_resize` or `resize_and_fill`, or the web UI's label, that of old versions too.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_lowercase().replace('_', " ").as_str() {
            "just resize" => Ok(Self::JustResize),
            "crop and resize" | "scale to fit (inner fit)" | "inner fit (scale to fit)" => Ok(Self::CropAndResize),
            "resize and fill" | "envelope (outer fit)" | "outer fit (shrink to fit)" => Ok(Self::ResizeAndFill),
            _ => Err(format!("there is no `{text}`; use just_resize, crop_and_resize or resize_and_fill")),
        }
    }
}

/// A map of the painted size.
///
/// # Errors
/// If its aspect is so extreme that it would take much memory on the way.
pub fn fitted(map: &Rgb, size: Size, mode: ControlResize) -> Result<Rgb, String> {
    let across = f64::from(size.0) / f64::from(map.width);
    let down = f64::from(size.1) / f64::from(map.height);
    let scaled = |side: u32, factor: f64| ((f64::from(side) * factor).round_ties_even() as u32).max(1);
    match mode {
        ControlResize::JustResize => resized(map, size),
        ControlResize::CropAndResize => {
            let factor = across.max(down);
            let covering = resized(map, (scaled(map.width, factor), scaled(map.height, factor)))?;
            let at = (covering.width.saturating_sub(size.0) / 2, covering.height.saturating_sub(size.1) / 2);
            Ok(covering.crop(size, at))
        }
        ControlResize::ResizeAndFill => {
            let factor = across.min(down);
            let mut filled = Rgb::filled(size, border_color(map));
            let fitting = resized(map, (scaled(map.width, factor), scaled(map.height, factor)))?;
            let at = (size.0.saturating_sub(fitting.width) / 2, size.1.saturating_sub(fitting.height) / 2);
            paste(&mut filled, &fitting, (at.0.into(), at.1.into()));
            Ok(filled)
        }
    }
}

/// A control image for the part of a picture that is painted ("only masked"): brought to the picture's size, then the same
/// part of it to the painted size.
pub fn cropped_as(image: &Rgb, picture: Size, part: Region, painted: Size, mode: ControlResize) -> Rgb {
    let mode = match mode {
        ControlResize::JustResize => ResizeMode::JustResize,
        ControlResize::CropAndResize => ResizeMode::CropAndResize,
        ControlResize::ResizeAndFill => ResizeMode::ResizeAndFill,
    };
    let cropped = mode.apply(image, picture).crop(part.size(), (part.left, part.top));
    ResizeMode::CropAndResize.apply(&cropped, painted)
}

/// The resolution that a preprocessor works at so that its map needs no resizing ("pixel perfect").
pub fn pixel_perfect_resolution(image: Size, painted: Size, mode: ControlResize) -> u32 {
    let across = f64::from(painted.0) / f64::from(image.0);
    let down = f64::from(painted.1) / f64::from(image.1);
    let factor = if mode == ControlResize::ResizeAndFill { across.min(down) } else { across.max(down) };
    (factor * f64::from(image.0.min(image.1))).round_ties_even() as u32
}

/// The median of the outermost pixels, channel by channel.
fn border_color(map: &Rgb) -> [u8; 3] {
    let columns = map.width as usize;
    let rows = map.height as usize;
    let mut border: Vec<usize> = (0..columns).chain((rows - 1) * columns..rows * columns).collect();
    for row in 0..rows {
        border.extend([row * columns, (row + 1) * columns - 1]);
    }
    std::array::from_fn(|channel| {
        let mut values: Vec<u8> = border.iter().map(|at| map.data[at * 3 + channel]).collect();
        values.sort_unstable();
        let middle = values.len() / 2;
        // Corners are counted twice and so is each row's begin: the number is even.
        ((u16::from(values[middle - 1]) + u16::from(values[middle])) / 2) as u8
    })
}

/// What a map shows, which decides how it is resized.
struct Content {
    /// Number of colours, counted up to 200.
    colors: usize,
    /// Two colours, black and white or nearly.
    is_binary: bool,
    /// Most of what is white is one pixel wide.
    is_thin: bool,
}

impl Content {
    fn of(map: &Rgb) -> Self {
        let mut colors = HashSet::new();
        for color in map.pixels() {
            colors.insert(*color);
            if colors.len() >= 200 {
                break;
            }
        }
        let darkest = map.data.iter().min().copied().unwrap_or(0);
        let brightest = map.data.iter().max().copied().unwrap_or(0);
        let is_binary = colors.len() == 2 && darkest < 16 && brightest > 240;
        Self { colors: colors.len(), is_binary, is_thin: is_binary && is_thin(map) }
    }
}

fn is_thin(map: &Rgb) -> bool {
    let opened = opencv::dilate(&opencv::erode(map));
    let thin = opened.data.iter().zip(&map.data).filter(|(open, value)| open < value).count();
    let all = map.data.iter().filter(|value| **value > 127).count();
    thin * 2 > all
}

fn resized(map: &Rgb, size: Size) -> Result<Rgb, String> {
    if map.size() == size {
        return Ok(map.clone());
    }
    let pixels = u64::from(size.0) * u64::from(size.1);
    let before = u64::from(map.width) * u64::from(map.height);
    enlarged::check(map.size(), [size.0, size.1].map(f64::from))?;
    let content = Content::of(map);
    let resized = if (3..200).contains(&content.colors) {
        opencv::nearest(map, size)
    } else if pixels < before {
        opencv::area(map, size)
    } else {
        opencv::cubic(map, size)
    };
    if !content.is_binary {
        return Ok(resized);
    }
    let grey: Gray = resized.map(|color| [(color.iter().map(|value| u16::from(*value)).sum::<u16>() / 3) as u8]);
    let binary = if content.is_thin { thinned(otsu(&ridges(&grey)), pixels > before) } else { otsu(&grey) };
    Ok(binary.map(|[value]| [value; 3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: [ControlResize; 3] =
        [ControlResize::JustResize, ControlResize::CropAndResize, ControlResize::ResizeAndFill];

    #[test]
    fn every_mode_gives_the_size_whatever_the_aspect() {
        for mode in MODES {
            for own in [(1, 1), (1, 40), (40, 1), (33, 57)] {
                for size in [(64, 64), (8, 128), (128, 8)] {
                    assert_eq!(fitted(&Rgb::filled(own, [3; 3]), size, mode).unwrap().size(), size);
                }
            }
        }
        let long = Rgb::filled((1, 1 << 20), [0; 3]);
        assert!(fitted(&long, (4096, 4096), ControlResize::CropAndResize).is_err());
    }

    #[test]
    fn a_line_of_one_pixel_stays_one_and_two_colours_stay_two() {
        let mut map = Rgb::filled((32, 32), [0; 3]);
        for y in 4..28 {
            map.data[(y * 32 + 16) * 3..][..3].fill(255);
        }
        let larger = fitted(&map, (96, 96), ControlResize::JustResize).unwrap();
        for row in larger.data.chunks_exact(96 * 3).skip(24).take(48) {
            assert_eq!(row.iter().filter(|value| **value == 255).count(), 3);
            assert_eq!(row.iter().filter(|value| **value == 0).count(), 95 * 3);
        }
    }

    #[test]
    fn the_border_gives_the_colour_that_fills() {
        let mut map = Rgb::filled((8, 8), [10, 20, 30]);
        map.data[..3].copy_from_slice(&[255; 3]);
        let filled = fitted(&map, (64, 16), ControlResize::ResizeAndFill).unwrap();
        assert_eq!(filled.data[..3], [10, 20, 30]);
        let part = Region { left: 2, top: 4, right: 6, bottom: 8 };
        let cropped = cropped_as(&map, (16, 16), part, (64, 64), ControlResize::JustResize);
        assert_eq!(cropped.size(), (64, 64));
        assert_eq!(pixel_perfect_resolution((100, 50), (512, 512), ControlResize::CropAndResize), 512);
        assert_eq!(pixel_perfect_resolution((100, 50), (512, 512), ControlResize::ResizeAndFill), 256);
    }
}
