//! Decode, resize, crop, mirror: an image file becomes `Pixels` in [-1, 1]. Knows no buckets rules and no tensors.
//!
//! As sd-scripts (`load_image`: Pillow `convert("RGB")`; `trim_and_resize_if_required`), with two differences:
//! - EXIF rotation is applied. sd-scripts ignores it and trains on the image lying on its side.
//! - 16-bit greyscale keeps its high byte. Pillow clips it at 255, which makes the image white.
//!
//! Kept as it is there: an alpha channel is dropped without blending, so the colours stored under transparent pixels
//! show. [`Loaded::transparent`] says when that happened, so that a user can be warned.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageReader, Pixel};
use rand::Rng;

use crate::bucket::Placement;
use crate::probe;
use crate::problem::{Error, Fault, Size};
use crate::resize;
use crate::scan::Item;

/// 8-bit RGB, three bytes per pixel, rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// height × width × 3 bytes.
    pub data: Vec<u8>,
}

/// An image as a VAE takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// 3 × height × width values in [-1, 1]: all red, all green, all blue.
    pub chw: Vec<f32>,
}

/// What a file gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded<T> {
    /// The image.
    pub image: T,
    /// Some pixels were not opaque; what they hid is now seen.
    pub transparent: bool,
}

/// Decodes the item's file and brings it to its place. Fails with a message that names the file.
pub fn load(item: &Item, placement: &Placement) -> Result<Loaded<Rgb>, Error> {
    let Loaded { image, transparent } = decode_item(item)?;
    Ok(Loaded { image: fit(&image, placement), transparent })
}

/// Decodes the item's file, whose size has to be what the scan saw.
pub(crate) fn decode_item(item: &Item) -> Result<Loaded<Rgb>, Error> {
    let loaded = decode(&item.path)?;
    let now = (loaded.image.width, loaded.image.height);
    if now != item.size {
        return Err(Error::Image { path: item.path.clone(), fault: Fault::Changed { before: item.size, now } });
    }
    Ok(loaded)
}

/// Decodes a PNG, JPEG, WebP or BMP file of at most [`probe::MAX_PIXELS`] pixels into upright RGB.
pub fn decode(path: &Path) -> Result<Loaded<Rgb>, Error> {
    let image = upright(path)?;
    let transparent = transparent(&image);
    let (width, height) = (image.width(), image.height());
    Ok(Loaded { image: Rgb { width, height, data: to_rgb8(image) }, transparent })
}

/// The alpha channel as a grey image, white if there is none.
pub(crate) fn decode_alpha(path: &Path) -> Result<Rgb, Error> {
    let image = upright(path)?;
    let (width, height) = (image.width(), image.height());
    let alpha = |x: u16| [(x >> 8) as u8; 3];
    let data = match image {
        DynamicImage::ImageRgba8(image) => image.pixels().flat_map(|pixel| [pixel[3]; 3]).collect(),
        DynamicImage::ImageLumaA8(image) => image.pixels().flat_map(|pixel| [pixel[1]; 3]).collect(),
        DynamicImage::ImageRgba16(image) => image.pixels().flat_map(|pixel| alpha(pixel[3])).collect(),
        DynamicImage::ImageLumaA16(image) => image.pixels().flat_map(|pixel| alpha(pixel[1])).collect(),
        _ => vec![u8::MAX; 3 * width as usize * height as usize],
    };
    Ok(Rgb { width, height, data })
}

fn upright(path: &Path) -> Result<DynamicImage, Error> {
    let read = || {
        let bytes = std::fs::read(path).map_err(|error| Fault::Unreadable(error.to_string()))?;
        decode_bytes(&bytes)
    };
    read().map_err(|fault| Error::Image { path: path.into(), fault })
}

fn decode_bytes(bytes: &[u8]) -> Result<DynamicImage, Fault> {
    probe::whole(&mut Cursor::new(bytes))?;
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|error| Fault::Unreadable(error.to_string()))?;
    reader.limits(probe::limits());
    let mut decoder = reader.into_decoder().map_err(probe::fault)?;
    probe::check_size(decoder.dimensions())?;
    let orientation = decoder.orientation().map_err(probe::fault)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(probe::fault)?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// Resizes and crops the middle.
pub fn fit(image: &Rgb, placement: &Placement) -> Rgb {
    crop(&resize::resize(image, placement.resized), placement.bucket, placement.crop)
}

/// The part of `size` = (width, height) that begins `at` = (columns, rows) from the left upper corner.
///
/// # Panics
/// If it does not lie within the image.
pub fn crop(image: &Rgb, (width, height): Size, at: (u32, u32)) -> Rgb {
    let rows = at.1..at.1 + height;
    let start = |row: u32| 3 * (row as usize * image.width as usize + at.0 as usize);
    let data = rows.flat_map(|row| &image.data[start(row)..][..3 * width as usize]).copied().collect();
    Rgb { width, height, data }
}

/// Where a crop of the resized image begins if it is drawn: anywhere, all places equally likely (`--random_crop`).
pub fn draw_crop(placement: &Placement, rng: &mut impl Rng) -> (u32, u32) {
    let (resized, bucket) = (placement.resized, placement.bucket);
    (rng.random_range(0..=resized.0 - bucket.0), rng.random_range(0..=resized.1 - bucket.1))
}

impl Rgb {
    /// The mirror image, left and right exchanged.
    pub fn mirrored(&self) -> Self {
        let rows = self.data.chunks_exact(3 * self.width as usize);
        let data = rows.flat_map(|row| row.chunks_exact(3).rev().flatten()).copied().collect();
        Self { data, ..*self }
    }

    /// value ÷ 255, then (x - 0.5) ÷ 0.5 in f32, as torchvision's `ToTensor` and `Normalize` do.
    pub fn to_pixels(&self) -> Pixels {
        let channel =
            |c: usize| self.data.iter().skip(c).step_by(3).map(|value| (f32::from(*value) / 255.0 - 0.5) / 0.5);
        Pixels { width: self.width, height: self.height, chw: (0..3).flat_map(channel).collect() }
    }
}

fn transparent(image: &DynamicImage) -> bool {
    match image {
        DynamicImage::ImageRgba8(image) => image.pixels().any(|pixel| pixel[3] < u8::MAX),
        DynamicImage::ImageLumaA8(image) => image.pixels().any(|pixel| pixel[1] < u8::MAX),
        DynamicImage::ImageRgba16(image) => image.pixels().any(|pixel| pixel[3] < u16::MAX),
        DynamicImage::ImageLumaA16(image) => image.pixels().any(|pixel| pixel[1] < u16::MAX),
        _ => false,
    }
}

/// Drops alpha, spreads grey over three channels, keeps the high byte of 16 bits.
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
    image.pixels().flat_map(|pixel| pixel.to_rgb().0).map(|value| (value >> 8) as u8).collect()
}
