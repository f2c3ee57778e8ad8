//! What pages have in common: text that is escaped, and pictures inside them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::ImageEncoder;
use image::codecs::png::PngEncoder;
use lorabake_pixels::Rgb;

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

/// The same of a picture; empty if it cannot be encoded.
pub fn picture_address(picture: &Rgb) -> String {
    let mut file = Vec::new();
    let encoder = PngEncoder::new(&mut file);
    let written = encoder.write_image(&picture.data, picture.width, picture.height, image::ExtendedColorType::Rgb8);
    if written.is_ok() { png_address(&file) } else { String::new() }
}
