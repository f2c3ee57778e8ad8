//! Edits of images, and their originals.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageDecoder, ImageEncoder};
use lorabake_tags::Edit;
use lorabake_tags::images::{Anchor, Edited, Fill, ImageEdit, Picture, Shape, mask};

use crate::set::Set;

/// A picture of stripes in 8 bits a channel, with a transparent left half.
fn pixels(width: u32, height: u32, alpha: u8) -> Vec<u8> {
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let opacity = if x < width / 2 { alpha } else { 255 };
            pixels.extend([(x * 7) as u8, (y * 5) as u8, (x + y) as u8, opacity]);
        }
    }
    pixels
}

fn png(width: u32, height: u32, alpha: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new(&mut bytes);
    encoder.write_image(&pixels(width, height, alpha), width, height, ExtendedColorType::Rgba8).unwrap();
    // What the web UI writes.
    let mut text = b"\0\0\0\x15tEXtparameters\0a cat, 1girl".to_vec();
    text[3] = (text.len() - 8) as u8;
    text.extend([1, 2, 3, 4]);
    bytes.splice(33..33, text);
    bytes
}

fn jpeg(width: u32, height: u32, exif: Option<Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90);
    if let Some(exif) = exif {
        encoder.set_exif_metadata(exif).unwrap();
    }
    let rgb: Vec<u8> = pixels(width, height, 255).chunks(4).flat_map(|pixel| pixel[..3].to_vec()).collect();
    encoder.write_image(&rgb, width, height, ExtendedColorType::Rgb8).unwrap();
    bytes
}

/// EXIF with nothing but an orientation.
fn lying() -> Vec<u8> {
    b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec()
}

fn edited(set: &Set, name: &str, edit: &ImageEdit) -> Option<(u32, u32)> {
    let picture = Picture::load(&set.path(name)).unwrap();
    let Edited::Pixels(pixels) = edit.act_on(&picture) else { return None };
    let edit = picture.edit(&pixels, 95).unwrap();
    set.journal().apply("images", &[edit]).unwrap();
    let written = lorabake_pixels::decode_rgba(&set.path(name)).unwrap();
    assert_eq!(written.size(), pixels.size());
    if !name.ends_with("jpg") {
        assert_eq!(written, pixels);
    }
    Some(written.size())
}

fn crop(width: u32, height: u32) -> ImageEdit {
    ImageEdit::Crop { shape: Shape::Ratio(width, height), anchor: Anchor::Top }
}

