//! Small files that ask for much: each is refused by name before memory or time is spent on it.

use std::fmt::Write;
use std::fs;

use lorabake_data::bucket::Layout;
use lorabake_data::caption::{self, CaptionUse, emphasis};
use lorabake_data::{Reason, image as pixels, scan};
use lorabake_recipe::data::captions::CaptionRules;
use lorabake_recipe::data::{Buckets, Data};
use lorabake_recipe::seed::{Seed, UseId};

use crate::temp_folder::{TempFolder, encoded};

/// What the scan and the layout say of one image, 64 × 64 pixels asked for.
fn refused(width: u32, height: u32, resolution: (u32, u32), buckets: Option<Buckets>) -> String {
    let folder = TempFolder::new();
    folder.image("train/1_x/a.png", width, height);
    let data = Data { resolution, buckets, ..folder.data() };
    let placed = scan(&data).and_then(|dataset| Layout::new(&dataset, &data));
    folder.plain(&placed.map(|layout| format!("{:?}", layout.placements)).unwrap_or_else(|errors| errors.to_string()))
}

#[test]
fn an_image_that_would_be_cropped_to_next_to_nothing_is_refused() {
    let small = (64, 64);
    assert_eq!(
        refused(60_000, 1, small, None),
        "train/1_x/a.png: it is 60000 times as wide as high (60000 × 1), so that more than 99 % of it would be cropped \
         away for 64 × 64; crop it yourself, or delete it"
    );
    let tall = "train/1_x/a.png: it is 1000000 times as high as wide (1 × 1000000)";
    assert!(refused(1, 1_000_000, small, None).starts_with(tall));
    let buckets = Some(Buckets { min: 64, max: 256, step: 64, no_upscale: false });
    let error = refused(1, 1_000_000, (128, 128), buckets.clone());
    assert!(error.starts_with(tall) && error.contains("cropped away for 64 × 256"), "{error}");
    // A hundred to one is still an image, more is none.
    assert!(refused(6400, 64, small, None).starts_with("[Placement"));
    assert!(refused(6401, 64, small, None).contains("100 times as wide as high"));
    assert!(refused(1200, 4, (128, 128), buckets).starts_with("[Placement"));
}

#[test]
fn the_size_after_resizing_is_bounded_like_that_before() {
    let error = refused(2000, 100, (4096, 4096), None);
    assert_eq!(
        error,
        "train/1_x/a.png: 2000 × 100 would become 81920 × 4096 before it is cropped to 4096 × 4096, which are too many \
         pixels; crop it yourself, or give --enable_bucket"
    );
}

#[test]
fn a_side_that_no_bucket_has_a_use_for_is_refused_from_the_header() {
    let mut png = encoded("a.png", 1, 1);
    png[16..20].copy_from_slice(&100_000_000u32.to_be_bytes());
    let folder = TempFolder::new();
    folder.file("train/1_x/a.png", png);
    let expected = "train/1_x/a.png: 100000000 × 1 pixels: no side may be longer than 1048576; crop it or delete it";
    assert_eq!(folder.refused(), expected);
}

#[test]
fn a_file_that_is_too_short_for_its_pixels_is_truncated() {
    for name in ["a.png", "a.jpg"] {
        let mut bytes = encoded(name, 8, 8);
        assert_eq!(verdict(name, &bytes), "(8, 8)");
        if name == "a.png" {
            bytes[16..24].copy_from_slice(&[0, 0, 40, 0, 0, 0, 40, 0]);
        } else {
            let frame = bytes.windows(2).position(|pair| pair[0] == 0xff && (0xc0..=0xc2).contains(&pair[1])).unwrap();
            bytes[frame + 5..frame + 9].copy_from_slice(&[40, 0, 40, 0]);
        }
        let expected = format!("train/1_x/{name}: the image file is truncated; copy it again or delete it");
        assert_eq!(verdict(name, &bytes), expected);
    }
    // The oldest kind of BMP, and what it says.
    let header = |side: u16| [&[12, 0, 0, 0][..], &side.to_le_bytes(), &side.to_le_bytes(), &[1, 0, 24, 0]].concat();
    let bmp = |side: u16| [b"BM\0\0\0\0\0\0\0\0\x1a\0\0\0", &header(side)[..], &[7; 192]].concat();
    assert_eq!(verdict("a.bmp", &bmp(8)), "(8, 8)");
    assert_eq!(verdict("a.bmp", &bmp(9)), "train/1_x/a.bmp: the image file is truncated; copy it again or delete it");
    // The most that deflate can do is not refused.
    let folder = TempFolder::new();
    let blank = image::GrayImage::new(4000, 4000);
    fs::create_dir_all(folder.path("train/1_x")).unwrap();
    blank.save(folder.path("train/1_x/a.png")).unwrap();
    blank.save(folder.path("train/1_x/b.jpg")).unwrap();
    assert_eq!(folder.scan().items.len(), 2);
}

