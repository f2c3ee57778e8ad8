//! Pixels against what Pillow 9.5 and OpenCV 4.8 made of the same images (`oracle/pixels_golden.py`), and files with alpha.

use lorabake_pixels::pillow::{self, Filter};
use lorabake_pixels::{Gray, Image, Rgb, Rgba, decode_rgba, opencv};
use safetensors::SafeTensors;

/// What is recorded of one random image.
struct Recorded<'a> {
    file: &'a SafeTensors<'a>,
    case: usize,
}

impl Recorded<'_> {
    fn image<const C: usize>(&self, name: &str) -> Image<C> {
        let view = self.file.tensor(&format!("{}.{name}", self.case)).unwrap();
        assert_eq!(view.shape()[2], C, "{name}");
        Image { width: view.shape()[1] as u32, height: view.shape()[0] as u32, data: view.data().to_vec() }
    }

    /// The image called by `prefix` and a number, with the number.
    fn blurred(&self, prefix: &str) -> (f64, Rgb) {
        let begin = format!("{}.{prefix}", self.case);
        let name = self.file.names().into_iter().find(|name| name.starts_with(&begin)).unwrap();
        (name[begin.len()..].parse().unwrap(), self.image(&name[name.find('.').unwrap() + 1..]))
    }
}

fn on_each(check: impl Fn(&Recorded)) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/random.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for case in 0..5 {
        check(&Recorded { file: &file, case });
    }
}

#[test]
fn pillow_resizes_as_recorded() {
    let filters = [
        ("pillow_box", Filter::Box),
        ("pillow_bilinear", Filter::Bilinear),
        ("pillow_bicubic", Filter::Bicubic),
        ("pillow_lanczos", Filter::Lanczos),
    ];
    on_each(|recorded| {
        let image: Rgb = recorded.image("image");
        for (name, filter) in filters {
            let wanted: Rgb = recorded.image(name);
            assert_eq!(pillow::resize(&image, wanted.size(), filter), wanted, "{name}");
            let all = pillow::resize_and_crop(&image, wanted.size(), wanted.size(), (0, 0), filter);
            assert_eq!(all, wanted, "{name}");
        }
        let wanted: Rgb = recorded.image("pillow_nearest");
        assert_eq!(pillow::resize_nearest(&image, wanted.size()), wanted);
    });
}

#[test]
fn pillow_blurs_lays_over_and_converts_as_recorded() {
    on_each(|recorded| {
        let image: Rgb = recorded.image("image");
        let (radius, wanted) = recorded.blurred("pillow_blur_");
        assert_eq!(pillow::gaussian_blur(&image, radius as f32), wanted);
        let below: Rgba = recorded.image("below");
        let above: Rgba = recorded.image("above");
        assert_eq!(pillow::alpha_composite(&below, &above), recorded.image("alpha_composite"));
        assert_eq!(pillow::straight(&pillow::premultiplied(&above)), recorded.image("straight"));
        assert_eq!(pillow::flattened(&above, [255; 3]), recorded.image("flattened"));
        assert_eq!(pillow::gray(&image), recorded.image("gray"));
    });
}

#[test]
fn opencv_resizes_as_recorded() {
    on_each(|recorded| {
        let image: Rgb = recorded.image("image");
        let size = recorded.image::<3>("opencv_area").size();
        assert_eq!(opencv::area(&image, size), recorded.image("opencv_area"));
        assert_eq!(opencv::linear(&image, size), recorded.image("opencv_linear"));
        assert_eq!(opencv::nearest(&image, size), recorded.image("opencv_nearest"));
        // A value that lies half between two may go either way.
        let wanted: Rgb = recorded.image("opencv_cubic");
        let ours = opencv::cubic(&image, size);
        let apart = ours.data.iter().zip(&wanted.data).map(|(own, other)| own.abs_diff(*other));
        assert!(apart.clone().all(|apart| apart <= 1));
        assert!(apart.filter(|apart| *apart > 0).count() * 100 <= wanted.data.len());
    });
}

#[test]
fn opencv_blurs_finds_edges_and_converts_as_recorded() {
    on_each(|recorded| {
        let image: Rgb = recorded.image("image");
        let (sigma, wanted) = recorded.blurred("opencv_blur_");
        let kernel = opencv::Kernel::of_u8(sigma);
        assert_eq!(opencv::gaussian_blur(&image, kernel, kernel), wanted);
        assert_eq!(opencv::canny(&image, 60.0, 180.0), recorded.image("canny"));
        let red: Gray = image.map(|[red, _, _]| [red]);
        assert_eq!(opencv::otsu(&red), recorded.image("otsu"));
        assert_eq!(opencv::rgb_to_lab(&image), recorded.image("lab"));
        assert_eq!(opencv::lab_to_rgb(&image), recorded.image("unlab"));
    });
}

#[test]
fn pasting_cuts_what_lies_outside() {
    let top = Gray { width: 2, height: 2, data: vec![1, 2, 3, 4] };
    for (at, wanted) in [
        ((-1, -1), [4, 0, 0, 0]),
        ((0, 0), [1, 2, 3, 4]),
        ((1, 1), [0, 0, 0, 1]),
        ((1, 0), [0, 1, 0, 3]),
        ((2, 0), [0; 4]),
        ((-2, 0), [0; 4]),
        ((i64::from(u32::MAX), 0), [0; 4]),
    ] {
        let mut base = Gray::filled((2, 2), [0]);
        pillow::paste(&mut base, &top, at);
        assert_eq!(base.data, wanted, "{at:?}");
    }
}

#[test]
fn files_keep_their_alpha_and_get_one_if_they_have_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    image::RgbaImage::from_pixel(2, 1, image::Rgba([1, 2, 3, 4])).save(&path).unwrap();
    assert_eq!(decode_rgba(&path).unwrap().data, [1, 2, 3, 4, 1, 2, 3, 4]);
    image::RgbImage::from_pixel(1, 1, image::Rgb([1, 2, 3])).save(&path).unwrap();
    assert_eq!(decode_rgba(&path).unwrap().data, [1, 2, 3, 255]);
    image::ImageBuffer::from_pixel(1, 1, image::LumaA([0x1234_u16, 0x5678])).save(&path).unwrap();
    assert_eq!(decode_rgba(&path).unwrap().data, [0x12, 0x12, 0x12, 0x56]);
    image::ImageBuffer::from_pixel(1, 1, image::Luma([0x1234_u16])).save(&path).unwrap();
    assert_eq!(decode_rgba(&path).unwrap().data, [0x12, 0x12, 0x12, 255]);
    std::fs::write(&path, [0; 9]).unwrap();
    assert!(decode_rgba(&path).unwrap_err().to_string().contains("a.png: "));
}
