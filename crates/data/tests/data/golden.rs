//! Buckets and pixels against results recorded from sd-scripts, OpenCV and Pillow (`oracle/data_resize.py`).

use std::path::{Path, PathBuf};

use lorabake_data::bucket::{Placement, Rule};
use lorabake_data::image::crop::{draw_crop, fit};
use lorabake_data::image::{Rgb, decode, probe};
use lorabake_recipe::data::Buckets;
use rand::SeedableRng;

fn golden(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder)
}

fn png(path: &Path) -> Rgb {
    decode(path).unwrap().image
}

/// (largest difference, share of values that differ)
fn difference(a: &Rgb, b: &Rgb) -> (u8, f64) {
    assert_eq!((a.width, a.height, a.data.len()), (b.width, b.height, b.data.len()));
    let each = || a.data.iter().zip(&b.data).map(|(a, b)| a.abs_diff(*b));
    (each().max().unwrap(), each().filter(|d| *d > 0).count() as f64 / a.data.len() as f64)
}

fn placement(target: (u32, u32)) -> Placement {
    Placement { bucket: target, resized: target, crop: (0, 0), crop_ltrb: [0.0; 4], ar_error: 0.0 }
}

/// One line of the recorded table: image, bucket, resized, crop, crop_ltrb, ar_error.
fn check_bucket(rule: &Rule, line: &str) {
    let n: Vec<f64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
    let size = |at: usize| (n[at] as u32, n[at + 1] as u32);
    let placement = rule.place(size(0)).unwrap();
    assert_eq!((placement.bucket, placement.resized, placement.crop), (size(2), size(4), size(6)), "{line}");
    for (ours, theirs) in placement.crop_ltrb.iter().zip(&n[8..12]) {
        assert!((ours - theirs).abs() < 2e-5, "{line}: {ours}"); // printed with 9 digits
    }
    assert!((placement.ar_error - n[12]).abs() < 1e-8, "{line}: {}", placement.ar_error);
}

#[test]
fn drawn_crops_reach_every_place_and_none_outside() {
    let rule = Rule::new((64, 64), None).unwrap();
    let placement = rule.place((67, 64)).unwrap();
    assert_eq!((placement.resized, placement.bucket), ((67, 64), (64, 64)));
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let mut count = [0; 4];
    for _ in 0..400 {
        let corner = draw_crop(&placement, &mut rng);
        assert_eq!(corner.1, 0);
        count[corner.0 as usize] += 1;
    }
    assert!(count.iter().all(|count| (60..140).contains(count)), "{count:?}");
    let image = Rgb { width: 3, height: 2, data: (0..18).collect() };
    assert_eq!(image.crop((2, 1), (1, 1)).data, [12, 13, 14, 15, 16, 17]);
}

#[test]
fn buckets_are_those_of_sd_scripts() {
    let text = std::fs::read_to_string(golden("buckets.txt")).unwrap();
    let mut rule = None;
    let mut tables = 0;
    let mut rows = 0;
    for line in text.lines() {
        if let Some(settings) = line.strip_prefix("settings ") {
            let n: Vec<u32> = settings.split(' ').map(|number| number.parse().unwrap()).collect();
            let buckets = Buckets { min: n[2], max: n[3], step: n[4], no_upscale: n[5] == 1 };
            rule = Some(Rule::new((n[0], n[1]), Some(&buckets)).unwrap());
            tables += 1;
        } else if let Some(sizes) = line.strip_prefix("sizes") {
            let sizes = sizes.split_whitespace().map(|size| {
                let (width, height) = size.split_once('x').unwrap();
                (width.parse().unwrap(), height.parse().unwrap())
            });
            match rule.as_ref().unwrap() {
                Rule::Nearest(ours) => assert_eq!(*ours, sizes.collect::<Vec<_>>()),
                Rule::NoUpscale { .. } => assert_eq!(sizes.count(), 0),
            }
        } else {
            check_bucket(rule.as_ref().unwrap(), line);
            rows += 1;
        }
    }
    assert_eq!((tables, rows), (7, 1400));
}

