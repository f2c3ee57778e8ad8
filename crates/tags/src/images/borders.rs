//! Lines of one colour at the sides of an image: letterboxes, frames.
//!
//! A line belongs to a border while its luma varies by less than 3 (standard deviation) and its mean is within 6 of that of
//! the outermost line.

use lorabake_pixels::{Rgba, Size};

const LARGEST_DEVIATION: f64 = 3.0;
const LARGEST_DISTANCE: f64 = 6.0;

/// Two opposite borders are at least this wide, in pixels and as a share of the side.
const FEWEST: u32 = 8;
const SHARE: f64 = 0.02;
/// One border alone is at least this share of the side.
const SHARE_ALONE: f64 = 0.10;

/// How many lines of one colour there are at each side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Borders {
    /// Columns at the left.
    pub left: u32,
    /// Rows at the top.
    pub top: u32,
    /// Columns at the right.
    pub right: u32,
    /// Rows at the bottom.
    pub bottom: u32,
}

/// The borders of an image; none of an image of one colour.
pub fn borders(pixels: &Rgba) -> Borders {
    let (width, height) = (pixels.width as usize, pixels.height as usize);
    let luma: Vec<f64> = pixels.pixels().map(luma).collect();
    let row = |row: usize| Line::of(luma[row * width..][..width].iter());
    let column = |column: usize| Line::of(luma[column..].iter().step_by(width));
    let top = run((0..height).map(row));
    let left = run((0..width).map(column));
    if top as usize == height || left as usize == width {
        return Borders::default();
    }
    Borders { left, top, right: run((0..width).rev().map(column)), bottom: run((0..height).rev().map(row)) }
}

impl Borders {
    /// Those that are wide enough to be borders: pairs of opposite ones, and with `one_side` single ones too.
    pub(super) fn chosen(self, size: Size, one_side: bool) -> Self {
        let mut chosen = Self::default();
        [chosen.left, chosen.right] = pair(self.left, self.right, size.0, one_side);
        [chosen.top, chosen.bottom] = pair(self.top, self.bottom, size.1, one_side);
        chosen
    }
}

fn pair(first: u32, second: u32, side: u32, one_side: bool) -> [u32; 2] {
    let is_wide = |border: u32| border >= FEWEST && f64::from(border) >= SHARE * f64::from(side);
    if is_wide(first) && is_wide(second) {
        return [first, second];
    }
    [first, second].map(|border| {
        let counts = one_side && border >= FEWEST && f64::from(border) >= SHARE_ALONE * f64::from(side);
        if counts { border } else { 0 }
    })
}

/// The luma of a line.
#[derive(Clone, Copy)]
struct Line {
    mean: f64,
    deviation: f64,
}

impl Line {
    fn of<'a>(values: impl Iterator<Item = &'a f64>) -> Self {
        let mut count = 0.0;
        let mut sum = 0.0;
        let mut squares = 0.0;
        for value in values {
            count += 1.0;
            sum += value;
            squares += value * value;
        }
        let mean = sum / count;
        Self { mean, deviation: (squares / count - mean * mean).max(0.0).sqrt() }
    }
}

/// How many lines at the beginning are of one colour.
fn run(mut lines: impl Iterator<Item = Line>) -> u32 {
    let Some(first) = lines.next().filter(|line| line.deviation < LARGEST_DEVIATION) else { return 0 };
    let same = |line: &Line| line.deviation < LARGEST_DEVIATION && (line.mean - first.mean).abs() <= LARGEST_DISTANCE;
    1 + lines.take_while(same).count() as u32
}

fn luma(pixel: &[u8; 4]) -> f64 {
    let [red, green, blue, _] = pixel.map(f64::from);
    0.299 * red + 0.587 * green + 0.114 * blue
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stripes within a frame of these widths.
    fn framed(size: Size, frame: Borders) -> Rgba {
        let mut data = Vec::new();
        for y in 0..size.1 {
            for x in 0..size.0 {
                let inside = x >= frame.left && x < size.0 - frame.right && y >= frame.top && y < size.1 - frame.bottom;
                let value = if inside { ((x * 37 + y * 91) % 200 + 40) as u8 } else { (x + y) as u8 % 4 };
                data.extend([value, value, value, 255]);
            }
        }
        Rgba { width: size.0, height: size.1, data }
    }

    #[test]
    fn frames_and_letterboxes_are_found() {
        let frame = Borders { left: 10, top: 20, right: 12, bottom: 30 };
        let image = framed((200, 160), frame);
        assert_eq!(borders(&image), frame);
        assert_eq!(frame.chosen(image.size(), false), frame);
        assert_eq!(borders(&framed((200, 160), Borders::default())), Borders::default());
    }

    #[test]
    fn narrow_and_single_ones_are_none() {
        let narrow = Borders { left: 7, right: 40, ..Borders::default() };
        assert_eq!(narrow.chosen((200, 160), false), Borders::default());
        assert_eq!(narrow.chosen((200, 160), true), Borders { right: 40, ..Borders::default() });
        let single = Borders { top: 15, ..Borders::default() };
        assert_eq!(single.chosen((200, 160), true), Borders::default());
        // An image of one colour has no inside.
        assert_eq!(borders(&Rgba::filled((64, 64), [7, 7, 7, 255])), Borders::default());
    }
}