/// A chunk of a WebP file that says of itself that it has `claimed` bytes.
fn chunk(name: &str, claimed: u32, content: &[u8]) -> Vec<u8> {
    [name.as_bytes(), &claimed.to_le_bytes(), content].concat()
}

fn whole(name: &str, content: &[u8]) -> Vec<u8> {
    chunk(name, content.len() as u32, content)
}

/// A WebP file of these chunks, whose own length is right.
fn webp(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = [b"WEBP".to_vec(), chunks.concat()].concat();
    whole("RIFF", &body)
}

/// The header of an extended file of 8 × 8 pixels with these flags.
fn extended(flags: u8) -> Vec<u8> {
    whole("VP8X", &[flags, 0, 0, 0, 7, 0, 0, 7, 0, 0])
}

const EXIF: u8 = 0b1000;
const ANIMATION: u8 = 0b10;

/// The lossless picture chunk of an 8 × 8 image.
fn picture() -> Vec<u8> {
    let file = encoded("a.webp", 8, 8);
    assert_eq!(&file[12..16], b"VP8L");
    file[12..].to_vec()
}

/// A lossy picture that says that it is 16383 × 16383.
fn huge_picture() -> Vec<u8> {
    whole("VP8 ", &[0x10, 0, 0, 0x9d, 1, 0x2a, 0xff, 0x3f, 0xff, 0x3f, 0, 0])
}

fn verdict(name: &str, bytes: &[u8]) -> String {
    let folder = TempFolder::new();
    let path = format!("train/1_x/{name}");
    folder.file(&path, bytes);
    let scanned = scan(&folder.data()).map(|dataset| format!("{:?}", dataset.items[0].size));
    let scanned = folder.plain(&scanned.unwrap_or_else(|errors| errors.to_string()));
    if let Err(error) = pixels::decode(&folder.path(&path)) {
        assert_eq!(folder.plain(&error.to_string()), scanned, "the decoder says what the scan says");
    }
    scanned
}

#[test]
fn a_chunk_that_is_longer_than_its_file_makes_the_file_truncated() {
    let truncated = "train/1_x/a.webp: the image file is truncated; copy it again or delete it";
    let claim = 4_177_461_274;
    for (what, chunks) in [
        ("exif", vec![extended(EXIF), picture(), chunk("EXIF", claim, b"II")]),
        ("profile", vec![extended(0x20), chunk("ICCP", claim, b"x"), picture()]),
        ("texts", vec![extended(4), picture(), chunk("XMP ", claim, b"x")]),
        ("unknown", vec![extended(0), picture(), chunk("what", claim, b"x")]),
        ("picture", vec![extended(0), chunk("VP8L", claim, &picture()[8..])]),
        ("animation", vec![extended(ANIMATION), chunk("ANIM", claim, &[0; 6])]),
        ("frame", vec![extended(ANIMATION), whole("ANIM", &[0; 6]), chunk("ANMF", claim, &[0; 40])]),
        ("in a frame", {
            let frame = [vec![0; 16], chunk("ALPH", claim, b"x")].concat();
            vec![extended(ANIMATION), whole("ANIM", &[0; 6]), whole("ANMF", &frame)]
        }),
    ] {
        assert_eq!(verdict("a.webp", &webp(&chunks)), truncated, "{what}");
    }
    // Behind the image, where the decoder looks too.
    let behind = [webp(&[extended(EXIF), picture()]), chunk("EXIF", claim, b"II")].concat();
    assert_eq!(verdict("a.webp", &behind), truncated);
    let bytes = [webp(&[extended(0), picture()]), b"trailing bytes".to_vec()].concat();
    assert_eq!(verdict("a.webp", &bytes), "(8, 8)");
    assert_eq!(verdict("a.webp", &webp(&[extended(EXIF), picture(), whole("EXIF", b"II")])), "(8, 8)");

    let mut png = encoded("a.png", 8, 8);
    png.splice(33..33, [&claim.to_be_bytes()[..], b"eXIf", b"II"].concat());
    assert_eq!(verdict("a.png", &png), truncated.replace("webp", "png"));
    let jpeg = [&encoded("a.jpg", 8, 8)[..2], &[0xff, 0xe1, 0xff, 0xff, b'E', b'x']].concat();
    assert_eq!(verdict("a.jpg", &jpeg), truncated.replace("webp", "jpg"));
}

