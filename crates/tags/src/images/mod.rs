//! Edits of images: cut to the shape of a bucket, padded, freed of borders, flattened on a colour. An image becomes another
//! content of the same file, which [`crate::Journal`] writes, so that the original is kept and comes back.
//!
//! What is written is upright, of 8 bits, in the format that the content had, and carries on what it said of itself: EXIF, colour
//! profile, texts of PNG, XMP, IPTC. A JPEG is compressed anew, a WebP becomes a lossless one.

mod borders;
mod caches;
mod figures;
mod mask;
mod metadata;
mod picture;
mod shape;
mod stripes;

use lorabake_pixels::{Rgba, pillow};

pub use borders::{Borders, borders};
pub use caches::Caches;
pub use figures::{Cut, Kind, Seen, View};
pub use mask::{as_png, mask};
pub use picture::{JPEG_QUALITY, Picture};
pub use shape::{Anchor, Shape};
pub use stripes::{Stripe, Stripes};

/// An edit of an image.
#[derive(Debug, Clone)]
pub enum ImageEdit {
    /// Cuts off what the shape does not hold.
    Crop {
        /// The shape.
        shape: Shape,
        /// Which part stays.
        anchor: Anchor,
    },
    /// Adds what is missing to the shape.
    Pad {
        /// The shape.
        shape: Shape,
        /// Where the image is in it.
        anchor: Anchor,
        /// What is added.
        fill: Fill,
    },
    /// Cuts off lines of one colour at the sides.
    RemoveBorders {
        /// Also those at one side alone, which may be a plain background.
        one_side: bool,
    },
    /// Puts a colour behind what is transparent.
    Flatten([u8; 3]),
}

/// What is added around an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// A colour.
    Color([u8; 3]),
    /// The pixels at the edge, again and again.
    Edge,
}

/// What an edit makes of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edited {
    /// It is as it should be.
    Nothing,
    /// No bucket takes it, or it would be too large.
    NoPlace,
    /// These pixels.
    Pixels(Rgba),
}

impl ImageEdit {
    /// What it makes of an image.
    pub fn act_on(&self, picture: &Picture) -> Edited {
        let pixels = picture.pixels();
        match self {
            Self::Crop { shape, anchor } => {
                let Some(size) = shape.within(pixels.size()) else { return Edited::NoPlace };
                if size == pixels.size() {
                    return Edited::Nothing;
                }
                Edited::Pixels(pixels.crop(size, anchor.of_cut(size, pixels.size())))
            }
            Self::Pad { shape, anchor, fill } => {
                let Some(size) = shape.around(pixels.size()) else { return Edited::NoPlace };
                if size == pixels.size() {
                    return Edited::Nothing;
                }
                let room = (size.0 - pixels.width, size.1 - pixels.height);
                Edited::Pixels(padded(pixels, size, anchor.of(room), *fill))
            }
            Self::RemoveBorders { one_side } => {
                let found = borders(pixels).chosen(pixels.size(), *one_side);
                let size = (pixels.width - found.left - found.right, pixels.height - found.top - found.bottom);
                if size == pixels.size() {
                    return Edited::Nothing;
                }
                Edited::Pixels(pixels.crop(size, (found.left, found.top)))
            }
            Self::Flatten(color) => {
                if !picture.has_alpha() {
                    return Edited::Nothing;
                }
                let flat = pillow::flattened(pixels, *color);
                Edited::Pixels(flat.map(|[red, green, blue]| [red, green, blue, u8::MAX]))
            }
        }
    }
}

/// The image on a canvas of `size`, with its left upper corner `at`.
fn padded(pixels: &Rgba, size: (u32, u32), at: (u32, u32), fill: Fill) -> Rgba {
    if let Fill::Color([red, green, blue]) = fill {
        let mut canvas = Rgba::filled(size, [red, green, blue, u8::MAX]);
        pillow::paste(&mut canvas, pixels, (i64::from(at.0), i64::from(at.1)));
        return canvas;
    }
    let mut data = Vec::with_capacity(size.0 as usize * size.1 as usize * 4);
    for row in 0..size.1 {
        let row = row.saturating_sub(at.1).min(pixels.height - 1) as usize;
        for column in 0..size.0 {
            let column = column.saturating_sub(at.0).min(pixels.width - 1) as usize;
            data.extend_from_slice(&pixels.data[(row * pixels.width as usize + column) * 4..][..4]);
        }
    }
    Rgba { width: size.0, height: size.1, data }
}
