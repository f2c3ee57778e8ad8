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

use super::figures::Cut;
use super::metadata::{into_jpeg, into_png, into_webp};
use crate::error::Error;
use crate::journal::Edit;

/// The quality, of 100, with which a JPEG is written anew: its losses are below those of any JPEG that it is likely to have
/// been.
pub const JPEG_QUALITY: u8 = 95;

/// An image file.
#[derive(Debug, Clone)]
pub struct Picture {
    path: std::path::PathBuf,
    bytes: Vec<u8>,
    format: ImageFormat,
    pixels: Rgba,
    has_alpha: bool,
    /// More than 8 bits a channel.
    is_deep: bool,
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
        let color = decoder.color_type();
        let is_deep = color.bytes_per_pixel() > color.channel_count();
        drop(decoder);
        let has_alpha = pixels.pixels().any(|pixel| pixel[3] < u8::MAX);
        Ok(Self { path: path.to_owned(), bytes, format, pixels, has_alpha, is_deep, profile, exif })
    }

    /// The pixels, upright.
    pub fn pixels(&self) -> &Rgba {
        &self.pixels
    }

    /// Whether some pixel is not opaque.
    pub fn has_alpha(&self) -> bool {
        self.has_alpha
    }

    /// What writing it anew costs, for the user.
    pub fn costs(&self) -> Vec<&'static str> {
        let mut costs = Vec::new();
        match self.format {
            ImageFormat::Jpeg => costs.push("JPEG compressed anew"),
            ImageFormat::WebP => costs.push("WebP, lossless now"),
            _ => {}
        }
        if self.is_deep {
            costs.push("of more than 8 bits a channel, with 8 now, which is what training reads");
        }
        costs
    }

    /// What has to be written so that a part of it is an image of its own at `path`: a PNG, which loses nothing, with what
    /// the image says of itself.
    ///
    /// # Errors
    /// If it cannot be written as PNG.
    pub fn part(&self, cut: Cut, path: &Path) -> Result<Edit, Error> {
        let pixels = self.pixels.crop(cut.size, cut.at);
        let after = self.encoded(&pixels, ImageFormat::Png, JPEG_QUALITY);
        let after = after.map_err(|error| Error::file(path, format!("the part cannot be written as PNG ({error})")))?;
        Ok(Edit::Write { path: path.to_owned(), before: None, after })
    }

    /// What has to be written so that the file holds `pixels`; a JPEG with `quality`.
    ///
    /// # Errors
    /// If the image cannot be written in its format.
    pub fn edit(self, pixels: &Rgba, quality: u8) -> Result<Edit, Error> {
        let after = self.encoded(pixels, self.format, quality).map_err(|error| {
            Error::file(
                &self.path,
                format!("the image cannot be written in its format ({error}); save it as PNG first"),
            )
        })?;
        Ok(Edit::Write { path: self.path, before: Some(self.bytes), after })
    }

    fn encoded(&self, pixels: &Rgba, format: ImageFormat, quality: u8) -> image::ImageResult<Vec<u8>> {
        let mut bytes = Vec::new();
        match format {
            ImageFormat::Jpeg => self.write(JpegEncoder::new_with_quality(&mut bytes, quality), pixels)?,
            ImageFormat::WebP => self.write(WebPEncoder::new_lossless(&mut bytes), pixels)?,
            ImageFormat::Bmp => self.write(BmpEncoder::new(&mut bytes), pixels)?,
            _ => {
                let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive);
                self.write(encoder, pixels)?;
            }
        }
        match format {
            _ if format != self.format => {}
            ImageFormat::Jpeg => into_jpeg(&self.bytes, &mut bytes),
            ImageFormat::WebP => into_webp(&self.bytes, &mut bytes, pixels.size()),
            ImageFormat::Png => into_png(&self.bytes, &mut bytes),
            _ => {}
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
