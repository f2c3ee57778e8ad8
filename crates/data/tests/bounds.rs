//! What the readers of images and captions take of memory and time, against the bounds in docs/decisions.md: whatever a
//! small file claims. A test program of its own, because it has an allocator that counts.

use std::path::Path;
use std::time::{Duration, Instant};

use image::codecs::png::PngEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, RgbImage};
use lorabake_data::caption;
use lorabake_data::caption::emphasis;
use lorabake_data::image::{self as pixels, probe};
use lorabake_recipe::data::captions::CaptionRules;
use lorabake_testkit::counting_allocator::{CountingAllocator, alone, peak_of};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const MIB: usize = 1 << 20;
/// Longest that a file of these tests may take.
const TIME: Duration = Duration::from_secs(10);

/// Reads size and pixels of a file of these bytes, within the bounds.
#[track_caller]
fn costs_its_size(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    let start = Instant::now();
    let size = peak_of(|| probe::size(path));
    let bound = 64 * MIB + 16 * bytes.len();
    assert!(size.bytes <= bound, "size: {} bytes for a file of {}", size.bytes, bytes.len());
    let decoded = peak_of(|| pixels::decode(path).is_ok());
    let pixels = size.value.map_or(0, |size| size.0 as usize * size.1 as usize);
    let bound = bound + 24 * pixels;
    assert!(decoded.bytes <= bound, "pixels: {} bytes for {pixels} in {}", decoded.bytes, bytes.len());
    assert!(start.elapsed() < TIME, "{:?}", start.elapsed());
}

fn encoded(format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_fn(64, 48, |x, y| image::Rgb([(x * 7) as u8, (y * 11) as u8, (x * y) as u8]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn images_cost_their_file_and_their_pixels() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    // A profile of 256 MiB of zeros in as many kB.
    let mut bomb = Vec::new();
    let mut encoder = PngEncoder::new(&mut bomb);
    encoder.set_icc_profile(vec![0; 256 * MIB]).unwrap();
    encoder.write_image(&[0; 3], 1, 1, ExtendedColorType::Rgb8).unwrap();
    assert!(bomb.len() < 2 * MIB, "{}", bomb.len());
    costs_its_size(&path, &bomb);
    // A row of a gigabyte.
    let mut wide = encoded(ImageFormat::Png);
    wide[16..20].copy_from_slice(&178_000_000u32.to_be_bytes());
    wide[20..24].copy_from_slice(&1u32.to_be_bytes());
    costs_its_size(&path, &wide);
    // Chunks of WebP that claim gigabytes, one after another.
    for name in [b"EXIF", b"ICCP", b"XMP ", b"ALPH", b"VP8L", b"VP8 ", b"ANIM", b"ANMF", b"abcd"] {
        let picture = &encoded(ImageFormat::WebP)[12..];
        let header = b"VP8X\x0a\0\0\0\x2e\0\0\0\x3f\0\0\x2f\0\0";
        let body = [&b"WEBP"[..], header, picture, name, &0xf000_0000u32.to_le_bytes(), b"II*\0"].concat();
        let file = [&b"RIFF"[..], &(body.len() as u32).to_le_bytes(), &body].concat();
        costs_its_size(&path, &file);
    }
}

#[test]
fn damaged_images_cost_no_more_than_whole_ones() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Bmp] {
        let whole = encoded(format);
        for _ in 0..300 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random(4) {
                // Most structure is in the first bytes.
                let at = random(bytes.len()).min(random(bytes.len())).min(random(bytes.len()));
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, random(256) as u8][random(6)];
            }
            costs_its_size(&path, &bytes);
        }
    }
}

#[test]
fn captions_cost_what_64_kb_cost() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    std::fs::write(&path, vec![b'a'; 64 * MIB]).unwrap();
    for wildcards in [false, true] {
        let rules = CaptionRules { wildcards, ..CaptionRules::default() };
        let refused = peak_of(|| caption::read(&path, &rules).is_err());
        assert!(refused.value && refused.bytes < MIB, "{} bytes", refused.bytes);
        let lines = "a\n".repeat(32 << 10);
        std::fs::write(folder.path().join("b.txt"), lines).unwrap();
        let read = peak_of(|| caption::read(&folder.path().join("b.txt"), &rules).is_ok());
        assert!(read.value && read.bytes < 2 * MIB, "{} bytes", read.bytes);
    }
    let start = Instant::now();
    for text in ["(", "[a", ":1", "\\", "(a:1)", "((a))"] {
        let prompt = text.repeat((64 << 10) / text.len());
        let parsed = peak_of(|| emphasis::parse(&prompt).len());
        assert!(parsed.bytes < 16 * MIB, "{text}: {} bytes", parsed.bytes);
    }
    assert!(start.elapsed() < TIME, "{:?}", start.elapsed());
}
