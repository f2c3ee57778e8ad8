//! Colours, face crops, prompt weights and masks against sd-scripts' own functions (`oracle/data_augment.py`), and what
//! one use of an image shows.

use std::path::{Path, PathBuf};

use lorabake_data::bucket::Layout;
use lorabake_data::caption::emphasis;
use lorabake_data::image::color::ColorShift;
use lorabake_data::image::face::{Face, FaceFrame};
use lorabake_data::image::view::{Source, View};
use lorabake_data::image::{Rgb, decode, mask};
use lorabake_data::scan;
use lorabake_recipe::data::{Data, Mask};
use lorabake_recipe::seed::{Seed, UseId};

use crate::temp_folder::TempFolder;

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/augment").join(file)
}

fn text(file: &str) -> String {
    std::fs::read_to_string(golden(file)).unwrap()
}

fn pixels(file: &str) -> Rgb {
    decode(&golden(file)).unwrap().image
}

#[test]
fn colours_change_as_in_opencv() {
    let source = pixels("color_source.png");
    let shifts = [-7.3, -0.2, 0.4, 5.9].map(|steps| (format!("hue_{steps}.png"), ColorShift::Hue(steps)));
    let powers = [0.951, 1.047].map(|power| (format!("gamma_{power}.png"), ColorShift::Gamma(power)));
    for (file, shift) in shifts.into_iter().chain(powers) {
        let (ours, theirs) = (shift.apply(&source), pixels(&file));
        assert_ne!(theirs, source, "{file}");
        let worst = ours.data.iter().zip(&theirs.data).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        let differ = ours.data.iter().zip(&theirs.data).filter(|(a, b)| a != b).count();
        assert_eq!((worst, differ), (0, 0), "{file}");
    }
}

#[test]
fn one_use_in_three_has_other_colours() {
    let mut rng = Seed(1).stream("test", &[]);
    let drawn: Vec<_> = (0..6000).map(|_| ColorShift::draw(&mut rng)).collect();
    let share = |is: &dyn Fn(&Option<ColorShift>) -> bool| drawn.iter().filter(|x| is(x)).count() as f64 / 6000.0;
    let hue = share(&|x| matches!(x, Some(ColorShift::Hue(steps)) if steps.abs() <= 8.0));
    let gamma = share(&|x| matches!(x, Some(ColorShift::Gamma(power)) if (0.95..=1.05).contains(power)));
    assert!((0.145..0.185).contains(&hue) && (0.145..0.185).contains(&gamma), "{hue} {gamma}");
    assert!((hue + gamma - share(&Option::is_some)).abs() < 1e-9);
}

#[test]
fn faces_are_read_from_names_with_four_numbers() {
    let face = |name: &str| Face::in_name(Path::new(name)).map(|face| (face.center, face.size));
    assert_eq!(face("x/penny_256_200_90_110.png"), Some(((256, 200), (90, 110))));
    assert_eq!(face("a_b_1_2_3_4.jpg"), Some(((1, 2), (3, 4))));
    for name in ["penny.png", "256_200_90_110.png", "penny_a_200_90_110.png", "penny_0_200_90_110.png", "p_5_5_0_0.png"]
    {
        assert_eq!(face(name), None, "{name}");
    }
}

