//! How a picture comes to the shape and the values that a tagger sees: stages on 8-bit pixels, then numbers.
//!
//! What each family's own program does is written as such stages (`family`), and `preprocess.json` has them by name, as
//! dghs-imgutils and animetimm read them. Pixels are those of OpenCV and of Pillow up to 12 (the width first,
//! as taggers were made with; Pillow 13 begins with the height in some cases), digit for digit.

use lorabake_pixels::pillow::{Filter, paste, resize, resize_nearest};
use lorabake_pixels::{Rgb, Rgba, Size, opencv};

/// A step on pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stage {
    /// Padded to a square, the picture in its middle; of an odd pixel, right and below have more.
    Square([u8; 3]),
    /// As large as fits into a size, the rest padded.
    Within {
        /// Width and height.
        size: Size,
        /// What is around the picture.
        color: [u8; 3],
        /// By which filter.
        by: Resampling,
        /// What becomes of parts of pixels.
        parts: Parts,
    },
    /// Squeezed or stretched to a size.
    To(Size, Resampling),
    /// The shorter side brought to so many pixels.
    ShorterSide(u32, Resampling),
    /// The middle, with black around it where the picture is smaller.
    Middle(Size),
}

/// A way to make a picture larger or smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resampling {
    /// Pillow's.
    Pillow(Filter),
    /// Pillow's nearest pixel.
    Nearest,
    /// As sd-scripts does: OpenCV's area where no side grows, else Pillow's Lanczos.
    Kohya,
}

/// What becomes of parts of pixels where a side is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// They are cut off.
    Cut,
    /// They are rounded, halves to the even number.
    Rounded,
}

/// How pixels become numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Numbers {
    /// Whether colours stay side by side (height, width, 3) or come plane after plane (3, height, width).
    pub layout: Layout,
    /// The order of colours.
    pub colors: Colors,
    /// What bytes are divided by.
    pub divisor: f32,
    /// What is subtracted then, in the order of colours.
    pub mean: [f32; 3],
    /// What the rest is divided by.
    pub std: [f32; 3],
}

/// Where colours stand among a picture's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Side by side: height × width × 3.
    ColorsLast,
    /// Plane after plane: 3 × height × width.
    ColorsFirst,
}

/// The order of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colors {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red, as OpenCV has them.
    Bgr,
}

impl Stage {
    /// The picture after this step.
    pub fn apply(self, picture: &Rgb) -> Rgb {
        match self {
            Self::Square(color) => {
                let side = picture.width.max(picture.height);
                padded(picture, (side, side), color)
            }
            Self::Within { size, color, by, parts } => {
                let across = f64::from(size.0) / f64::from(picture.width);
                let down = f64::from(size.1) / f64::from(picture.height);
                let scale = across.min(down);
                let side = |length: u32| {
                    let exact = f64::from(length) * scale;
                    let whole = if parts == Parts::Cut { exact } else { exact.round_ties_even() };
                    (whole as u32).max(1)
                };
                padded(&by.resize(picture, (side(picture.width), side(picture.height))), size, color)
            }
            Self::To(size, by) => by.resize(picture, size),
            Self::ShorterSide(side, by) => by.resize(picture, with_shorter_side(picture.size(), side)),
            Self::Middle(size) => middle(picture, size),
        }
    }

    /// The same step with another way to resize.
    pub fn with(self, by: Resampling) -> Self {
        match self {
            Self::Within { size, color, parts, .. } => Self::Within { size, color, by, parts },
            Self::To(size, _) => Self::To(size, by),
            Self::ShorterSide(side, _) => Self::ShorterSide(side, by),
            Self::Square(_) | Self::Middle(_) => self,
        }
    }
}

impl Resampling {
    /// The way of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "bicubic" => Self::Pillow(Filter::Bicubic),
            "bilinear" => Self::Pillow(Filter::Bilinear),
            "lanczos" => Self::Pillow(Filter::Lanczos),
            "box" => Self::Pillow(Filter::Box),
            "nearest" => Self::Nearest,
            "area" => Self::Kohya,
            _ => return None,
        })
    }

    fn resize(self, picture: &Rgb, size: Size) -> Rgb {
        if picture.size() == size {
            return picture.clone();
        }
        match self {
            Self::Pillow(filter) => resize(picture, size, filter),
            Self::Nearest => resize_nearest(picture, size),
            Self::Kohya if picture.width >= size.0 && picture.height >= size.1 => opencv::area(picture, size),
            Self::Kohya => resize(picture, size, Filter::Lanczos),
        }
    }
}

