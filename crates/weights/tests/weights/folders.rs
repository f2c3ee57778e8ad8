//! Models as folders of diffusers: the tensors of the single file, and what is said about folders that do not fit.
//!
//! `golden/diffusers` is written by oracle/diffusers_folder.py (diffusers 0.32.1).

use std::path::{Path, PathBuf};

use lorabake_weights::checkpoint::Prediction;
use lorabake_weights::{Checkpoint, Family, Loader, NamedTensor, Part, keys};
use tempfile::TempDir;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/diffusers").join(name)
}

/// A copy of the golden folder that may be changed.
fn copy() -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("toy");
    for part in ["", "unet", "vae", "text_encoder", "scheduler"] {
        std::fs::create_dir_all(folder.join(part)).unwrap();
        for entry in std::fs::read_dir(golden("folder").join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                std::fs::copy(&path, folder.join(part).join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    (place, folder)
}

fn refused(path: &Path) -> String {
    let message = Checkpoint::open(path).expect_err("refused").to_string();
    assert!(!message.contains('\n'), "one line: {message}");
    message
}

#[track_caller]
fn same(one: &Checkpoint, other: &Checkpoint) {
    let sorted = |checkpoint: &Checkpoint| {
        let mut names = checkpoint.names().to_vec();
        names.sort();
        names
    };
    assert_eq!(sorted(one), sorted(other));
    for name in one.names() {
        assert_eq!(one.shape(name), other.shape(name), "{name}");
        assert_eq!(one.read_f32(name).unwrap(), other.read_f32(name).unwrap(), "{name}");
    }
}

#[test]
fn a_folder_has_the_tensors_of_the_single_file() {
    let (single, folder) = (Checkpoint::open(&golden("single.safetensors")), Checkpoint::open(&golden("folder")));
    let (single, folder) = (single.unwrap(), folder.unwrap());
    assert_eq!(single.names().len(), 970);
    same(&single, &folder);
    assert_eq!(single.encoder_digest().unwrap(), folder.encoder_digest().unwrap());
    assert_eq!((folder.family(), folder.unexpected_tensors()), (Family::Sd1, vec![]));
    assert_eq!(folder.prediction(), Some(Prediction::V { zero_terminal_snr: true }));
    assert_eq!(single.prediction(), None);
    let name = "up_blocks.1.upsamplers.0.conv.weight";
    let mut loader = Loader::new(&folder, Part::Unet);
    assert_eq!(loader.take(name, &[4, 4, 3, 3]).len(), 144);
}

/// Editors of Windows begin files with a byte order mark.
#[test]
fn settings_may_begin_with_a_byte_order_mark() {
    let (_place, folder) = copy();
    let index = "unet/diffusion_pytorch_model.safetensors.index.fp16.json";
    for file in ["model_index.json", "text_encoder/config.json", "scheduler/scheduler_config.json", index] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        std::fs::write(folder.join(file), format!("\u{feff}{text}")).unwrap();
    }
    let (marked, plain) = (Checkpoint::open(&folder).unwrap(), Checkpoint::open(&golden("folder")).unwrap());
    same(&marked, &plain);
    assert_eq!((marked.family(), marked.prediction()), (plain.family(), plain.prediction()));
}

#[test]
fn whole_files_and_old_names_will_do() {
    let (_place, folder) = copy();
    // The pieces of the UNet, as one file without a variant; it counts before the pieces.
    let pieces = Checkpoint::open(&folder).unwrap();
    let names: Vec<&str> = pieces.names().iter().map(String::as_str).collect();
    let mut tensors = Vec::new();
    for (key, name) in keys::diffusers_names(Part::Unet, &names) {
        let shape = pieces.shape(key).unwrap().to_vec();
        let values = pieces.read_f32(key).unwrap().iter().map(|x| -x).collect();
        tensors.push(NamedTensor { name: name.unwrap(), shape, values });
    }
    let precision = lorabake_recipe::output::SavePrecision::F32;
    let whole = folder.join("unet/diffusion_pytorch_model.safetensors");
    lorabake_weights::lora::save(&whole, tensors, precision, Default::default()).unwrap();
    let key = "model.diffusion_model.out.2.weight";
    let negative: Vec<f32> = pieces.read_f32(key).unwrap().iter().map(|x| -x).collect();
    assert_eq!(Checkpoint::open(&folder).unwrap().read_f32(key).unwrap(), negative);
    // transformers' older name for its files, and diffusers' older names in the VAE's attention.
    let text = folder.join("text_encoder");
    std::fs::rename(text.join("model.safetensors"), text.join("model.fp16.safetensors")).unwrap();
    assert_eq!(Checkpoint::open(&folder).unwrap().names().len(), 970);
    let old = [("group_norm.bias", "norm.bias"), ("query.weight", "q.weight"), ("proj_attn.bias", "proj_out.bias")];
    for (name, key) in old {
        let name = format!("decoder.mid_block.attentions.0.{name}");
        let [found] = &keys::diffusers::checkpoint_keys(Part::Vae, Family::Sd1, &[&name])[..] else { panic!() };
        assert_eq!(found.name, format!("first_stage_model.decoder.mid.attn_1.{key}"));
    }
}

#[test]
fn what_is_missing_is_named_with_its_remedy() {
    for (gone, said) in [
        ("model_index.json", "without model_index.json; give a checkpoint file"),
        ("unet/diffusion_pytorch_model.fp16-00002-of-00004.safetensors", "this file is missing"),
        ("vae/diffusion_pytorch_model.bin", "it has no weights of the VAE"),
        ("text_encoder", "the model has no text encoder; download it whole"),
    ] {
        let (_place, folder) = copy();
        let path = folder.join(gone);
        if path.is_dir() {
            std::fs::remove_dir_all(&path).unwrap()
        } else {
            std::fs::remove_file(&path).unwrap()
        }
        let message = refused(&folder);
        let named = if gone == "model_index.json" { &folder } else { path.parent().unwrap() };
        assert!(message.contains(said) && message.contains(&*named.to_string_lossy()), "{message}");
    }
    let (_place, folder) = copy();
    let message = refused(&folder.join("unet"));
    assert!(message.ends_with(&format!("give the folder of the whole, {}", folder.display())), "{message}");
}

#[test]
fn damaged_and_hostile_folders_are_refused() {
    let index = "unet/diffusion_pytorch_model.safetensors.index.fp16.json";
    for (file, content, said) in [
        (index, r#"{"weight_map": {"conv_in.weight": "../../secret.safetensors"}}"#, "not beside it"),
        (index, r#"{"weight_map": {"conv_in.weight": "/etc/passwd"}}"#, "not beside it"),
        (index, r#"{"weight_map": {}}"#, "names no files"),
        (index, "[", "it is no JSON"),
        ("model_index.json", "", "it is no JSON"),
        ("text_encoder/model.safetensors", "", "it is empty"),
        ("scheduler/scheduler_config.json", r#"{"prediction_type": "sample"}"#, "prediction_type sample"),
    ] {
        let (_place, folder) = copy();
        std::fs::write(folder.join(file), content).unwrap();
        let message = refused(&folder);
        assert!(message.contains(said), "{message}");
        assert!(message.contains(file), "{message}");
    }
    let (_place, folder) = copy();
    std::fs::rename(folder.join("unet"), folder.join("transformer")).unwrap();
    assert!(refused(&folder).contains("without a UNet"));
}

#[test]
fn names_of_the_hub_are_explained() {
    let message = refused(Path::new("runwayml/stable-diffusion-v1-5"));
    assert!(
        message.contains("hf download runwayml/stable-diffusion-v1-5 --local-dir stable-diffusion-v1-5"),
        "{message}"
    );
    assert!(message.contains("never uses the network"), "{message}");
    assert!(refused(Path::new("models/nai.safetensors")).starts_with("cannot read models/nai.safetensors"));
    let cache = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(cache.path().join("snapshots/abc")).unwrap();
    assert!(refused(cache.path()).contains("hub's cache; give"));
}

#[test]
fn a_vae_of_its_own_takes_the_place_of_the_checkpoints() {
    let single = Checkpoint::open(&golden("single.safetensors")).unwrap();
    let vae = |form: &dyn Fn(&str) -> String, sign: f32| {
        let mut tensors = Vec::new();
        for key in single.names().iter().filter(|name| keys::part_of(name) == Some(Part::Vae)) {
            let shape = single.shape(key).unwrap().to_vec();
            let values = single.read_f32(key).unwrap().iter().map(|x| sign * x).collect();
            tensors.push(NamedTensor { name: form(key), shape, values });
        }
        tensors
    };
    let place = tempfile::tempdir().unwrap();
    let bare = |key: &str| key.strip_prefix("first_stage_model.").unwrap().to_string();
    for (file, tensors) in [("whole", vae(&str::to_string, -1.0)), ("bare", vae(&bare, -1.0))] {
        let path = place.path().join(file);
        let precision = lorabake_recipe::output::SavePrecision::F32;
        lorabake_weights::lora::save(&path, tensors, precision, Default::default()).unwrap();
        let mut checkpoint = Checkpoint::open(&golden("folder")).unwrap();
        checkpoint.use_vae(&path).unwrap();
        assert_eq!(checkpoint.names().len(), 970);
        for key in single.names() {
            let sign = if keys::part_of(key) == Some(Part::Vae) { -1.0 } else { 1.0 };
            let expected: Vec<f32> = single.read_f32(key).unwrap().iter().map(|x| sign * x).collect();
            assert_eq!(checkpoint.read_f32(key).unwrap(), expected, "{key}");
        }
    }
    // diffusers' forms: the folder of a model, that of its VAE, the file inside.
    for form in ["folder", "folder/vae", "folder/vae/diffusion_pytorch_model.bin"] {
        let mut checkpoint = Checkpoint::open(&golden("single.safetensors")).unwrap();
        checkpoint.use_vae(&place.path().join("bare")).unwrap();
        checkpoint.use_vae(&golden(form)).unwrap();
        same(&checkpoint, &single);
    }
}

#[test]
fn a_vae_that_is_none_or_does_not_fit_is_named() {
    let mut checkpoint = Checkpoint::open(&golden("single.safetensors")).unwrap();
    for (path, said) in [
        ("folder/text_encoder/model.safetensors", "it is no VAE and has none"),
        ("folder/unet", "it is no VAE; give"),
        ("folder/scheduler", "it has no weights of the VAE"),
        ("missing.safetensors", "cannot read"),
    ] {
        let message = checkpoint.use_vae(&golden(path)).unwrap_err().to_string();
        assert!(message.contains(said) && message.contains(&*golden(path).to_string_lossy()), "{message}");
    }
    checkpoint.use_vae(&golden("folder/vae")).unwrap();
    let message = Loader::new(&checkpoint, Part::Vae).finish().unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}: the VAE does not fit", golden("folder/vae").display())), "{message}");
}

/// Values as torch's `float8_e4m3fn` and `float8_e5m2` have them.
#[test]
fn numbers_of_eight_bits_are_read() {
    use lorabake_weights::formats::tensor_file::TensorFile;
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;
    let read = |dtype, bytes: &[u8]| {
        let view = TensorView::new(dtype, vec![bytes.len()], bytes).unwrap();
        let file = safetensors::serialize([("x", view)], None).unwrap();
        TensorFile::from_bytes("x", file.into()).unwrap().read_f32("x").unwrap()
    };
    let bytes = [0x00, 0x01, 0x07, 0x08, 0x38, 0x39, 0x7e, 0xb8, 0x80];
    let expected = [0.0, 0.001953125, 0.013671875, 0.015625, 1.0, 1.125, 448.0, -1.0, 0.0];
    assert_eq!(read(Dtype::F8_E4M3, &bytes), expected);
    assert!(read(Dtype::F8_E4M3, &[0x7f, 0xff]).iter().all(|value| value.is_nan()));
    let expected = [0.0, 2f32.powi(-16), 1.0, 1.25, 57344.0, -1.0, f32::INFINITY];
    assert_eq!(read(Dtype::F8_E5M2, &[0x00, 0x01, 0x3c, 0x3d, 0x7b, 0xbc, 0x7c]), expected);
}
