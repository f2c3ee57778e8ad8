//! At which size errors are measured. What counts is their ratio to the checkpoint's own at the same size, which changes
//! little with it (docs/judging.md has what was seen), while the work grows with the area and more.

use lorabake_pixels::pillow::{Filter, resize};
use lorabake_pixels::{Rgb, Size};
use serde::{Deserialize, Serialize};

/// At which size errors are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LossSize {
    /// That of training.
    Whole,
    /// Half of it along each side, which takes a quarter of the time.
    Half,
}

/// Sides of halved pictures are multiples of this many pixels, so that every level of the UNet is whole.
const UNIT: u32 = 64;

impl LossSize {
    /// The size (width, height) at which the errors of a picture of `size` are measured, in pixels.
    pub fn of(self, size: Size) -> Size {
        let half = |side: u32| (side + UNIT) / (2 * UNIT) * UNIT;
        match self {
            Self::Whole => size,
            Self::Half => (half(size.0).max(UNIT), half(size.1).max(UNIT)),
        }
    }

    /// The picture at the size at which its errors are measured.
    pub fn shrink(self, picture: &Rgb) -> Rgb {
        resize(picture, self.of(picture.size()), Filter::Lanczos)
    }
}

#[cfg(test)]
mod tests {
    use super::LossSize;

    #[test]
    fn half_a_size_is_whole_at_every_level() {
        for (size, half) in [((512, 512), (256, 256)), ((832, 1216), (448, 640)), ((64, 100), (64, 64))] {
            assert_eq!(LossSize::Half.of(size), half);
            assert_eq!(LossSize::Whole.of(size), size);
        }
    }
}
