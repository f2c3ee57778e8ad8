//! Plain stripes along the sides: letterboxes and frames, which a LoRA learns like anything else.
//!
//! A line belongs to the stripe if its luma hardly varies (standard deviation below 3) and is that of the outermost
//! line (mean within 6). A plain background makes such lines too; but behind a frame the picture begins along the
//! whole line at once, and before a plain background a figure's tip does. So the share of the next line that differs
//! is kept beside; docs/check.md has what that finds.

use lorabake_pixels::Gray;
use serde::{Deserialize, Serialize};

/// Largest standard deviation of luma within a line.
const PLAIN: f64 = 3.0;
/// How much the mean of a line may differ from that of the outermost.
const SAME: f64 = 6.0;
/// A pixel of the next line belongs to the picture if its luma differs by more.
const OTHER: f64 = 12.0;

/// A stripe along a side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Stripe {
    /// Lines that belong to it.
    pub width: u32,
    /// Share of the next line that differs from it, 0 to 1: near 1 behind a frame, small before a plain background.
    pub edge: f64,
}

/// The stripes of a picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Stripes {
    /// At the left.
    pub left: Stripe,
    /// At the top.
    pub top: Stripe,
    /// At the right.
    pub right: Stripe,
    /// At the bottom.
    pub bottom: Stripe,
}

impl Stripes {
    /// Looks at all four sides; a picture that is plain as a whole has none.
    pub fn of(luma: &Gray) -> Self {
        let rows = luma.height as usize;
        let columns = luma.width as usize;
        let row = |index: usize| luma.data[index * columns..][..columns].to_vec();
        let column = |index: usize| luma.data[index..].iter().step_by(columns).copied().collect::<Vec<u8>>();
        let top = stripe((0..rows).map(row));
        if top.width as usize == rows {
            return Self::default();
        }
        Self {
            left: stripe((0..columns).map(column)),
            top,
            right: stripe((0..columns).rev().map(column)),
            bottom: stripe((0..rows).rev().map(row)),
        }
    }
}

impl Stripes {
    /// The stripes, each changed.
    pub fn map(self, change: impl Fn(Stripe) -> Stripe) -> Self {
        let [left, top, right, bottom] = [self.left, self.top, self.right, self.bottom].map(change);
        Self { left, top, right, bottom }
    }
}

/// The stripe that lines begin with.
fn stripe(lines: impl Iterator<Item = Vec<u8>>) -> Stripe {
    let mut width = 0;
    let mut outermost = None;
    for line in lines {
        let Spread { mean, deviation } = Spread::of(&line);
        let first = *outermost.get_or_insert(mean);
        if deviation >= PLAIN || (mean - first).abs() > SAME {
            let other = line.iter().filter(|value| (f64::from(**value) - first).abs() > OTHER).count();
            return Stripe { width, edge: other as f64 / line.len() as f64 };
        }
        width += 1;
    }
    Stripe { width, edge: 0.0 }
}

struct Spread {
    mean: f64,
    deviation: f64,
}

impl Spread {
    fn of(line: &[u8]) -> Self {
        let count = line.len().max(1) as f64;
        let sum: u64 = line.iter().map(|value| u64::from(*value)).sum();
        let squares: u64 = line.iter().map(|value| u64::from(*value) * u64::from(*value)).sum();
        let mean = sum as f64 / count;
        Self { mean, deviation: (squares as f64 / count - mean * mean).max(0.0).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A noisy picture of 40 × 40 within a plain one.
    fn framed(left: u32, top: u32, right: u32, bottom: u32) -> Gray {
        let mut image = Gray::filled((40 + left + right, 40 + top + bottom), [10]);
        let width = image.width;
        for y in 0..40 {
            for x in 0..40 {
                image.data[((y + top) * width + x + left) as usize] = ((x * 37 + y * 91) % 200 + 40) as u8;
            }
        }
        image
    }

    #[test]
    fn stripes_are_counted_on_each_side() {
        let found = Stripes::of(&framed(0, 6, 3, 9));
        assert_eq!((found.left.width, found.top.width, found.right.width, found.bottom.width), (0, 6, 3, 9));
        assert!(found.top.edge > 0.8 && found.bottom.edge > 0.8, "{found:?}");
        assert_eq!(Stripes::of(&Gray::filled((30, 30), [200])), Stripes::default());
    }

    #[test]
    fn the_tip_of_a_figure_is_no_edge() {
        let mut image = Gray::filled((60, 60), [255]);
        for y in 20..60_usize {
            for x in 30..31 + (y - 20) / 3 {
                image.data[y * 60 + x] = 0;
            }
        }
        let top = Stripes::of(&image).top;
        assert_eq!(top.width, 20);
        assert!(top.edge < 0.05, "{top:?}");
    }
}