/// The recorded crops: without chance between two limits they are equal; with it, all lie between the two.
#[test]
fn faces_are_cropped_as_in_sd_scripts() {
    let rows: Vec<Vec<f64>> =
        text("faces.txt").lines().map(|line| line.split(' ').map(|x| x.parse().unwrap()).collect()).collect();
    let mut rng = Seed(1).stream("test", &[]);
    let mut moved = 0;
    for pair in rows.chunks_exact(2) {
        let row: Vec<u32> = pair[0].iter().map(|x| *x as u32).collect();
        let face = Face { center: (row[4], row[5]), size: (row[6], row[7]) };
        let range = (pair[0][8], pair[0][9]);
        let frame = FaceFrame::new(face, (row[0], row[1]), (row[2], row[3]), range, false).unwrap();
        let (least, most) = (pair[0][11] as u32, pair[1][11] as u32);
        let drawn: Vec<_> = (0..400).map(|_| frame.draw(&mut rng)).collect();
        for crop in &drawn {
            assert!((least..=most).contains(&crop.resized.0), "{row:?} {crop:?}");
            assert!(crop.at.0 + row[2] <= crop.resized.0 && crop.at.1 + row[3] <= crop.resized.1, "{crop:?}");
        }
        if range.0 == range.1 {
            let expected = (row[11], row[12], row[13], row[14]);
            assert!(drawn.iter().all(|c| (c.resized.0, c.resized.1, c.at.0, c.at.1) == expected), "{row:?}");
        } else if least < most {
            let span = f64::from(most - least);
            let widths: Vec<f64> = drawn.iter().map(|crop| f64::from(crop.resized.0 - least) / span).collect();
            let mean = widths.iter().sum::<f64>() / widths.len() as f64;
            assert!((0.4..0.6).contains(&mean), "{row:?}: {mean}");
            moved += 1;
        } else {
            // The reference has no shift by chance; ours is at most a twentieth of the face.
            let far = f64::from(face.size.0.max(face.size.1)) / 20.0 + 1.0;
            let off = |a: u32, b: f64| (f64::from(a) - b).abs() <= far;
            assert!(drawn.iter().all(|crop| off(crop.at.0, pair[0][13]) && off(crop.at.1, pair[0][14])), "{row:?}");
        }
    }
    assert!(moved >= 3);
    let face = Face { center: (50, 50), size: (20, 20) };
    assert_eq!(FaceFrame::new(face, (512, 512), (512, 512), (2.0, 4.0), false), None, "nothing to crop");
    assert_eq!(FaceFrame::new(face, (300, 900), (512, 512), (2.0, 4.0), false), None, "too small");
}

#[test]
fn prompts_have_the_weights_of_sd_scripts() {
    let table = text("prompts.txt");
    for line in table.lines() {
        let mut fields = line.split('\t');
        let prompt = fields.next().unwrap();
        let ours = emphasis::parse(prompt);
        for part in &ours {
            assert_eq!(part.weight, fields.next().unwrap().parse::<f64>().unwrap(), "{line}");
            assert_eq!(part.text, fields.next().unwrap(), "{line}");
        }
        assert_eq!(fields.next(), None, "{line}");
    }
    assert!(table.lines().count() > 20);
    // sd-scripts stops at a number of this form.
    assert_eq!(emphasis::parse("(a:1.2.3)")[0].text, "a:1.2.3");
}

