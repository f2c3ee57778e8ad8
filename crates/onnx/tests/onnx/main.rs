//! Networks of ONNX files against onnxruntime (`oracle/onnx_golden.py`), and files that are none.

use std::path::{Path, PathBuf};

use lorabake_onnx::{Error, Network, Side, Values};
use lorabake_testkit::Golden;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

#[test]
fn networks_give_what_onnxruntime_gives() {
    let recorded = Golden::open(golden("onnx.safetensors"));
    let picture = recorded.numbers("picture").to_vec();
    for name in ["clip_vision", "dinov2", "dino_vit", "sscd_resnet"] {
        let network = Network::open(&golden(&format!("{name}.onnx"))).unwrap();
        let [input] = network.inputs() else { panic!("{name}: {:?}", network.inputs()) };
        assert_eq!(input.shape.as_deref(), Some(&[Side::Free, Side::Fixed(3), Side::Fixed(56), Side::Fixed(56)][..]));
        assert!(input.is_f32 && network.weights() > 10_000, "{network:?}");
        let values = Values { shape: vec![1, 3, 56, 56], values: picture.clone() };
        let seen = network.run(values, 0).unwrap();
        assert_eq!(seen.shape, recorded.shape(name), "{name}");
        recorded.check(name, &seen.values, 1e-5);
    }
}

#[test]
fn a_picture_of_another_size_is_refused() {
    let network = Network::open(&golden("clip_vision.onnx")).unwrap();
    let error = network.run(Values { shape: vec![1, 3, 8, 8], values: vec![0.0; 192] }, 0).unwrap_err().to_string();
    let said = "its input `pixel_values` wants any × 3 × 56 × 56, and was given 1 × 3 × 8 × 8";
    assert!(error.contains("clip_vision.onnx: ") && error.contains(said), "{error}");
}

#[test]
fn what_cannot_be_computed_is_one_line_with_the_operator() {
    let error = Network::open(&golden("unknown.onnx")).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("unknown.onnx: it uses something that is not built in") && text.contains("Frobnicate"),
        "{text}"
    );
    assert!(!text.contains('\n'), "{text}");
}

#[test]
fn a_file_that_is_none_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let text = write("text.onnx", b"<!doctype html><html>404</html>");
    let error = Network::open(&text).unwrap_err();
    assert!(matches!(error, Error::NotOnnx { .. }), "{error:?}");
    let empty = Network::open(&write("empty.onnx", b"")).unwrap_err();
    assert!(!empty.to_string().contains('\n'), "{empty}");
    let missing = Network::open(&folder.path().join("missing.onnx")).unwrap_err();
    assert!(matches!(missing, Error::Unreadable { .. }), "{missing:?}");
}

/// A download that broke off, or a disk that lies: an error or numbers, never an end of the program.
#[test]
fn damaged_files_end_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(golden("dinov2.onnx")).unwrap();
    let path = folder.path().join("damaged.onnx");
    let mut opened = 0;
    for place in 0..60 {
        let at = place * whole.len() / 60;
        let mut damaged = whole[..at].to_vec();
        if place % 2 == 0 {
            damaged = whole.clone();
            damaged[at] ^= 0x55;
        }
        std::fs::write(&path, damaged).unwrap();
        if let Ok(network) = Network::open(&path) {
            opened += 1;
            let values = Values { shape: vec![1, 3, 56, 56], values: vec![0.1; 3 * 56 * 56] };
            if !network.outputs().is_empty() {
                let _seen = network.run(values, 0);
            }
        }
    }
    assert!(opened > 5, "only {opened} of 30 files with one wrong byte were opened");
}
