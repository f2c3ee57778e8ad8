//! An image at the resolution that a preprocessor works at.

use lorabake_pixels::{Rgb, Size, opencv};

use crate::control::enlarged;

/// What sides are filled up to a multiple of.
const UNIT: u32 = 64;

/// An image at a resolution.
pub(super) struct AtResolution {
    /// The image.
    pub image: Rgb,
    /// The image with its edge repeated to the right and below, until sides are multiples of 64.
    pub padded: Rgb,
}

impl AtResolution {
    /// Brings the shorter side to `resolution`.
    ///
    /// # Errors
    /// If the aspect is too extreme.
    pub fn of(image: &Rgb, resolution: u32) -> Result<Self, String> {
        let image = resized(image, resolution)?;
        let padded = padded(&image);
        Ok(Self { image, padded })
    }

    /// Width and height without what was filled up.
    pub fn size(&self) -> Size {
        self.image.size()
    }
}

/// The image with its shorter side at `resolution`.
pub(super) fn resized(image: &Rgb, resolution: u32) -> Result<Rgb, String> {
    let factor = f64::from(resolution.max(1)) / f64::from(image.width.min(image.height));
    let scaled = |side: u32| (f64::from(side) * factor).round_ties_even().max(1.0);
    let (width, height) = (scaled(image.width), scaled(image.height));
    enlarged::check(image.size(), [width, height])?;
    let size = (width as u32, height as u32);
    Ok(if factor > 1.0 { opencv::cubic(image, size) } else { opencv::area(image, size) })
}

fn padded(image: &Rgb) -> Rgb {
    let size = (image.width.next_multiple_of(UNIT), image.height.next_multiple_of(UNIT));
    let mut data = Vec::with_capacity(size.0 as usize * size.1 as usize * 3);
    for y in 0..size.1 {
        let row = y.min(image.height - 1) as usize * image.width as usize;
        for x in 0..size.0 {
            let at = (row + x.min(image.width - 1) as usize) * 3;
            data.extend_from_slice(&image.data[at..at + 3]);
        }
    }
    Rgb { width: size.0, height: size.1, data }
}
