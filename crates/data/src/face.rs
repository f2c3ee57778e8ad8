//! `--face_crop_aug_range`: crops around the face that a file's name tells of.
//!
//! Source: sd-scripts `load_image_with_face_info` and `crop_target` (`library/train_util.py`); its tool
//! `detect_face_rotate.py` writes such names. The numbers are pixels of the whole image: `penny_256_200_90_110.png` has
//! a face of 90 × 110 around (256, 200). A name with other words there has no face here; sd-scripts stops at it.

use std::path::Path;

use rand::Rng;

use crate::problem::Size;
use crate::scan::name;

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
        let stem = name(&path.with_extension(""));
        let parts: Vec<&str> = stem.rsplitn(5, '_').collect();
        let &[height, width, row, column, _] = parts.as_slice() else { return None };
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number <= 1 << 16);
        let face = Self { center: (number(column)?, number(row)?), size: (number(width)?, number(height)?) };
        // A middle in the first column is sd-scripts' way to say that there is no face.
        (face.center.0 > 0 && face.size.0.max(face.size.1) > 0).then_some(face)
    }

    fn longer_side(self) -> u32 {
        self.size.0.max(self.size.1)
    }
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
    /// The frame, if cropping can act: the image covers the target and is not already of that size.
    pub fn new(face: Face, (image, target): (Size, Size), range: (f64, f64), anywhere: bool) -> Option<Self> {
        let covers = image.0 >= target.0 && image.1 >= target.1 && image != target;
        covers.then_some(Self { face, image, target, range, anywhere })
    }

    /// Smallest and largest scale that cropping may use.
    fn scales(&self) -> (f64, f64) {
        let (image, target) = (self.image, self.target);
        let side = f64::from(target.0.min(target.1));
        let face = f64::from(self.face.longer_side());
        let covering = (f64::from(target.1) / f64::from(image.1)).max(f64::from(target.0) / f64::from(image.0));
        let least = covering.max(side / (face * self.range.1)).min(1.0);
        (least, least.max(side / (face * self.range.0)).min(1.0))
    }

    /// The crop of one use.
    pub fn draw(&self, rng: &mut impl Rng) -> FaceCrop {
        let (least, most) = self.scales();
        let scale = if least >= most { least } else { rng.random_range(least..=most) };
        let scaled = |length: u32| (f64::from(length) * scale + 0.5) as u32;
        let resized = (scaled(self.image.0).max(self.target.0), scaled(self.image.1).max(self.target.1));
        let center = (scaled(self.face.center.0), scaled(self.face.center.1));
        let row = self.begin((self.target.1, resized.1, center.1), rng);
        let column = self.begin((self.target.0, resized.0, center.0), rng);
        FaceCrop { resized, at: (column, row) }
    }

    /// Where the crop begins along one side, given its length, the image's and the middle of the face.
    fn begin(&self, (target, length, center): (u32, u32, u32), rng: &mut impl Rng) -> u32 {
        let (target, length, center) = (i64::from(target), i64::from(length), i64::from(center));
        let mut begin = center - target / 2;
        let face = i64::from(self.face.longer_side());
        if self.anywhere {
            let reach = (length - center).max(center);
            begin += rng.random_range(0..=reach) + rng.random_range(0..=reach) - reach;
        } else if self.range.0 != self.range.1 {
            // The face is that of the image before scaling, here as there.
            let side = i64::from(self.target.0.min(self.target.1));
            if face > side / 10 && face >= 40 {
                begin += rng.random_range((-face).div_euclid(20)..=face / 20);
            }
        }
        begin.min(length - target).max(0) as u32
    }
}