fn padded(picture: &Rgb, size: Size, color: [u8; 3]) -> Rgb {
    let mut around = Rgb::filled(size, color);
    let before = |outer: u32, inner: u32| i64::from(outer.saturating_sub(inner) / 2);
    paste(&mut around, picture, (before(size.0, picture.width), before(size.1, picture.height)));
    around
}

fn with_shorter_side(size: Size, side: u32) -> Size {
    // At most so long that a strip of one pixel's width does not take the memory.
    const LONGEST: u64 = 1 << 14;
    let other =
        |longer: u32, shorter: u32| (u64::from(side) * u64::from(longer) / u64::from(shorter)).min(LONGEST) as u32;
    if size.0 < size.1 { (side, other(size.1, size.0)) } else { (other(size.0, size.1), side) }
}

fn middle(picture: &Rgb, size: Size) -> Rgb {
    let larger = (picture.width.max(size.0), picture.height.max(size.1));
    let around = if larger == picture.size() { picture.clone() } else { padded(picture, larger, [0; 3]) };
    around.crop(size, ((around.width - size.0) / 2, (around.height - size.1) / 2))
}

impl Numbers {
    /// The numbers of a picture, row-major.
    pub fn of(&self, picture: &Rgb) -> Vec<f32> {
        let value = |pixel: &[u8; 3], place: usize| {
            let color = if self.colors == Colors::Bgr { 2 - place } else { place };
            (f32::from(pixel[color]) / self.divisor - self.mean[place]) / self.std[place]
        };
        let mut values = Vec::with_capacity(picture.data.len());
        match self.layout {
            Layout::ColorsLast => {
                for pixel in picture.pixels() {
                    values.extend([0, 1, 2].map(|place| value(pixel, place)));
                }
            }
            Layout::ColorsFirst => {
                for place in 0..3 {
                    values.extend(picture.pixels().map(|pixel| value(pixel, place)));
                }
            }
        }
        values
    }
}

/// A picture laid on one colour, as Pillow's `paste` with its alpha as mask.
pub fn on_color(picture: &Rgba, color: [u8; 3]) -> Rgb {
    picture.map(|[red, green, blue, alpha]| {
        let share = u32::from(alpha);
        let mut mixed = [red, green, blue];
        for (value, behind) in mixed.iter_mut().zip(color) {
            let sum = u32::from(*value) * share + u32::from(behind) * (255 - share) + 128;
            *value = (((sum >> 8) + sum) >> 8) as u8;
        }
        mixed
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_pixels_go_right_and_below() {
        let picture = Rgb::filled((1, 4), [9; 3]);
        let square = Stage::Square([255; 3]).apply(&picture);
        assert_eq!(square.size(), (4, 4));
        let row: Vec<u8> = square.pixels().take(4).map(|pixel| pixel[0]).collect();
        assert_eq!(row, [255, 9, 255, 255]);
        assert_eq!(Stage::Middle((2, 2)).apply(&picture).data, [[9; 3], [0; 3]].concat().repeat(2));
    }

    #[test]
    fn the_thinnest_pictures_are_prepared() {
        let by = Resampling::Pillow(Filter::Bicubic);
        for size in [(1, 1), (1, 5000), (5000, 1)] {
            let picture = Rgb::filled(size, [7; 3]);
            for stage in [
                Stage::Square([0; 3]),
                Stage::Within { size: (32, 32), color: [0; 3], by, parts: Parts::Cut },
                Stage::To((32, 32), by),
                Stage::ShorterSide(32, by),
                Stage::Middle((32, 32)),
            ] {
                assert_eq!(Stage::Middle((32, 32)).apply(&stage.apply(&picture)).size(), (32, 32));
            }
        }
    }

    #[test]
    fn colours_and_planes_are_where_they_belong() {
        let picture = Rgb { width: 2, height: 1, data: vec![1, 2, 3, 4, 5, 6] };
        let mut numbers =
            Numbers { layout: Layout::ColorsLast, colors: Colors::Bgr, divisor: 1.0, mean: [0.0; 3], std: [1.0; 3] };
        assert_eq!(numbers.of(&picture), [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
        numbers.layout = Layout::ColorsFirst;
        numbers.mean = [3.0, 0.0, 0.0];
        assert_eq!(numbers.of(&picture), [0.0, 3.0, 2.0, 5.0, 1.0, 4.0]);
    }

    #[test]
    fn what_is_seen_through_is_white() {
        let picture = Rgba { width: 3, height: 1, data: vec![0, 0, 0, 0, 10, 20, 30, 255, 0, 0, 0, 128] };
        assert_eq!(on_color(&picture, [255; 3]).data, [255, 255, 255, 10, 20, 30, 127, 127, 127]);
    }
}
