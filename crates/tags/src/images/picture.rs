//! An image file in memory: its pixels, and what else is in it.

use std::io::Cursor;
use std::path::Path;

use image::codecs::bmp::BmpEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::metadata::Orientation;
use image::{ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, ImageReader};
use lorabake_pixels::{Rgb, Rgba, decode_rgba};

use crate::error::Error;
use crate::journal::Edit;

/// The quality, of 100, with which a JPEG is written anew: its losses are below those of any JPEG that it is likely to have
/// been.
pub const JPEG_QUALITY: u8 = 95;

/// Chunks of PNG that hold texts.
const TEXTS: [&[u8; 4]; 3] = [b"tEXt", b"zTXt", b"iTXt"];
/// The bytes of a PNG before its first chunk.
const PNG_BEGIN: usize = 8;
/// The bytes of a chunk beside its content: length, name, sum.
const PNG_CHUNK: usize = 12;
/// The first chunk of a PNG, whole.
const PNG_HEADER: usize = PNG_CHUNK + 13;

/// An image file.
#[derive(Debug, Clone)]
pub struct Picture {
    path: std::path::PathBuf,
    bytes: Vec<u8>,
    format: ImageFormat,
    pixels: Rgba,
    has_alpha: bool,
    profile: Option<Vec<u8>>,
    exif: Option<Vec<u8>>,
}

impl Picture {
    /// Reads an image file, upright.
    ///
    /// # Errors
    /// If it cannot be read, is truncated, of another format or too large, or is a link.
    pub fn load(path: &Path) -> Result<Self, Error> {
        if path.is_symlink() {
            return Err(Error::file(
                path,
                "it is a link to another file; put a file of its own in its place to edit it",
            ));
        }
        let pixels = decode_rgba(path).map_err(|error| Error::file(path, error.fault.to_string()))?;
        let bytes = std::fs::read(path).map_err(|error| Error::io(path, "read", &error))?;
        let broken = |error: &dyn std::fmt::Display| Error::file(path, format!("the image cannot be read ({error})"));
        let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format().map_err(|error| broken(&error))?;
        let format = reader.format().ok_or_else(|| broken(&"unknown format"))?;
        let mut decoder = reader.into_decoder().map_err(|error| broken(&error))?;
        // Pixels are written as red, green and blue, which a profile of grey or of printing colours would misread.
        let profile = decoder.icc_profile().unwrap_or_default().filter(|profile| profile.get(16..20) == Some(b"RGB "));
        let mut exif = decoder.exif_metadata().unwrap_or_default();
        if let Some(exif) = &mut exif {
            // The pixels are upright now; what they were is of no use.
            let _ = Orientation::remove_from_exif_chunk(exif);
        }
        drop(decoder);
        let has_alpha = pixels.pixels().any(|pixel| pixel[3] < u8::MAX);
        Ok(Self { path: path.to_owned(), bytes, format, pixels, has_alpha, profile, exif })
    }

    /// The pixels, upright.
    pub fn pixels(&self) -> &Rgba {
        &self.pixels
    }

    /// Whether some pixel is not opaque.
    pub fn has_alpha(&self) -> bool {
        self.has_alpha
    }

    /// Whether writing it anew costs something: what it is then, for the user.
    pub fn cost(&self) -> Option<&'static str> {
        match self.format {
            ImageFormat::Jpeg => Some("JPEG compressed anew"),
            ImageFormat::WebP => Some("WebP, lossless now"),
            _ => None,
        }
    }

    /// What has to be written so that the file holds `pixels`; a JPEG with `quality`.
    ///
    /// # Errors
    /// If the image cannot be written in its format.
    pub fn edit(self, pixels: &Rgba, quality: u8) -> Result<Edit, Error> {
        let after = self.encoded(pixels, quality).map_err(|error| {
            Error::file(
                &self.path,
                format!("the image cannot be written in its format ({error}); save it as PNG first"),
            )
        })?;
        Ok(Edit::Write { path: self.path, before: Some(self.bytes), after })
    }

    fn encoded(&self, pixels: &Rgba, quality: u8) -> image::ImageResult<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.format {
            ImageFormat::Jpeg => self.write(JpegEncoder::new_with_quality(&mut bytes, quality), pixels)?,
            ImageFormat::WebP => self.write(WebPEncoder::new_lossless(&mut bytes), pixels)?,
            ImageFormat::Bmp => self.write(BmpEncoder::new(&mut bytes), pixels)?,
            _ => {
                let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive);
                self.write(encoder, pixels)?;
                let texts = png_texts(&self.bytes);
                let place = (PNG_BEGIN + PNG_HEADER).min(bytes.len());
                bytes.splice(place..place, texts);
            }
        }
        Ok(bytes)
    }

    fn write(&self, mut encoder: impl ImageEncoder, pixels: &Rgba) -> image::ImageResult<()> {
        // BMP holds neither, which is no failure.
        if let Some(profile) = &self.profile {
            encoder.set_icc_profile(profile.clone()).ok();
        }
        if let Some(exif) = &self.exif {
            encoder.set_exif_metadata(exif.clone()).ok();
        }
        if pixels.pixels().any(|pixel| pixel[3] < u8::MAX) {
            return encoder.write_image(&pixels.data, pixels.width, pixels.height, ExtendedColorType::Rgba8);
        }
        let opaque: Rgb = pixels.map(|[red, green, blue, _]| [red, green, blue]);
        encoder.write_image(&opaque.data, opaque.width, opaque.height, ExtendedColorType::Rgb8)
    }
}

/// The chunks of a PNG that hold texts, as they are.
fn png_texts(bytes: &[u8]) -> Vec<u8> {
    let mut texts = Vec::new();
    let mut rest = bytes.get(PNG_BEGIN..).unwrap_or_default();
    while let Some([a, b, c, d, name @ ..]) = rest.first_chunk::<8>() {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let Some(chunk) = rest.get(..PNG_CHUNK.saturating_add(length)) else { break };
        if TEXTS.contains(&name) {
            texts.extend_from_slice(chunk);
        }
        rest = &rest[chunk.len()..];
    }
    texts
}
