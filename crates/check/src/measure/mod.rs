//! The numbers of one image: of the file, of its pixels, and of the picture that the trainer makes of them.
//!
//! Luma is Pillow's mode `L` (0.299 R + 0.587 G + 0.114 B). The picture as it is trained is upright, without alpha,
//! resized and cropped to its bucket by `data`'s own code.

mod blocks;
mod color;
pub mod content;
mod detail;
mod jpeg;
pub mod phash;
mod tone;

use std::path::Path;

use lorabake_data::bucket::Placement;
use lorabake_data::image::resize::resize;
use lorabake_pixels::pillow::gray;
use lorabake_pixels::{FileError, Rgb, decode, decode_rgba};
use lorabake_tags::images::{Stripe, Stripes};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use color::Cast;
use content::Content;
use phash::Signature;

/// What of its placement an image's numbers depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Size after resizing.
    pub resized: (u32, u32),
    /// Size of the bucket.
    pub bucket: (u32, u32),
    /// Columns and rows that are cut off.
    pub crop: (u32, u32),
}

impl From<&Placement> for Frame {
    fn from(placement: &Placement) -> Self {
        Self { resized: placement.resized, bucket: placement.bucket, crop: placement.crop }
    }
}

/// The numbers of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measures {
    /// What the file says of itself.
    pub content: Content,
    /// Share of pixels whose alpha is below 250.
    pub transparent: f64,
    /// Mean distance of the colours stored under alpha 0 from white, 0 to 255, where there are such pixels.
    pub hidden_color: Option<f64>,
    /// SHA-256 of size and pixels, the first 16 bytes in hexadecimal.
    pub pixels: String,
    /// What near copies have in common.
    pub signature: Signature,
    /// Steps of luma at the borders of JPEG's blocks, divided by those elsewhere.
    pub blockiness: f64,
    /// Plain stripes at the four sides, in pixels of the file.
    pub borders: Stripes,
    /// Variance of the Laplacian of luma, as trained.
    pub laplacian: f64,
    /// How like itself the picture stays through half its size, in dB, as trained; none without anything to see.
    pub half: Option<f64>,
    /// The same through a quarter.
    pub quarter: Option<f64>,
    /// The colour of what is lightest, as trained.
    pub cast: Cast,
    /// Mean saturation (HSV), 0 to 1, as trained.
    pub saturation: f64,
    /// Share of pixels with a channel at 0 or 255 in a coloured place, as trained.
    pub clipped: f64,
    /// Brightness that 5 % of the pixels stay below, 0 to 1, as trained.
    pub dark_end: f64,
    /// Brightness that 99 % of the pixels stay below, 0 to 1, as trained.
    pub light_end: f64,
    /// Entropy of the luma histogram in bits, as trained.
    pub entropy: f64,
    /// Mean of the largest minus the smallest channel, 0 to 255, as trained.
    pub chroma: f64,
}

/// Measures an image; `bytes` are its file's.
///
/// # Errors
/// When it cannot be decoded.
pub fn measure(path: &Path, bytes: &[u8], frame: Frame) -> Result<Measures, FileError> {
    let content = Content::of(bytes);
    let decoded = decode(path)?;
    let (transparent, hidden_color) = if decoded.transparent { alpha(path)? } else { (0.0, None) };
    let whole = decoded.image;
    let luma = gray(&whole);
    let signature = Signature::of(&luma);
    let blockiness = blocks::blockiness(&luma);
    let borders = Stripes::of(&luma);
    let pixels = pixel_hash(&whole);
    let trained = trained(&whole, frame);
    drop(whole);
    let luma = gray(&trained);
    let tone = tone::Tone::of(&trained, &luma);
    let cast = Cast::of(&trained);
    Ok(Measures {
        content,
        transparent: rounded(transparent),
        hidden_color: hidden_color.map(rounded),
        pixels,
        signature,
        blockiness: rounded(blockiness),
        borders: borders.map(|border| Stripe { edge: rounded(border.edge), ..border }),
        laplacian: rounded(detail::laplacian_variance(&luma)),
        half: detail::likeness(&luma, 2).map(rounded),
        quarter: detail::likeness(&luma, 4).map(rounded),
        cast: Cast { a: rounded(cast.a), b: rounded(cast.b), lightness: rounded(cast.lightness) },
        saturation: rounded(tone.saturation),
        clipped: rounded(tone.clipped),
        dark_end: rounded(tone.dark_end),
        light_end: rounded(tone.light_end),
        entropy: rounded(tone.entropy),
        chroma: rounded(tone.chroma),
    })
}

/// A number of ten digits, which is the same after it went through JSON.
fn rounded(number: f64) -> f64 {
    format!("{number:.9e}").parse().unwrap_or(number)
}

/// The picture as it is trained.
fn trained(whole: &Rgb, frame: Frame) -> Rgb {
    let resized = if whole.size() == frame.resized { whole.clone() } else { resize(whole, frame.resized) };
    if resized.size() == frame.bucket { resized } else { resized.crop(frame.bucket, frame.crop) }
}

/// Share of pixels that are not opaque, and how far from white the colours under invisible ones are.
fn alpha(path: &Path) -> Result<(f64, Option<f64>), FileError> {
    const OPAQUE: u8 = 250;
    let image = decode_rgba(path)?;
    let mut open = 0_usize;
    let mut invisible = 0_usize;
    let mut distance = 0_u64;
    for [red, green, blue, alpha] in image.pixels() {
        if *alpha < OPAQUE {
            open += 1;
        }
        if *alpha == 0 {
            invisible += 1;
            distance += u64::from(255 - red) + u64::from(255 - green) + u64::from(255 - blue);
        }
    }
    let hidden = if invisible == 0 { None } else { Some(distance as f64 / (3 * invisible) as f64) };
    Ok((open as f64 / image.pixels().len().max(1) as f64, hidden))
}

fn pixel_hash(image: &Rgb) -> String {
    let mut hash = Sha256::new();
    hash.update(image.width.to_le_bytes());
    hash.update(image.height.to_le_bytes());
    hash.update(&image.data);
    hexadecimal(&hash.finalize()[..16])
}

/// Bytes in hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