/// The source of the resize cases; the same formula is in the generator.
fn formula(width: u32, height: u32) -> Rgb {
    let mut data = Vec::new();
    for y in 0..i64::from(height) {
        for x in 0..i64::from(width) {
            for c in 0..3 {
                let h = (x * 73_856_093) ^ (y * 19_349_663) ^ (c * 83_492_791);
                let h = (h ^ (h >> 13)).wrapping_mul(1_274_126_177) & 0xffff_ffff;
                let noise = (h >> 16) & 0xff;
                let slope = (x * 255 / i64::from(width - 1).max(1) + y * 255 / i64::from(height - 1).max(1)) / 2;
                data.push(if (x / 8 + y / 8) % 2 == 0 { noise } else { slope } as u8);
            }
        }
    }
    Rgb { width, height, data }
}

fn pair(text: &str) -> (u32, u32) {
    let (width, height) = text.split_once('x').unwrap();
    (width.parse().unwrap(), height.parse().unwrap())
}

#[test]
fn resizing_equals_opencv_area_and_pillow_lanczos() {
    let mut cases = 0;
    for entry in std::fs::read_dir(golden("resize")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let parts: Vec<&str> = name.split('_').collect();
        let (source, target) = (pair(parts[1]), pair(parts[2]));
        let ours = fit(&formula(source.0, source.1), &placement(target));
        let (most, share) = difference(&ours, &png(&path));
        println!("{name}: at most {most}, {:.2} % differ", share * 100.0);
        assert!(most == 0, "{name}: {most}, {share}");
        cases += 1;
    }
    assert_eq!(cases, 14);
}

#[test]
fn conformance_images_equal_those_of_sd_scripts() {
    let buckets = Buckets { min: 64, max: 256, step: 64, no_upscale: false };
    let rule = Rule::new((128, 128), Some(&buckets)).unwrap();
    for name in ["sq_00", "sq_02", "ar_00", "ar_01", "ar_05"] {
        let source = png(&golden(&format!("images/{name}.png")));
        let ours = fit(&source, &rule.place((source.width, source.height)).unwrap());
        let (most, share) = difference(&ours, &png(&golden(&format!("images/{name}.expected.png"))));
        println!("{name}: at most {most}, {:.3} % differ", share * 100.0);
        assert!(most == 0, "{name}: {most}, {share}");
    }
}

#[test]
fn every_kind_of_file_decodes_as_in_pillow() {
    let mut cases = 0;
    for entry in std::fs::read_dir(golden("decode")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".expected.png") {
            continue;
        }
        let ours = png(&path);
        assert_eq!(probe::size(&path).unwrap(), (ours.width, ours.height), "{name}");
        let (most, share) = difference(&ours, &png(&path.with_file_name(format!("{name}.expected.png"))));
        println!("{name}: at most {most}, {:.1} % differ", share * 100.0);
        // Lossless kinds and WebP are equal. The JPEG decoder differs from libjpeg in rounding: by 2 at most in full
        // colour (inverse DCT, then a chroma weight up to 1.8), by 4 where colour is stored at half size, because it
        // rounds between the vertical and the horizontal step of bringing colour back to full size and libjpeg does
        // not.
        let allowed = match name.as_str() {
            "rgb.jpg" | "progressive.jpg" => 4,
            jpeg if jpeg.ends_with(".jpg") => 2,
            _ => 0,
        };
        assert!(most <= allowed, "{name}: {most}");
        cases += 1;
    }
    assert_eq!(cases, 19);
}

#[test]
fn transparency_is_noticed() {
    let transparent = |name: &str| decode(&golden("decode").join(name)).unwrap().transparent;
    assert!(transparent("rgba.png") && transparent("palette_transparent.png") && transparent("alpha.webp"));
    assert!(!transparent("rgb.png") && !transparent("rgb.jpg") && !transparent("palette.png"));
}