#[test]
fn a_picture_that_is_larger_than_its_header_says_is_refused() {
    let expected = "train/1_x/a.webp: the image cannot be read (it says that it is 8 × 8 and also 16383 × 16383); \
                    save it again as PNG or delete it";
    assert_eq!(verdict("a.webp", &webp(&[extended(0), huge_picture()])), expected);
    let frame = [vec![0; 16], whole("ALPH", b"xx"), huge_picture()].concat();
    let animation = [extended(ANIMATION), whole("ANIM", &[0; 6]), whole("ANMF", &frame)];
    assert_eq!(verdict("a.webp", &webp(&animation)), expected);
    let alone = verdict("a.webp", &webp(&[huge_picture()]));
    assert!(alone.contains("16383 × 16383 pixels are too many"), "{alone}");
}

#[test]
fn a_caption_beyond_64_kb_is_refused_by_name() {
    let folder = TempFolder::new();
    folder.image("train/1_penny/a.png", 64, 64).file("train/1_penny/a.txt", "a".repeat(1 << 16));
    assert_eq!(folder.scan().items[0].caption.len(), 1 << 16);
    folder.file("train/1_penny/a.txt", "a, b\n".repeat(20_000));
    let expected = "train/1_penny/a.txt: the caption is longer than 64 kB, and at most 225 tokens of one are used; \
                    shorten it";
    assert_eq!(folder.refused(), expected);
}

/// Each of these took minutes when every character looked for its partner in all that follows.
#[test]
fn what_a_caption_costs_grows_with_its_length() {
    const MANY: usize = 1 << 20;
    for text in [":", ":1", "(", "\\", "[a", "(a:1"] {
        let parts = emphasis::parse(&text.repeat(MANY / 16));
        assert!(!parts.is_empty(), "{text}");
    }
    assert_eq!(emphasis::parse(&":".repeat(MANY)).len(), 1);
    let rules = CaptionRules { wildcards: true, ..CaptionRules::default() };
    let at = CaptionUse { id: UseId { epoch: 0, position: 0 }, step: 0, steps: 1 };
    let open = "{ ".repeat(MANY);
    assert_eq!(caption::draw(&open, &rules, Seed(1), at), open);
    let mut private = String::new();
    for _ in 0..40 {
        for letter in '\u{e000}'..='\u{f8fd}' {
            let _ = write!(private, "{letter}");
        }
    }
    assert_eq!(caption::draw(&format!("{private}{{{{"), &rules, Seed(1), at), format!("{private}{{"));
}

#[cfg(unix)]
#[test]
fn nobody_waits_for_a_pipe() {
    let folder = TempFolder::new();
    folder.image("train/1_penny/a.png", 64, 64);
    for name in ["a.txt", "b.png"] {
        let made = std::process::Command::new("mkfifo").arg(folder.path(&format!("train/1_penny/{name}"))).status();
        assert!(made.unwrap().success());
    }
    let dataset = folder.scan();
    let no = |path: &str| (path.to_owned(), Reason::NotAnImage);
    assert_eq!(folder.left_out(&dataset), [no("train/1_penny/a.txt"), no("train/1_penny/b.png")]);
    assert_eq!(dataset.items.len(), 1);
}