#[test]
fn originals_are_kept_outside_and_come_back() {
    let set = Set::new(&[("10_penny/a.png", &png(64, 32, 255)), ("10_penny/b.jpg", &jpeg(64, 32, None))]);
    let before = set.content();
    assert_eq!(edited(&set, "10_penny/a.png", &crop(1, 1)), Some((32, 32)));
    assert_eq!(edited(&set, "10_penny/a.png", &crop(1, 1)), None);
    assert_eq!(edited(&set, "10_penny/a.png", &crop(1, 2)), Some((16, 32)));
    assert_eq!(edited(&set, "10_penny/b.jpg", &crop(2, 3)), Some((21, 32)));
    assert_eq!(set.content().keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    let originals = std::fs::read_dir(set.beside_path("img.lorabake/.originals/10_penny")).unwrap();
    assert_eq!(originals.count(), 3);
    // Neither the journal nor the originals are images of the set, wherever the trainer looks.
    let found = lorabake_data::scan::pairs::pairs_below(set.beside_path("").as_path(), None).unwrap();
    assert_eq!(found.pairs.len(), 2);
    let mut journal = set.journal();
    for _ in 0..3 {
        journal.undo(None).unwrap().unwrap();
    }
    assert_eq!(set.content(), before);
    for _ in 0..3 {
        journal.redo().unwrap().unwrap();
    }
    assert_eq!(lorabake_pixels::probe::size(&set.path("10_penny/a.png")).unwrap(), (16, 32));
}

#[test]
fn what_an_image_says_of_itself_stays() {
    let set = Set::new(&[("a.png", &png(64, 32, 200)), ("b.jpg", &jpeg(64, 32, Some(lying())))]);
    edited(&set, "a.png", &crop(1, 1)).unwrap();
    let bytes = set.read("a.png");
    assert!(bytes.windows(12).any(|part| part == b"a cat, 1girl"));
    // Turned upright, cut, and not to be turned again.
    assert_eq!(edited(&set, "b.jpg", &crop(1, 1)), Some((32, 32)));
    let reader = image::ImageReader::open(set.path("b.jpg")).unwrap().with_guessed_format().unwrap();
    let mut decoder = reader.into_decoder().unwrap();
    assert_eq!(decoder.orientation().unwrap(), image::metadata::Orientation::NoTransforms);
    assert!(decoder.exif_metadata().unwrap().is_some());
}

#[test]
fn pads_flattens_and_masks() {
    let set = Set::new(&[("a.png", &png(20, 10, 0)), ("b.png", &png(20, 10, 255))]);
    let bytes = mask(&set.path("a.png")).unwrap().unwrap();
    let alpha = image::load_from_memory(&bytes).unwrap().into_luma8();
    assert_eq!((alpha.dimensions(), alpha[(9, 0)][0], alpha[(10, 0)][0]), ((20, 10), 0, 255));
    assert_eq!(mask(&set.path("b.png")).unwrap(), None);

    let pad = |fill| ImageEdit::Pad { shape: Shape::Ratio(1, 1), anchor: Anchor::Center, fill };
    let picture = Picture::load(&set.path("b.png")).unwrap();
    let padded = |fill| match pad(fill).act_on(&picture) {
        Edited::Pixels(canvas) => canvas,
        other => panic!("{other:?}"),
    };
    let canvas = padded(Fill::Color([9, 8, 7]));
    assert_eq!((canvas.size(), &canvas.data[..4]), ((20, 20), &[9, 8, 7, 255][..]));
    assert_eq!(canvas.crop((20, 10), (0, 5)), *picture.pixels());
    let canvas = padded(Fill::Edge);
    assert_eq!(canvas.crop((20, 1), (0, 0)), picture.pixels().crop((20, 1), (0, 0)));
    assert_eq!(canvas.crop((20, 1), (0, 19)), picture.pixels().crop((20, 1), (0, 9)));

    let long = ImageEdit::Pad { shape: Shape::Ratio(1, 100_000_000), anchor: Anchor::Center, fill: Fill::Edge };
    assert_eq!(long.act_on(&picture), Edited::NoPlace);

    let flatten = ImageEdit::Flatten([255, 0, 128]);
    assert_eq!(edited(&set, "a.png", &flatten), Some((20, 10)));
    let flat = lorabake_pixels::decode_rgba(&set.path("a.png")).unwrap();
    assert_eq!(flat.data[..4], [255, 0, 128, 255]);
    assert_eq!(edited(&set, "a.png", &flatten), None);
    assert_eq!(edited(&set, "b.png", &flatten), None);
}

#[test]
fn borders_go() {
    let mut data = vec![0; 64 * 64 * 4];
    data.chunks_mut(4).for_each(|pixel| pixel[3] = 255);
    for y in 12..52 {
        for x in 0..64 {
            data[(y * 64 + x) * 4..][..3].copy_from_slice(&[(x * 4) as u8, (y * 37) as u8, 90]);
        }
    }
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes).write_image(&data, 64, 64, ExtendedColorType::Rgba8).unwrap();
    let set = Set::new(&[("a.png", &bytes)]);
    let borders = ImageEdit::RemoveBorders { one_side: false };
    assert_eq!(edited(&set, "a.png", &borders), Some((64, 40)));
    assert_eq!(edited(&set, "a.png", &borders), None);
}

