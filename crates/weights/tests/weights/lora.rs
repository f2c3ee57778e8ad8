//! Reading and writing LoRA files, checked against files that sd-scripts and LyCORIS wrote.
//!
//! `golden/lora_fp16.safetensors`, `golden/ia3.safetensors`: final files of conformance traces n_fp16save and h_ia3.
//! `golden/lora_modules.txt`: written by oracle/key_names.py.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lorabake_recipe::output::SavePrecision;
use lorabake_weights::formats::tensor_file::TensorFile;
use lorabake_weights::keys::kohya::{kohya_name, paths_by_name};
use lorabake_weights::lora::LoraFile;
use lorabake_weights::lora::{RawTensor, save, save_raw};
use lorabake_weights::{Error, NamedTensor, Part, keys};
use safetensors::Dtype;

use crate::golden;

fn golden_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn named(name: &str, shape: &[usize], values: &[f32]) -> NamedTensor {
    NamedTensor { name: name.to_string(), shape: shape.to_vec(), values: values.to_vec() }
}

/// Everything after the header.
fn data(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!((header + 8) % 8, 0, "tensors start at a multiple of eight");
    bytes[8 + header..].to_vec()
}

fn tensors_of(lora: &LoraFile) -> Vec<NamedTensor> {
    let mut tensors = Vec::new();
    for module in &lora.modules {
        tensors.push(named(&format!("{}.alpha", module.name), &[], &[module.alpha]));
        for (suffix, tensor) in &module.tensors {
            tensors.push(named(&format!("{}.{suffix}", module.name), &tensor.shape, &tensor.values));
        }
    }
    tensors
}

fn plain_metadata(file: &TensorFile) -> BTreeMap<String, String> {
    file.metadata().iter().filter(|(key, _)| !key.starts_with("sshs_")).map(|(k, v)| (k.clone(), v.clone())).collect()
}

#[test]
fn a_file_of_sd_scripts_is_saved_again_byte_for_byte() {
    let original = golden_file("lora_fp16.safetensors");
    let lora = LoraFile::open(&original).unwrap();
    assert_eq!((lora.modules.len(), lora.problems.len()), (264, 0));
    assert!(lora.modules.iter().all(|m| m.kind == "LoRA" && m.alpha == 1.0 && m.tensors.len() == 2));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/again.safetensors");
    let metadata = plain_metadata(&TensorFile::open(&original).unwrap());
    let saved = save(&path, tensors_of(&lora), SavePrecision::F16, metadata).unwrap();
    assert_eq!(saved.hashes.model, lora.metadata["sshs_model_hash"]);
    assert_eq!(saved.hashes.legacy, lora.metadata["sshs_legacy_hash"]);
    assert!(saved.not_finite.is_empty());
    assert!(data(&path) == data(&original), "same tensor bytes");
    let (again, original) = (TensorFile::open(&path).unwrap(), TensorFile::open(&original).unwrap());
    assert_eq!(again.metadata(), original.metadata());
    assert_eq!(again.names(), original.names());
    assert!(original.names().iter().all(|name| again.shape(name) == original.shape(name)));
    assert_eq!(
        std::fs::metadata(&path).unwrap().len(),
        std::fs::metadata(golden_file("lora_fp16.safetensors")).unwrap().len()
    );
}

#[test]
fn mixed_types_keep_the_order_of_the_library() {
    let path = golden_file("ia3.safetensors");
    let original = TensorFile::open(&path).unwrap();
    let raw = |name: String| {
        let (dtype, shape) = (original.dtype(&name).unwrap(), original.shape(&name).unwrap().to_vec());
        RawTensor { bytes: original.bytes(&name).unwrap().to_vec(), name, dtype, shape }
    };
    let mut tensors: Vec<RawTensor> = original.names().into_iter().map(raw).collect();
    assert!(tensors.iter().any(|tensor| tensor.dtype == Dtype::I64) && tensors[200].dtype == Dtype::F32);
    tensors.reverse();
    let folder = tempfile::tempdir().unwrap();
    let again = folder.path().join("again.safetensors");
    save_raw(&again, tensors, plain_metadata(&original)).unwrap();
    assert!(data(&again) == data(&path), "same tensor bytes");
    assert_eq!(TensorFile::open(&again).unwrap().names(), original.names());
}

