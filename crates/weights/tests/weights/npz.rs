//! `.npz` files: those of NumPy and sd-scripts are read, ours come back as they were, damaged ones are refused.
//!
//! `golden/npz`: written by sd-scripts' own code and NumPy, see `oracle/latents_npz.py`.

use std::path::{Path, PathBuf};

use lorabake_weights::Error;
use lorabake_weights::formats::npz::{Array, Npz};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/npz").join(name)
}

/// The generator's numbers.
fn numbers(shape: &[usize], first: usize) -> Array<f32> {
    let values = (0..shape.iter().product()).map(|i| ((37 * i + first) % 101) as f32 / 8.0 - 6.0).collect();
    Array { shape: shape.to_vec(), values }
}

#[test]
fn the_latents_of_sd_scripts_are_read() {
    let plain = Npz::read(&golden("plain.npz")).unwrap();
    let names: Vec<_> = plain.names().collect();
    assert_eq!(names, ["alpha_mask", "crop_ltrb", "latents", "latents_flipped", "original_size"]);
    assert_eq!(plain.get("latents"), Some(numbers(&[4, 8, 8], 0)));
    assert_eq!(plain.get("latents_flipped"), Some(numbers(&[4, 8, 8], 5)));
    assert_eq!(plain.get("original_size"), Some(Array { shape: vec![2], values: vec![72i64, 64] }));
    assert_eq!(plain.get("crop_ltrb"), Some(Array { shape: vec![4], values: vec![0.0f64, 3.0, 64.0, 61.0] }));
    assert_eq!(plain.get::<f32>("alpha_mask").unwrap().shape, [64, 64]);
    // Another type of numbers is none that was asked for.
    assert_eq!((plain.get::<f64>("latents"), plain.get::<i32>("original_size")), (None, None));

    let sizes = Npz::read(&golden("sizes.npz")).unwrap();
    assert_eq!(sizes.get("latents_8x8"), Some(numbers(&[4, 8, 8], 8)));
    assert_eq!(sizes.get("latents_8x16"), Some(numbers(&[4, 8, 16], 16)));
    assert_eq!(sizes.get::<f32>("latents"), None);
}

#[test]
fn packed_arrays_are_read_and_unknown_ones_survive() {
    let mut packed = Npz::read(&golden("packed.npz")).unwrap();
    assert_eq!(packed.get("latents"), Some(numbers(&[4, 8, 8], 0)));
    assert_eq!(packed.get("original_size"), Some(Array { shape: vec![2], values: vec![72i32, 64] }));
    // Columns first, and text.
    assert_eq!((packed.get::<f32>("fortran"), packed.get::<f32>("words")), (None, None));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("again.npz");
    let before = packed.clone();
    packed.put("seal", &[3], &[1u8, 2, 3]);
    packed.put("number", &[], &[2.5f64]);
    packed.write(&path).unwrap();
    let mut again = Npz::read(&path).unwrap();
    assert_eq!(again, packed);
    assert_eq!(again.get("seal"), Some(Array { shape: vec![3], values: vec![1u8, 2, 3] }));
    assert_eq!(again.get("number"), Some(Array { shape: vec![], values: vec![2.5f64] }));
    again.remove("seal");
    again.remove("number");
    assert_eq!(again, before);
}

#[test]
fn a_file_that_is_not_whole_is_refused() {
    let whole = std::fs::read(golden("plain.npz")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broken.npz");
    let mut flipped = whole.clone();
    flipped[1000] ^= 1;
    for bytes in [&whole[..whole.len() - 30], &whole[..whole.len() / 2], &whole[..3], b"", b"text", &flipped] {
        std::fs::write(&path, bytes).unwrap();
        let error = Npz::read(&path).unwrap_err();
        assert!(matches!(error, Error::NotNpz { .. }), "{error}");
        assert!(error.to_string().contains("broken.npz is no whole .npz file: "), "{error}");
    }
    assert!(matches!(Npz::read(&dir.path().join("absent.npz")), Err(Error::Read { .. })));
}