#[test]
fn what_is_no_image_is_said() {
    let whole = png(64, 32, 255);
    let set = Set::new(&[("a.png", b"text"), ("b.png", &whole[..whole.len() / 2]), ("c.png", b"")]);
    for (name, said) in [("a.png", "an unknown type"), ("b.png", "truncated"), ("c.png", "empty")] {
        let error = Picture::load(&set.path(name)).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(said), "{error}");
    }
    // An image that another program has written meanwhile.
    let set = Set::new(&[("a.png", &whole)]);
    let picture = Picture::load(&set.path("a.png")).unwrap();
    let Edited::Pixels(pixels) = crop(1, 1).act_on(&picture) else { panic!("it is wider than high") };
    let edit: Edit = picture.edit(&pixels, 95).unwrap();
    set.write("a.png", b"other");
    set.journal().apply("crop", &[edit]).unwrap_err();
    assert_eq!(set.read("a.png"), b"other");
}

#[test]
fn what_other_programs_wrote_into_a_file_stays() {
    let xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>a fox</x:xmpmeta>";
    let iptc = b"Photoshop 3.0\x008BIM by me";
    let mut photo = jpeg(64, 32, Some(lying()));
    for (marker, content) in [(0xe1, &xmp[..]), (0xed, &iptc[..]), (0xfe, b"a comment")] {
        let length = (content.len() + 2) as u16;
        photo.splice(2..2, [&[0xff, marker][..], &length.to_be_bytes(), content].concat());
    }
    let mut web = Vec::new();
    let rgba = pixels(64, 32, 100);
    image::codecs::webp::WebPEncoder::new_lossless(&mut web)
        .write_image(&rgba, 64, 32, ExtendedColorType::Rgba8)
        .unwrap();
    web.splice(12..12, [&b"VP8X\x0a\0\0\0\x14\0\0\0"[..], &[63, 0, 0, 31, 0, 0]].concat());
    web.extend(b"XMP \x05\0\0\0a fox\0");
    let length = (web.len() - 8) as u32;
    web[4..8].copy_from_slice(&length.to_le_bytes());
    let mut drawing = png(64, 32, 255);
    drawing.splice(33..33, b"\0\0\0\x04gAMA\0\0\xb1\x8f\x0b\xfc\x61\x05".to_vec());
    let set = Set::new(&[("a.jpg", &photo), ("b.webp", &web), ("c.png", &drawing)]);
    for (name, kept) in [
        ("a.jpg", &[&xmp[..], &iptc[..], b"a comment", b"Exif\0"][..]),
        ("b.webp", &[&b"XMP \x05\0\0\0a fox"[..]]),
        ("c.png", &[&b"gAMA\0\0\xb1\x8f"[..], b"a cat, 1girl"]),
    ] {
        assert_eq!(edited(&set, name, &crop(1, 1)), Some((32, 32)), "{name}");
        let bytes = set.read(name);
        for part in kept {
            let times = bytes.windows(part.len()).filter(|window| window == part).count();
            assert_eq!(times, 1, "{name}: {}", String::from_utf8_lossy(part));
        }
    }
    // Read again by the decoder, and once more.
    let reader = image::ImageReader::open(set.path("b.webp")).unwrap().with_guessed_format().unwrap();
    assert!(reader.into_decoder().unwrap().xmp_metadata().unwrap().is_some_and(|xmp| xmp == b"a fox"));
}

#[test]
fn what_is_lost_is_told() {
    let mut deep = Vec::new();
    let sixteen: Vec<u8> = pixels(8, 4, 255).into_iter().flat_map(|value| [value, 7]).collect();
    PngEncoder::new(&mut deep).write_image(&sixteen, 8, 4, ExtendedColorType::Rgba16).unwrap();
    let set = Set::new(&[("deep.png", &deep), ("a.jpg", &jpeg(8, 4, None)), ("b.png", &png(8, 4, 255))]);
    let costs = |name: &str| Picture::load(&set.path(name)).unwrap().costs();
    assert_eq!(costs("deep.png"), ["of more than 8 bits a channel, with 8 now, which is what training reads"]);
    assert_eq!(costs("a.jpg"), ["JPEG compressed anew"]);
    assert!(costs("b.png").is_empty());
}
