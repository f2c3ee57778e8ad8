//! Shapes: a ratio of sides, or that of the bucket in which an image is trained.

use lorabake_data::Size;
use lorabake_data::bucket::Rule;
use lorabake_pixels::probe::{MAX_PIXELS, MAX_SIDE};

/// The shape that an image is to have.
#[derive(Debug, Clone)]
pub enum Shape {
    /// Width to height.
    Ratio(u32, u32),
    /// As the bucket that it is trained in.
    Bucket(Rule),
}

/// Which part of an image stays, or where it is on a canvas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The middle.
    Center,
    /// The upper end.
    Top,
    /// The lower end.
    Bottom,
    /// The left end.
    Left,
    /// The right end.
    Right,
    /// What lies around this column and row.
    Point(u32, u32),
}

impl Shape {
    /// The largest size of this shape within `size`; `None` if no bucket takes such an image.
    pub fn within(&self, size: Size) -> Option<Size> {
        let (width, height) = self.ratio(size)?;
        let by_height = scaled(size.1, width, height);
        if by_height <= u64::from(size.0) {
            return Some((by_height.max(1) as u32, size.1));
        }
        Some((size.0, scaled(size.0, height, width).clamp(1, u64::from(size.1)) as u32))
    }

    /// The smallest size of this shape around `size`; `None` if no bucket takes such an image, or it would be too large.
    pub fn around(&self, size: Size) -> Option<Size> {
        let (width, height) = self.ratio(size)?;
        let by_height = scaled(size.1, width, height);
        let around = if by_height >= u64::from(size.0) {
            (by_height, u64::from(size.1))
        } else {
            (u64::from(size.0), scaled(size.0, height, width).max(u64::from(size.1)))
        };
        let fits = around.0.max(around.1) <= u64::from(MAX_SIDE) && around.0 * around.1 <= MAX_PIXELS;
        if fits { Some((around.0 as u32, around.1 as u32)) } else { None }
    }

    fn ratio(&self, size: Size) -> Option<Size> {
        match self {
            Self::Ratio(width, height) => Some((*width, *height)),
            Self::Bucket(rule) => Some(rule.place(size)?.bucket),
        }
    }
}

/// `side` × `one` ÷ `other`, rounded.
fn scaled(side: u32, one: u32, other: u32) -> u64 {
    let other = u64::from(other.max(1));
    (u64::from(side) * u64::from(one) + other / 2) / other
}

impl Anchor {
    /// What is left free before the image, of `room` at both ends together.
    pub(super) fn of(self, room: Size) -> (u32, u32) {
        let middle = (room.0 / 2, room.1 / 2);
        match self {
            Self::Center => middle,
            Self::Top => (middle.0, 0),
            Self::Bottom => (middle.0, room.1),
            Self::Left => (0, middle.1),
            Self::Right => (room.0, middle.1),
            Self::Point(..) => middle,
        }
    }

    /// Where a cut of size `cut` begins in an image of size `whole`.
    pub(super) fn of_cut(self, cut: Size, whole: Size) -> Size {
        let room = (whole.0 - cut.0, whole.1 - cut.1);
        match self {
            Self::Point(x, y) => (x.saturating_sub(cut.0 / 2).min(room.0), y.saturating_sub(cut.1 / 2).min(room.1)),
            _ => self.of(room),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_cut_out_of_sizes_and_put_around_them() {
        let square = Shape::Ratio(1, 1);
        assert_eq!((square.within((600, 400)), square.around((600, 400))), (Some((400, 400)), Some((600, 600))));
        let tall = Shape::Ratio(2, 3);
        assert_eq!((tall.within((600, 600)), tall.around((600, 600))), (Some((400, 600)), Some((600, 900))));
        assert_eq!(tall.within((400, 600)), Some((400, 600)));
        assert_eq!(Shape::Ratio(1, 1000).within((10, 10)), Some((1, 10)));
        assert_eq!(Shape::Ratio(1, 100_000_000).around((1000, 1000)), None);
        let bucket = Shape::Bucket(Rule::Nearest(vec![(512, 512), (384, 640)]));
        assert_eq!(bucket.within((500, 1000)), Some((500, 833)));
        assert_eq!(bucket.within((384, 640)), Some((384, 640)));
        assert_eq!(Anchor::Point(90, 10).of_cut((40, 40), (100, 50)), (60, 0));
        assert_eq!(Anchor::Point(50, 25).of_cut((40, 40), (100, 50)), (30, 5));
        assert_eq!(Shape::Bucket(Rule::NoUpscale { max_area: 512 * 512, step: 64 }).within((10, 10)), None);
    }
}
