//! Decoding: an image file becomes upright 8-bit RGB.
//!
//! As sd-scripts (`load_image`: Pillow `convert("RGB")`), with two differences:
//! - EXIF rotation is applied. sd-scripts ignores it and trains on the image lying on its side.
//! - 16-bit greyscale keeps its high byte. Pillow clips it at 255, which makes the image white.
//!
//! Kept as it is there: an alpha channel is dropped without blending, so the colours stored under transparent pixels
//! show. [`Decoded::transparent`] says when that happened, so that a user can be warned.

use std::io::Cursor;
use std::path::Path;

use ::image::{DynamicImage, ImageBuffer, ImageDecoder, ImageReader, Pixel};

use crate::fault::{Fault, FileError};
use crate::image::{Rgb, Rgba};
use crate::probe;

/// What a file gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The image.
    pub image: Rgb,
    /// Some pixels were not opaque; what they hid is now seen.
    pub transparent: bool,
}

/// Decodes a PNG, JPEG, WebP or BMP file of at most [`probe::MAX_PIXELS`] pixels into upright RGB.
///
/// # Errors
/// If the file cannot be read, is truncated, of another format or too large.
pub fn decode(path: &Path) -> Result<Decoded, FileError> {
    let image = upright(path)?;
    let transparent = is_transparent(&image);
    let (width, height) = (image.width(), image.height());
    Ok(Decoded { image: Rgb { width, height, data: to_rgb8(image) }, transparent })
}

/// Decodes as [`decode`], but keeps the alpha channel; it is 255 where there is none.
///
/// # Errors
/// As [`decode`].
pub fn decode_rgba(path: &Path) -> Result<Rgba, FileError> {
    let image = upright(path)?;
    let (width, height) = (image.width(), image.height());
    let data = match image {
        DynamicImage::ImageLuma16(_) | DynamicImage::ImageRgb16(_) => {
            to_rgb8(image).as_chunks().0.iter().flat_map(|[red, green, blue]| [*red, *green, *blue, u8::MAX]).collect()
        }
        DynamicImage::ImageLumaA16(image) => high_bytes_with_alpha(&image),
        DynamicImage::ImageRgba16(image) => high_bytes_with_alpha(&image),
        other => other.into_rgba8().into_raw(),
    };
    Ok(Rgba { width, height, data })
}

/// The alpha channel as a grey image, white if there is none.
///
/// # Errors
/// As [`decode`].
pub fn decode_alpha(path: &Path) -> Result<Rgb, FileError> {
    let image = upright(path)?;
    let (width, height) = (image.width(), image.height());
    let alpha: Vec<u8> = match image {
        DynamicImage::ImageRgba8(image) => image.pixels().map(|pixel| pixel[3]).collect(),
        DynamicImage::ImageLumaA8(image) => image.pixels().map(|pixel| pixel[1]).collect(),
        DynamicImage::ImageRgba16(image) => image.pixels().map(|pixel| high_byte(pixel[3])).collect(),
        DynamicImage::ImageLumaA16(image) => image.pixels().map(|pixel| high_byte(pixel[1])).collect(),
        _ => vec![u8::MAX; width as usize * height as usize],
    };
    let data = alpha.into_iter().flat_map(|value| [value; 3]).collect();
    Ok(Rgb { width, height, data })
}

fn upright(path: &Path) -> Result<DynamicImage, FileError> {
    // What is no file, such as a device, may have no end.
    let is_file = std::fs::metadata(path).map_or(true, |about| about.is_file());
    if !is_file {
        return Err(FileError::new(path, Fault::Unreadable("it is not a file".to_owned())));
    }
    let bytes = std::fs::read(path).map_err(|error| Fault::Unreadable(error.to_string()));
    let image = bytes.and_then(|bytes| decode_bytes(&bytes));
    image.map_err(|fault| FileError::new(path, fault))
}

fn decode_bytes(bytes: &[u8]) -> Result<DynamicImage, Fault> {
    let length = probe::check_whole(&mut Cursor::new(bytes))?;
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|error| Fault::Unreadable(error.to_string()))?;
    reader.limits(probe::limits(length));
    let mut decoder = reader.into_decoder().map_err(probe::fault)?;
    probe::check_size(decoder.dimensions())?;
    let orientation = decoder.orientation().map_err(probe::fault)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(probe::fault)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn is_transparent(image: &DynamicImage) -> bool {
    match image {
        DynamicImage::ImageRgba8(image) => image.pixels().any(|pixel| pixel[3] < u8::MAX),
        DynamicImage::ImageLumaA8(image) => image.pixels().any(|pixel| pixel[1] < u8::MAX),
        DynamicImage::ImageRgba16(image) => image.pixels().any(|pixel| pixel[3] < u16::MAX),
        DynamicImage::ImageLumaA16(image) => image.pixels().any(|pixel| pixel[1] < u16::MAX),
        _ => false,
    }
}

/// Drops alpha, copies grey to three channels, keeps the high byte of 16 bits.
fn to_rgb8(image: DynamicImage) -> Vec<u8> {
    match image {
        DynamicImage::ImageLuma16(image) => high_bytes(&image),
        DynamicImage::ImageLumaA16(image) => high_bytes(&image),
        DynamicImage::ImageRgb16(image) => high_bytes(&image),
        DynamicImage::ImageRgba16(image) => high_bytes(&image),
        other => other.into_rgb8().into_raw(),
    }
}

fn high_bytes<P: Pixel<Subpixel = u16>>(image: &ImageBuffer<P, Vec<u16>>) -> Vec<u8> {
    image.pixels().flat_map(|pixel| pixel.to_rgb().0).map(high_byte).collect()
}

fn high_bytes_with_alpha<P: Pixel<Subpixel = u16>>(image: &ImageBuffer<P, Vec<u16>>) -> Vec<u8> {
    image.pixels().flat_map(|pixel| pixel.to_rgba().0).map(high_byte).collect()
}

fn high_byte(value: u16) -> u8 {
    (value >> 8) as u8
}
