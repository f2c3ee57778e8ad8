//! Image encoders from ONNX files: pictures prepared as their own programs do (transformers, by `oracle/onnx_golden.py`), and
//! what is refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lorabake_judge::features::{ImageEncoder, Sight};
use lorabake_testkit::Golden;

use crate::given::{painter, picture};

fn onnx(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/tests/golden").join(name)
}

/// A copy of a file with others beside it.
fn copied(name: &str, beside: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::copy(onnx(name), &path).unwrap();
    for (name, text) in beside {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    (folder, path)
}

#[test]
fn vectors_are_those_of_the_encoders_own_programs() {
    let recorded = Golden::open(onnx("onnx.safetensors"));
    let penny = picture("penny/10_penny/00.png").crop((128, 96), (0, 0));
    let prepared = r#"{"do_center_crop": true, "crop_size": {"height": 56, "width": 56}, "size": {"shortest_edge": 64},
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "resample": 3}"#;
    for name in ["clip_vision", "dinov2", "dino_vit", "sscd_resnet"] {
        let file = format!("{name}.onnx");
        let beside = [("preprocessor_config.json", prepared)];
        let (_folder, path) = copied(&file, if name == "dinov2" { &beside } else { &[] });
        let vector = ImageEncoder::open(&path).unwrap().vector(&penny).unwrap();
        let expected = &recorded.numbers(&format!("penny.{name}"))[..vector.len()];
        // Of DINOv2's 17 tokens the first.
        assert_eq!(vector.len(), *recorded.shape(name).last().unwrap(), "{name}");
        let mut far = 0.0_f32;
        for (own, other) in vector.iter().zip(expected) {
            far = far.max((own - other).abs());
        }
        assert!(far < 1e-4, "{name}: {far}");
    }
}

#[test]
fn tokens_may_be_averaged() {
    let penny = picture("penny/10_penny/00.png");
    let (_folder, path) = copied("dinov2.onnx", &[("dinov2.toml", "pool = \"mean\"")]);
    let mean = ImageEncoder::open(&path).unwrap().vector(&penny).unwrap();
    let first = ImageEncoder::open(&onnx("dinov2.onnx")).unwrap().vector(&penny).unwrap();
    assert_eq!(mean.len(), first.len());
    assert_ne!(mean, first);
}

#[test]
fn pictures_are_compared_by_their_cosine() {
    let encoder = ImageEncoder::open(&onnx("clip_vision.onnx")).unwrap();
    let painter = painter("pocket");
    let sight = Sight::new(&painter, 128, Some(&encoder)).unwrap();
    let pictures: Vec<_> = ["penny/10_penny/00.png", "penny/10_penny/01.png"].map(picture).to_vec();
    let [first, second] = [0, 1].map(|index| sight.features(&pictures[index]).unwrap());
    assert!(Arc::ptr_eq(&first, &sight.features(&pictures[0]).unwrap()));
    let yardstick = sight.yardstick(&[Arc::clone(&first), Arc::clone(&second)]);
    let [one, other] = [0, 1].map(|index| encoder.vector(&pictures[index]).unwrap());
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let cosine = dot(&one, &other) / (dot(&one, &one) * dot(&other, &other)).sqrt();
    for distance in [yardstick.whole(&first, &second), yardstick.subject(&first, &second)] {
        assert!((distance - (1.0 - cosine)).abs() < 1e-5, "{distance} {cosine}");
    }
    assert!(yardstick.subject(&first, &first).abs() < 1e-6);
}

#[test]
fn what_is_no_encoder_is_one_line() {
    let (_folder, path) = copied("clip_vision.onnx", &[("clip_vision.toml", "output = \"embedding\"")]);
    let error = format!("{:#}", ImageEncoder::open(&path).unwrap_err());
    assert!(error.contains("it has no output `embedding` as its .toml says; it has image_embeds"), "{error}");
    let error = format!("{:#}", ImageEncoder::open(&onnx("unknown.onnx")).unwrap_err());
    assert!(error.contains("Frobnicate") && !error.contains('\n'), "{error}");
}
