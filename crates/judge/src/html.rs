//! What pages have in common: text that is escaped, and pictures inside them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::ImageEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use lorabake_pixels::Rgb;
use lorabake_pixels::pillow::{Filter, resize};

/// Text as it stands in HTML, between tags or in quotation marks.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            sign => escaped.push(sign),
        }
    }
    escaped
}

/// The address of a PNG file that stands in the page itself.
pub fn png_address(file: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(file))
}

/// The same of a picture, whole; empty if it cannot be encoded.
fn picture_address(picture: &Rgb) -> String {
    let mut file = Vec::new();
    let encoder = PngEncoder::new(&mut file);
    let written = encoder.write_image(&picture.data, picture.width, picture.height, image::ExtendedColorType::Rgb8);
    if written.is_ok() { png_address(&file) } else { String::new() }
}

/// Pictures of pages that only show them are at most so long.
const SHOWN: u32 = 512;
/// Quality of their JPEG files.
const QUALITY: u8 = 90;

/// The address of a picture that is only to be looked at: small ones as they are, large ones at 512 pixels as JPEG, since a
/// page of fifty would else have 80 MB. Empty if it cannot be encoded.
pub fn small_picture_address(picture: &Rgb) -> String {
    if picture.width.max(picture.height) < SHOWN {
        return picture_address(picture);
    }
    thumbnail_address(picture, SHOWN, QUALITY)
}

/// The address of a picture as JPEG, made smaller if its longer side has more than `side` pixels. Empty if it cannot be
/// encoded.
pub fn thumbnail_address(picture: &Rgb, side: u32, quality: u8) -> String {
    let longest = picture.width.max(picture.height).max(side);
    let length = |own: u32| (u64::from(own) * u64::from(side) / u64::from(longest)).max(1) as u32;
    let small = resize(picture, (length(picture.width), length(picture.height)), Filter::Lanczos);
    let mut file = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut file, quality);
    let written = encoder.write_image(&small.data, small.width, small.height, image::ExtendedColorType::Rgb8);
    if written.is_err() {
        return String::new();
    }
    format!("data:image/jpeg;base64,{}", STANDARD.encode(&file))
}
