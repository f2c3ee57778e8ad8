//! `--face_crop_aug_range`: crops around the face that a file's name tells of.
//!
//! Source: sd-scripts `load_image_with_face_info` and `crop_target` (`library/train_util.py`); its tool
//! `detect_face_rotate.py` writes such names. The numbers are pixels of the whole image: `penny_256_200_90_110.png` has
//! a face of 90 × 110 around (256, 200). A name with other words there has no face here; sd-scripts stops at it.

use std::path::Path;

use rand::Rng;

use crate::paths::stem;
use crate::size::Size;

/// Where a face is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Face {
    /// Column and row of its middle.
    pub center: (u32, u32),
    /// Width and height.
    pub size: Size,
}

impl Face {
    /// The face that a file's name tells of: its last four parts between `_` are numbers, and something stands before.
    pub fn in_name(path: &Path) -> Option<Self> {
        let stem = stem(path);
        let parts: Vec<&str> = stem.rsplitn(5, '_').collect();
        let &[height, width, row, column, _] = parts.as_slice() else { return None };
        let face = Self { center: (pixels(column)?, pixels(row)?), size: (pixels(width)?, pixels(height)?) };
        // A middle in the first column is sd-scripts' way to say that there is no face.
        if face.center.0 == 0 || face.longer_side() == 0 {
            return None;
        }
        Some(face)
    }

    fn longer_side(self) -> u32 {
        self.size.0.max(self.size.1)
    }
}

/// A number of pixels in a file's name; `None` if it is too large for one, or no number.
fn pixels(text: &str) -> Option<u32> {
    let number = text.parse().ok()?;
    if number <= 1 << 16 { Some(number) } else { None }
}

/// How an image is brought to the training size around a face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaceCrop {
    /// Size after resizing, never larger than the image.
    pub resized: Size,
    /// Column and row of the resized image where the crop begins.
    pub at: (u32, u32),
}

/// What crops around a face follow from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaceFrame {
    /// The face.
    pub face: Face,
    /// Size of the image.
    pub image: Size,
    /// Size of the crop; no side is longer than the image's.
    pub target: Size,
    /// The shorter side of the crop is this many times the face's longer side, at least and at most.
    pub range: (f64, f64),
    /// Move the crop freely, around the face more often than not (`--random_crop`).
    pub anywhere: bool,
}

impl FaceFrame {
    /// The frame for crops of size `target`, if cropping can act: the image covers the target and is not already of that
    /// size. For `range` and `anywhere` see the fields of these names.
    pub fn new(face: Face, image: Size, target: Size, range: (f64, f64), anywhere: bool) -> Option<Self> {
        let covers = image.0 >= target.0 && image.1 >= target.1;
        if !covers || image == target {
            return None;
        }
        Some(Self { face, image, target, range, anywhere })
    }

    /// Smallest and largest scale that cropping may use.
    fn scales(&self) -> (f64, f64) {
        let shorter_side = f64::from(self.target.0.min(self.target.1));
        let face = f64::from(self.face.longer_side());
        let to_width = f64::from(self.target.0) / f64::from(self.image.0);
        let to_height = f64::from(self.target.1) / f64::from(self.image.1);
        let covering = to_height.max(to_width);
        let least = covering.max(shorter_side / (face * self.range.1)).min(1.0);
        let most = least.max(shorter_side / (face * self.range.0)).min(1.0);
        (least, most)
    }

    /// The crop of one use.
    pub fn draw(&self, rng: &mut impl Rng) -> FaceCrop {
        let (least, most) = self.scales();
        let scale = if least >= most { least } else { rng.random_range(least..=most) };
        let width = scaled(self.image.0, scale).max(self.target.0);
        let height = scaled(self.image.1, scale).max(self.target.1);
        let down = Side { target: self.target.1, image: height, face: scaled(self.face.center.1, scale) };
        let across = Side { target: self.target.0, image: width, face: scaled(self.face.center.0, scale) };
        // Rows are drawn before columns, as in sd-scripts.
        let row = self.begin(down, rng);
        let column = self.begin(across, rng);
        FaceCrop { resized: (width, height), at: (column, row) }
    }

    /// Where the crop begins along one side.
    fn begin(&self, side: Side, rng: &mut impl Rng) -> u32 {
        let target = i64::from(side.target);
        let image = i64::from(side.image);
        let center = i64::from(side.face);
        let face = i64::from(self.face.longer_side());
        let mut begin = center - target / 2;
        if self.anywhere {
            let reach = (image - center).max(center);
            begin += rng.random_range(0..=reach) + rng.random_range(0..=reach) - reach;
        } else if self.range.0 != self.range.1 {
            // The face is that of the image before scaling, here as there.
            let shorter_side = i64::from(self.target.0.min(self.target.1));
            if face > shorter_side / 10 && face >= 40 {
                begin += rng.random_range((-face).div_euclid(20)..=face / 20);
            }
        }
        begin.min(image - target).max(0) as u32
    }
}

/// One side of an image that is being cropped, in pixels after resizing.
struct Side {
    /// Length of the crop.
    target: u32,
    /// Length of the image.
    image: u32,
    /// Middle of the face.
    face: u32,
}

fn scaled(length: u32, scale: f64) -> u32 {
    (f64::from(length) * scale + 0.5) as u32
}