/// As in the file of h_ia3; with `--save_precision=fp16` sd-scripts converts the flag too.
#[test]
fn the_flag_of_ia3_is_an_integer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ia3.safetensors");
    let tensors = || vec![named("lora_te_a.on_input", &[], &[1.0]), named("lora_te_a.weight", &[2], &[0.5, -1.0])];
    for (precision, dtype) in [(SavePrecision::F32, Dtype::I64), (SavePrecision::F16, Dtype::F16)] {
        save(&path, tensors(), precision, BTreeMap::new()).unwrap();
        assert_eq!(TensorFile::open(&path).unwrap().dtype("lora_te_a.on_input"), Some(dtype));
        let read = LoraFile::open(&path).unwrap();
        assert_eq!(
            (read.modules[0].on_input, &read.modules[0].tensors["weight"].values[..]),
            (Some(true), &[0.5, -1.0][..])
        );
    }
}

/// Long enough for the old hash to see tensors; hashes by the Python library and sd-scripts' definitions
/// (`hashlib` over `safetensors.torch.save` of the same values).
#[test]
fn hashes_of_a_large_file() {
    let values: Vec<f32> = (0..400_000).map(|n| (n % 1013) as f32 / 64.0).collect();
    let tensors = || vec![named("lora_unet_a.lora_up.weight", &[400, 1000], &values)];
    let metadata =
        || BTreeMap::from([("ss_steps".to_string(), "7".to_string()), ("modelspec.title".into(), "é".into())]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.safetensors");
    let saved = save(&path, tensors(), SavePrecision::F32, metadata()).unwrap();
    assert_eq!(saved.hashes.model, "7dd1af9e1d19cdd64d1f9d0aaa690d757f35490fefe436f06f3e187a106073b0");
    assert_eq!(saved.hashes.legacy, "f9a3f7e7");
    let saved = save(&path, tensors(), SavePrecision::Bf16, metadata()).unwrap();
    assert_eq!(saved.hashes.model, "3fce3645394b52da3378efd8cbf8db1628a1a8df52f613bedb1bafe21b80a144");
    let bytes = std::fs::read(&path).unwrap();
    save(&path, tensors(), SavePrecision::Bf16, metadata()).unwrap();
    assert!(bytes == std::fs::read(&path).unwrap(), "equal input, equal file");
}

#[test]
fn values_that_do_not_fit_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let tensors = || vec![named("big", &[2], &[1.0, 70_000.0]), named("fine", &[1], &[2.0])];
    assert_eq!(save(&path, tensors(), SavePrecision::F16, BTreeMap::new()).unwrap().not_finite, ["big"]);
    assert!(save(&path, tensors(), SavePrecision::Bf16, BTreeMap::new()).unwrap().not_finite.is_empty());
    let wrong = vec![named("odd", &[2, 2], &[1.0])];
    assert!(matches!(save(&path, wrong, SavePrecision::F32, BTreeMap::new()), Err(Error::SaveShape { .. })));
    let twice = [tensors(), tensors()].concat();
    let message = save(&path, twice, SavePrecision::F32, BTreeMap::new()).unwrap_err().to_string();
    assert!(message.contains("two tensors are named big"), "{message}");
}

fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_failed_save_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("taken");
    std::fs::create_dir(&target).unwrap();
    let message = save(&target, one_tensor(10), SavePrecision::F32, BTreeMap::new()).unwrap_err().to_string();
    assert!(message.starts_with(&format!("cannot save {}: ", target.display())), "{message}");
    assert_eq!(entries(folder.path()), ["taken"]);
    let below_a_file = folder.path().join("file/x.safetensors");
    std::fs::write(folder.path().join("file"), "").unwrap();
    assert!(save(&below_a_file, one_tensor(10), SavePrecision::F32, BTreeMap::new()).is_err());
}

