//! The two resizers whose pixels sd-scripts trains on: OpenCV's `INTER_AREA` to shrink, Pillow's Lanczos to enlarge.

use lorabake_pixels::pillow::{Filter, resize_height, resize_width};
use lorabake_pixels::{Rgb, opencv};

use crate::size::Size;

/// Resizes as sd-scripts does by default: area if no side grows, else Lanczos.
pub fn resize(source: &Rgb, size: Size) -> Rgb {
    if source.width >= size.0 && source.height >= size.1 { opencv::area(source, size) } else { lanczos(source, size) }
}

/// Three-lobed Lanczos, one side after the other, with 8 bits in between.
fn lanczos(source: &Rgb, size: Size) -> Rgb {
    // Found by trial with Pillow 13: it saves work where the width grows and the height shrinks, and nowhere else.
    if size.0 > source.width && size.1 < source.height {
        resize_width(&resize_height(source, size.1, Filter::Lanczos), size.0, Filter::Lanczos)
    } else {
        resize_height(&resize_width(source, size.0, Filter::Lanczos), size.1, Filter::Lanczos)
    }
}
