//! Lines of one colour at the sides of an image: letterboxes, frames.
//!
//! They are stripes of one luma behind which the picture begins along most of the line at once, as `lorabake check` finds
//! them.

use lorabake_pixels::{Rgba, Size, pillow};

use super::stripes::{Stripe, Stripes};

/// This share of the line behind a border differs from it.
const EDGE: f64 = 0.5;

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

/// The borders of an image: none of an image of one colour, and none before a plain background.
pub fn borders(pixels: &Rgba) -> Borders {
    let stripes = Stripes::of(&pillow::gray(&pillow::without_alpha(pixels)));
    let [left, top, right, bottom] = [stripes.left, stripes.top, stripes.right, stripes.bottom].map(cut);
    Borders { left, top, right, bottom }
}

/// Lines of a stripe, if the picture begins behind it at once.
fn cut(stripe: Stripe) -> u32 {
    if stripe.edge >= EDGE { stripe.width } else { 0 }
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
        // A plain background is no border: a figure's tip begins behind it.
        let mut figure = Rgba::filled((64, 64), [255, 255, 255, 255]);
        for y in 20..44_usize {
            for x in 30..34_usize {
                figure.data[(y * 64 + x) * 4..][..3].fill(0);
            }
        }
        assert_eq!(borders(&figure), Borders::default());
        // An image of one colour has no inside.
        assert_eq!(borders(&Rgba::filled((64, 64), [7, 7, 7, 255])), Borders::default());
    }
}