fn one_tensor(values: usize) -> Vec<NamedTensor> {
    vec![named("lora_unet_a.lora_up.weight", &[values], &vec![1.5; values])]
}

/// The environment variable by which the next test calls itself with a limit on the size of files.
#[cfg(unix)]
const FULL: &str = "LORABAKE_TEST_FULL_DISK";

/// A full disk, played by a limit on the size of files: the error names path and cause, the old file survives.
#[test]
#[cfg(unix)]
fn a_full_disk_keeps_the_previous_file() {
    if let Ok(path) = std::env::var(FULL) {
        let error = save(Path::new(&path), one_tensor(100_000), SavePrecision::F32, BTreeMap::new()).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot save {path}: File too large")), "{error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lora.safetensors");
    save(&path, one_tensor(1000), SavePrecision::F32, BTreeMap::new()).unwrap();
    let before = std::fs::read(&path).unwrap();
    let limited = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact lora::a_full_disk_keeps_the_previous_file"])
        .arg(std::env::current_exe().unwrap())
        .env(FULL, &path)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&limited.stdout);
    assert!(limited.status.success() && printed.contains("1 passed"), "{printed}");
    assert_eq!(entries(folder.path()), ["lora.safetensors"]);
    assert!(before == std::fs::read(&path).unwrap());
    save(&path, one_tensor(100_000), SavePrecision::F32, BTreeMap::new()).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() > 400_000, "fits without the limit");
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    std::fs::write(folder.path().join("plain"), "").unwrap();
    assert_eq!(mode(&path), mode(&folder.path().join("plain")), "readable like any file");
}

fn open_with(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> Result<LoraFile, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l.safetensors");
    std::fs::write(&path, golden::safetensors(tensors)).unwrap();
    LoraFile::open(&path)
}

#[test]
fn alpha_may_be_absent_or_whole_and_bad_modules_are_listed() {
    let (f32s, two) = (Dtype::F32, 2i64.to_le_bytes());
    let zeros = [0u8; 64];
    let nan = f32::NAN.to_le_bytes();
    let lora = open_with(&[
        ("lora_unet_a.lora_down.weight", f32s, &[2, 3], &zeros[..24]),
        ("lora_unet_a.lora_up.weight", f32s, &[4, 2], &zeros[..32]),
        ("lora_te_b.lora_down.weight", f32s, &[1, 3, 1, 1], &zeros[..12]),
        ("lora_te_b.lora_mid.weight", f32s, &[1, 1, 3, 3], &zeros[..36]),
        ("lora_te_b.lora_up.weight", f32s, &[4, 1, 1, 1], &zeros[..16]),
        ("lora_te_b.alpha", Dtype::I64, &[], &two),
        ("lora_unet_c.hada_w1_a", f32s, &[1], &zeros[..4]),
        ("lora_unet_d.lora_down.weight", f32s, &[1, 3], &zeros[..12]),
        ("lora_unet_e.lora_down.weight", f32s, &[2, 3], &zeros[..24]),
        ("lora_unet_e.lora_up.weight", f32s, &[4, 3], &zeros[..48]),
        ("lora_unet_f.lora_down.weight", f32s, &[1, 1], &nan),
        ("lora_unet_f.lora_up.weight", f32s, &[1, 1], &zeros[..4]),
        ("lora_unet_g.dora_scale", f32s, &[1, 1], &zeros[..4]),
        ("lora_unet_h.what.weight", f32s, &[1, 1], &zeros[..4]),
        ("stray.x", f32s, &[1, 1], &zeros[..4]),
    ])
    .unwrap();
    let modules: Vec<_> = lora.modules.iter().map(|m| (m.name.as_str(), m.kind, m.alpha, m.tensors.len())).collect();
    assert_eq!(modules, [("lora_te_b", "LoRA", 2.0, 3), ("lora_unet_a", "LoRA", 2.0, 2)]);
    let problems: Vec<String> = lora.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "stray.x: it is no name of a LoRA in kohya's or diffusers' naming",
            "lora_unet_c: hada_w1_b is missing",
            "lora_unet_d: lora_up.weight is missing",
            "lora_unet_e: lora_down [2, 3] and lora_up [4, 3] do not fit together",
            "lora_unet_f: it holds values that are infinite or not a number; the training that made it has failed",
            "lora_unet_g: it has an alpha or dora_scale and nothing else",
            "lora_unet_h: unknown tensor what.weight",
        ]
    );
}

