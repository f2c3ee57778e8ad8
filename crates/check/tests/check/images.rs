//! Each check of images says what is wrong with a picture, and nothing of a picture that is right.

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, blur, resize};
use image::{DynamicImage, Rgb, RgbImage, Rgba, RgbaImage};
use lorabake_check::{Level, Report};

use crate::folder::{Folder, drawing};

/// What the checks of images say of a picture among whole ones, but for hints.
fn said_of(picture: &RgbImage) -> Vec<&'static str> {
    let folder = Folder::new();
    for number in 0..12 {
        folder.picture(&format!("1_x/whole{number}.png"), &drawing(number, 320, 320));
    }
    folder.picture("1_x/odd.png", picture);
    said(&folder.report())
}

fn said(report: &Report) -> Vec<&'static str> {
    let mut ids = Vec::new();
    for finding in report.findings.iter().filter(|own| own.id.starts_with("img.")) {
        assert!(finding.subject.ends_with("/odd.png"), "{finding:?}");
        if !ids.contains(&finding.id) {
            ids.push(finding.id);
        }
    }
    ids
}

#[test]
fn nothing_is_said_of_whole_pictures() {
    assert_eq!(said_of(&drawing(99, 320, 320)), Vec::<&str>::new());
}

#[test]
fn blurred_pictures_are_soft() {
    let whole = drawing(99, 320, 320);
    assert_eq!(said_of(&blur(&whole, 4.0)), ["img.soft"]);
    let small = resize(&whole, 64, 64, FilterType::Triangle);
    assert_eq!(said_of(&resize(&small, 320, 320, FilterType::CatmullRom)), ["img.soft"]);
}

#[test]
fn small_pictures_are_small_and_not_soft_besides() {
    assert_eq!(said_of(&drawing(99, 120, 120)), ["img.small", "img.size_odd"]);
    let folder = Folder::new();
    for (name, side) in [("a", 255), ("b", 200), ("c", 100), ("d", 256)] {
        folder.picture(&format!("1_x/{name}.png"), &drawing(1, side, side));
    }
    let expected = [(Level::Error, "1_x/c.png"), (Level::Warning, "1_x/b.png"), (Level::Hint, "1_x/a.png")]
        .map(|own| (own.0, own.1.to_owned()));
    assert_eq!(folder.said("img.small"), expected);
}

#[test]
fn blocks_are_seen_in_jpeg_and_in_png() {
    let whole = resize(&drawing(99, 640, 640), 320, 320, FilterType::Triangle);
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, 12).encode_image(&whole).unwrap();
    let folder = Folder::new();
    folder.write("1_x/odd.jpg", &file);
    let [finding] = &folder.findings("img.jpeg")[..] else { panic!() };
    assert_eq!((finding.level, finding.number), (Level::Warning, 12.0));
    let decoded = image::load_from_memory(&file).unwrap().into_rgb8();
    folder.picture("1_y/odd.png", &decoded);
    assert!(
        folder.findings("img.jpeg").iter().any(|own| own.subject == "1_y/odd.png" && own.sentence.contains("blocks"))
    );
}

#[test]
fn letterboxes_and_frames_are_stripes_and_plain_backgrounds_are_not() {
    let mut boxed = RgbImage::from_pixel(320, 400, Rgb([0, 0, 0]));
    image::imageops::overlay(&mut boxed, &drawing(99, 320, 320), 0, 40);
    assert!(said_of(&boxed).contains(&"img.border"));
    let mut alone = RgbImage::from_pixel(400, 320, Rgb([255, 255, 255]));
    image::imageops::overlay(&mut alone, &drawing(99, 320, 320), 80, 0);
    assert!(said_of(&alone).contains(&"img.border"));
    let mut figure = RgbImage::from_pixel(320, 320, Rgb([255, 255, 255]));
    for (x, y, color) in drawing(99, 320, 320).enumerate_pixels() {
        if (f64::from(x) - 160.0).hypot(f64::from(y) - 160.0) < 110.0 {
            figure.put_pixel(x, y, *color);
        }
    }
    assert_eq!(said_of(&figure), Vec::<&str>::new());
    let folder = Folder::new();
    folder.picture("1_x/odd.png", &boxed);
    let [finding] = &folder.findings("img.border")[..] else { panic!() };
    assert_eq!(finding.sentence, "has plain stripes: 40 px top, 40 px bottom");
    assert_eq!(finding.remedy, "crop it to 320 × 320 from column 0 and row 40; lorabake images borders does it");
}