#[test]
fn masks_have_the_mean_of_the_pixels_of_each_latent() {
    let source = Rgb { width: 96, height: 64, data: formula(96, 64) };
    let expected: Vec<f32> = text("mask.txt").split_whitespace().map(|x| x.parse().unwrap()).collect();
    let ours = mask::weights(&source);
    assert_eq!(ours.len(), 96);
    for (a, b) in ours.iter().zip(&expected) {
        // sd-scripts takes the way by -1 to 1, which costs some last bits.
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
}

/// `formula` of `oracle/data_resize.py`.
fn formula(width: u32, height: u32) -> Vec<u8> {
    let value = |x: u32, y: u32, c: u32| {
        let h = (u64::from(x) * 73856093) ^ (u64::from(y) * 19349663) ^ (u64::from(c) * 83492791);
        let h = ((h ^ (h >> 13)).wrapping_mul(1274126177)) & 0xffff_ffff;
        let slope = (x * 255 / (width - 1).max(1) + y * 255 / (height - 1).max(1)) / 2;
        if (x / 8 + y / 8).is_multiple_of(2) { (h >> 16 & 255) as u8 } else { slope as u8 }
    };
    let rows = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    rows.flat_map(|(x, y)| (0..3).map(move |c| value(x, y, c))).collect()
}

/// The source of the only image of a data set.
fn source(data: &Data) -> Source {
    let dataset = scan(data).unwrap();
    let layout = Layout::new(&dataset, data).unwrap();
    Source::load(&dataset.items[0], &layout.placements[0], data).unwrap()
}

fn views(source: &Source) -> Vec<View> {
    (0..60).map(|position| source.draw(Seed(5), UseId { epoch: 0, position }).unwrap()).collect()
}

#[test]
fn without_augmentation_every_use_is_the_same() {
    let folder = TempFolder::new();
    folder.image("train/1_x/penny_50_40_70_60.png", 300, 200);
    let data = Data { buckets: None, cache_latents: false, ..folder.data() };
    let source = source(&data);
    assert!(!source.varies() && views(&source).iter().all(|view| *view == source.unaugmented().unwrap()));
}

#[test]
fn colours_vary_and_come_again_with_the_same_seed() {
    let folder = TempFolder::new();
    folder.image("train/1_x/a.png", 128, 128);
    let data = Data { color_aug: true, cache_latents: false, ..folder.data() };
    let source = source(&data);
    let views = views(&source);
    let changed = views.iter().filter(|view| **view != source.unaugmented().unwrap()).count();
    assert!((10..35).contains(&changed), "{changed}");
    assert_eq!(source.draw(Seed(5), UseId { epoch: 0, position: 7 }).unwrap(), views[7]);
}

#[test]
fn a_face_is_always_in_the_crop_and_the_mask_goes_with_it() {
    let folder = TempFolder::new();
    // White around (420, 90), black elsewhere; the mask says the same.
    let paint = |x: u32, y: u32| [if x.abs_diff(420) < 40 && y.abs_diff(90) < 40 { 255 } else { 0 }; 3];
    let image = image::RgbImage::from_fn(600, 400, |x, y| image::Rgb(paint(x, y)));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    let bytes = bytes.into_inner();
    folder.file("train/1_x/a_420_90_80_80.png", &bytes).file("masks/a_420_90_80_80.png", &bytes);
    let masks = Some(Mask::Folder(folder.path("masks")));
    let data = Data { face_crop: Some((1.0, 2.0)), mask: masks, buckets: None, cache_latents: false, ..folder.data() };
    let source = source(&data);
    assert!(source.has_face() && source.varies());
    let white = |image: &Rgb| image.data.iter().filter(|value| **value > 128).count() / 3;
    let mut shares: Vec<usize> = Vec::new();
    for view in views(&source) {
        assert_eq!((view.image.width, view.image.height), (128, 128));
        assert_eq!(Some(&view.image), view.mask.as_ref(), "mask and image are cropped alike");
        shares.push(white(&view.image));
    }
    shares.sort_unstable();
    // At twice the face it covers a quarter of the crop, at its own size most of it.
    assert!((3500..5500).contains(&shares[0]) && shares[59] > 6000, "{shares:?}");
}

#[test]
fn alpha_is_a_mask_and_no_longer_a_warning() {
    let folder = TempFolder::new();
    let paint = |x: u32, _: u32| image::Rgba([10, 20, 30, if x < 64 { 0 } else { 255 }]);
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbaImage::from_fn(128, 128, paint).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    folder.file("train/1_x/a.png", bytes.into_inner());
    let data = Data { mask: Some(Mask::Alpha), ..folder.data() };
    let masked = source(&data);
    let weights = mask::weights(&masked.unaugmented().unwrap().mask.unwrap());
    let row: Vec<f32> = [[0.0; 8], [1.0; 8]].concat();
    assert!(weights.chunks_exact(16).all(|weights| weights == row), "{weights:?}");
    let mirrored = masked.unaugmented().unwrap().flip_horizontal();
    assert_eq!(mask::weights(&mirrored.mask.unwrap())[..8], [1.0; 8]);
    assert!(!masked.transparent && source(&folder.data()).transparent);
    assert_eq!(source(&folder.data()).unaugmented().unwrap().mask, None);
    // No alpha channel: everything counts.
    let plain = TempFolder::new();
    plain.image("train/1_x/a.png", 128, 128);
    let weights =
        mask::weights(&source(&Data { mask: Some(Mask::Alpha), ..plain.data() }).unaugmented().unwrap().mask.unwrap());
    assert!(weights.iter().all(|weight| *weight == 1.0));
}