#[test]
fn files_that_are_no_lora_are_named() {
    let one = |name| open_with(&[(name, Dtype::F32, &[1], &[0; 4])]).unwrap_err().to_string();
    for (name, expected) in [
        ("unet.mid_block.attentions.0.to_q.lora_A.weight", "lora_up.weight is missing"),
        ("lora_unet_double_blocks_0.alpha", "it is a LoRA for Flux"),
        ("model.diffusion_model.out.0.weight", "it is a checkpoint"),
        ("lora_unet_a.oft_blocks", "LyCORIS OFT"),
    ] {
        let message = one(name);
        assert!(message.contains(expected) && !message.contains('\n'), "{message}");
    }
    let ia3 = LoraFile::open(&golden_file("ia3.safetensors")).unwrap();
    assert_eq!((ia3.modules.len(), ia3.problems.len()), (116, 0));
    assert!(ia3.modules.iter().all(|module| module.kind == "IA3" && module.on_input == Some(false)));
}

/// The layers that sd-scripts adapts, found in the diffusers names by its rules, have the module names of its files.
#[test]
fn module_names_are_those_of_sd_scripts() {
    let mut sections: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut section = "";
    for line in include_str!("../golden/lora_modules.txt").lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix('[') {
            Some(name) => section = name.trim_end_matches(']'),
            None => _ = sections.entry(section).or_default().insert(line.to_string()),
        }
    }
    let pairs = golden::key_names();
    let sites = pairs.iter().filter_map(|(key, name)| Some((keys::part_of(key)?, name.strip_suffix(".weight")?)));
    let sites: Vec<(Part, &str)> = sites.filter(|(_, path)| !path.contains("norm") && *path != "conv_in").collect();
    let attention = |part: Part, path: &str| match part {
        Part::Unet => path.contains(".attentions."),
        Part::TextEncoder => path.contains(".self_attn.") || path.contains(".mlp."),
        Part::TextEncoder2 | Part::Vae => false,
    };
    let convolution =
        |part: Part, path: &str| part == Part::Unet && ["resnets.", "samplers."].iter().any(|kind| path.contains(kind));
    let names = |chosen: &dyn Fn(Part, &str) -> bool| -> BTreeSet<String> {
        let chosen = sites.iter().filter(|(part, path)| chosen(*part, path));
        chosen.filter_map(|(part, path)| kohya_name(*part, path)).collect()
    };
    assert_eq!(names(&attention), sections["lierla"]);
    assert_eq!(names(&|part, path| attention(part, path) || convolution(part, path)), sections["c3lier"]);
    assert_eq!((sections["lierla"].len(), sections["c3lier"].len()), (264, 350));
    let known = paths_by_name(sites.iter().copied());
    for name in &sections["c3lier"] {
        let (part, path) = known[name];
        assert_eq!(kohya_name(part, path).as_ref(), Some(name));
    }
    assert_eq!(known["lora_te_text_model_encoder_layers_3_mlp_fc1"].1, "text_model.encoder.layers.3.mlp.fc1");
    assert_eq!(kohya_name(Part::Vae, "quant_conv"), None);
}