#[test]
fn colours_under_transparent_places_are_told() {
    let mut picture = RgbaImage::new(320, 320);
    for (x, y, color) in drawing(99, 320, 320).enumerate_pixels() {
        let alpha = if x < 100 { 0 } else { 255 };
        picture.put_pixel(x, y, Rgba([color[0], color[1], color[2], alpha]));
    }
    let mut folder = Folder::new();
    picture.save(folder.path("1_x/odd.png")).unwrap();
    let [finding] = &folder.findings("img.alpha")[..] else { panic!() };
    assert_eq!((finding.level, finding.number), (Level::Warning, 0.3125));
    folder.options.push("--alpha_mask");
    assert_eq!(folder.said("img.alpha"), []);
    for pixel in picture.pixels_mut().filter(|pixel| pixel[3] == 0) {
        *pixel = Rgba([255, 255, 255, 0]);
    }
    picture.save(folder.path("1_x/odd.png")).unwrap();
    folder.options.pop();
    assert_eq!(folder.said("img.alpha"), [(Level::Hint, "1_x/odd.png".to_owned())]);
}

#[test]
fn casts_frying_dark_light_flat_and_grey_pictures_are_told() {
    let whole = drawing(99, 320, 320);
    let changed = |change: fn(&mut [u8; 3])| {
        let mut picture = whole.clone();
        picture.pixels_mut().for_each(|pixel| change(&mut pixel.0));
        said_of(&picture)
    };
    assert!(changed(|pixel| *pixel = pixel.map(|value| value / 5)).contains(&"img.dark"));
    assert!(changed(|pixel| *pixel = pixel.map(|value| 249 + value / 50)).contains(&"img.light"));
    assert!(changed(|pixel| *pixel = [pixel[1]; 3]).contains(&"img.grey"));
    assert!(changed(|pixel| *pixel = pixel.map(|value| value / 250 * 90)).contains(&"img.flat"));
    let fried = changed(|pixel| {
        let low = pixel.iter().copied().min().unwrap();
        *pixel = pixel.map(|value| if value == low { 0 } else { value.max(200) });
    });
    assert!(fried.contains(&"img.fried"));
    let warm = changed(|pixel| {
        pixel[1] = (u32::from(pixel[1]) * 88 / 100) as u8;
        pixel[2] = (u32::from(pixel[2]) * 68 / 100) as u8;
    });
    assert!(warm.contains(&"img.cast"));
}

#[test]
fn long_odd_and_painted_pictures_are_told() {
    assert!(said_of(&drawing(99, 320, 1400)).contains(&"img.aspect"));
    assert!(said_of(&drawing(99, 1600, 1600)).contains(&"img.size_odd"));
    let folder = Folder::new();
    DynamicImage::ImageRgb8(drawing(1, 256, 256)).save(folder.path("1_x/odd.png")).unwrap();
    let plain = std::fs::read(folder.path("1_x/odd.png")).unwrap();
    let text = b"tEXtparameters\0a cat\nSteps: 20, CFG scale: 9";
    let length = ((text.len() - 4) as u32).to_be_bytes();
    // The checksum of the chunk is that of a PNG reader's business; texts are skipped without it.
    let crc = crc(text).to_be_bytes();
    let painted = [&plain[..33], &length, &text[..], &crc, &plain[33..]].concat();
    folder.write("1_x/odd.png", painted);
    let said = said(&folder.report());
    assert!(said.contains(&"img.ai") && said.contains(&"img.fried"), "{said:?}");
}

/// The checksum of a PNG chunk.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}
