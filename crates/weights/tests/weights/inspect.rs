//! What `inspect` finds in files that sd-scripts, LyCORIS, diffusers, PEFT and NumPy wrote, and in broken ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lorabake_weights::Checkpoint;
use lorabake_weights::checkpoint::Prediction;
use lorabake_weights::file_kind::FileKind;
use lorabake_weights::inspect::{BlockReport, Fact, FileReport, Ignored, Unused, Vectors, inspect};
use lorabake_weights::lora::LoraFile;
use safetensors::Dtype;
use sha2::{Digest, Sha256};

use crate::golden;

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn look(name: &str) -> FileReport {
    inspect(&tests().join(name), false).unwrap_or_else(|error| panic!("{error}"))
}

/// A file with these tensors of zeros.
fn made(tensors: &[(&str, &[usize])]) -> FileReport {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.safetensors");
    let zeros = vec![0u8; 1 << 20];
    let sized = |shape: &[usize]| &zeros[..4 * shape.iter().product::<usize>()];
    let tensors: Vec<_> = tensors.iter().map(|(name, shape)| (*name, Dtype::F32, *shape, sized(shape))).collect();
    std::fs::write(&path, golden::safetensors(&tensors)).unwrap();
    inspect(&path, false).unwrap()
}

/// The values of a fact, `-` for a missing one, as `inspect` shows them.
fn value(facts: &[Fact], what: &str) -> String {
    let Some(fact) = facts.iter().find(|fact| fact.what == what) else { return String::new() };
    fact.values.iter().map(|value| value.as_deref().unwrap_or("-")).collect::<Vec<_>>().join(" / ")
}

fn programs(ignored: &[Ignored], what: &Unused) -> Vec<&'static str> {
    ignored.iter().filter(|ignored| ignored.what == *what).map(|ignored| ignored.host).collect()
}

#[test]
fn a_lora_of_sd_scripts() {
    let report = look("lora_fp16.safetensors");
    let path = tests().join("lora_fp16.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!((report.kind, report.bytes), (FileKind::Adapter, bytes.len() as u64));
    assert_eq!(report.prediction, Some(Prediction::Epsilon));
    assert_eq!(report.family.as_deref(), Some("Stable Diffusion 1.x"), "by its metadata: it is a toy");
    let adapter = report.adapter.as_ref().unwrap();
    assert_eq!(adapter.algorithms.iter().copied().collect::<Vec<_>>(), ["LoRA"]);
    assert_eq!((adapter.unet_modules, adapter.naming, adapter.dora), (192, "kohya", false));
    // LierLa adapts all blocks with attention, as guides list them.
    let names: Vec<&str> = adapter.blocks.iter().map(|block| block.name.as_str()).collect();
    let expected = "TE IN01 IN02 IN04 IN05 IN07 IN08 M00 OUT03 OUT04 OUT05 OUT06 OUT07 OUT08 OUT09 OUT10 OUT11";
    assert_eq!(names.join(" "), expected);
    let block = &adapter.blocks[1];
    assert_eq!((block.modules, block.ranks.len(), block.alphas.len()), (12, 1, 1), "{block:?}");
    // The hashes are those of the file, and those that sd-scripts wrote.
    let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let hashes = report.hashes.as_ref().unwrap();
    assert_eq!(hashes.sha256.as_deref(), Some(sha256.as_str()));
    assert!(hashes.tensors.is_some() && hashes.tensors == hashes.recorded_tensors, "{hashes:?}");
    assert_eq!(hashes.recorded_legacy.as_ref().map(String::len), Some(8));
    assert_eq!(hashes.legacy.len(), 8);
    for (what, expected) in
        [("steps / of", "3 / 3"), ("UNet / text encoder", "- / 0.0005"), ("rank / alpha", "1 / 1.0")]
    {
        assert_eq!(value(&report.training, what), expected);
    }
    assert!(!report.folders.is_empty() && !report.tags.is_empty(), "{report:?}");
    assert!(report.tags.windows(2).all(|pair| pair[0].1 >= pair[1].1));
    assert!(report.ignored.is_empty() && report.unknown.is_empty());
}

#[test]
fn a_changed_lora_is_noticed() {
    let mut bytes = std::fs::read(tests().join("lora_fp16.safetensors")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.safetensors");
    std::fs::write(&path, bytes).unwrap();
    let report = inspect(&path, true).unwrap();
    let hashes = report.hashes.unwrap();
    assert!(hashes.recorded_tensors.is_some() && hashes.tensors != hashes.recorded_tensors, "{hashes:?}");
}

#[test]
fn adapters_of_other_programs() {
    let ia3 = look("ia3.safetensors");
    assert!(ia3.adapter.unwrap().algorithms.contains("IA3"));
    assert_eq!(programs(&ia3.ignored, &Unused::Algorithms(vec!["IA3"])), ["ComfyUI", "diffusers", "sd-scripts"]);
    let diffusers = look("peft/diffusers.safetensors");
    let adapter = diffusers.adapter.unwrap();
    assert_eq!((adapter.naming, adapter.unet_modules, adapter.text_modules), ("diffusers or PEFT", 4, 6));
    let block = |name: &str, modules, rank, alpha: &str| BlockReport {
        name: name.into(),
        modules,
        ranks: [rank].into(),
        alphas: [alpha.to_owned()].into(),
        change: None,
    };
    assert!(adapter.blocks.iter().all(|block| block.change.is_some_and(|change| change.modules == block.modules)));
    let blocks: Vec<BlockReport> =
        adapter.blocks.into_iter().map(|block| BlockReport { change: None, ..block }).collect();
    assert_eq!(blocks, [block("TE", 6, 3, "rank"), block("M00", 4, 2, "rank")]);
    assert_eq!(programs(&diffusers.ignored, &Unused::OtherNames), ["web UI", "sd-scripts"]);
    let peft = look("peft/adapter/adapter_model.safetensors").adapter.unwrap();
    assert!(peft.dora && peft.convolutions);
    assert_eq!(peft.blocks[0].alphas.iter().collect::<Vec<_>>(), ["5", "7"]);
    let other = made(&[
        ("lora_unet_input_blocks_4_1_proj_in.hada_w1_a", &[8, 2]),
        ("lora_unet_input_blocks_4_1_proj_in.hada_w1_b", &[2, 8]),
        ("lora_unet_output_blocks_5_1_proj_in.oft_blocks", &[2, 4, 4]),
        ("lora_te2_text_model_encoder_layers_0_mlp_fc1.lokr_w1", &[2, 2]),
        ("bundle_emb.penny.clip_l", &[1, 768]),
        ("stray", &[1]),
    ]);
    let adapter = other.adapter.unwrap();
    assert_eq!(adapter.algorithms.iter().copied().collect::<Vec<_>>(), ["LoHa", "LoKr", "OFT"]);
    assert_eq!(adapter.blocks.iter().map(|block| block.name.as_str()).collect::<Vec<_>>(), ["TE2", "IN04", "OUT05"]);
    assert_eq!((other.family.as_deref(), other.unknown.join(" ").as_str()), (Some("SDXL base"), "stray"));
    let embeddings = Unused::BundledEmbeddings(1);
    assert_eq!(programs(&other.ignored, &embeddings), ["ComfyUI", "diffusers", "sd-scripts"]);
}

/// Against LyCORIS' own whole weights (oracle/change_golden.py).
#[test]
fn the_size_of_changes_is_that_of_lycoris_weights() {
    let text = std::fs::read_to_string(tests().join("change/norms.json")).unwrap();
    let expected: BTreeMap<String, f64> = serde_json::from_str(&text).unwrap();
    let adapter = look("change/adapters.safetensors").adapter.unwrap();
    assert_eq!(adapter.changes.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (module, norm) in &expected {
        let ours = adapter.changes[module];
        assert!((ours - norm).abs() < 1e-6 * norm, "{module}: {ours}, LyCORIS {norm}");
    }
    let block = adapter.blocks.iter().find(|block| block.name == "OUT11").unwrap().change.unwrap();
    let (a, b) = (expected["lora_unet_up_blocks_3_resnets_2_conv1"], expected["lora_unet_up_blocks_3_resnets_2_norm1"]);
    assert_eq!(block.modules, 2);
    for (ours, expected) in [(block.mean, (a + b) / 2.0), (block.largest, a), (block.whole, a.hypot(b))] {
        assert!((ours - expected).abs() < 1e-6 * expected, "{block:?}");
    }
    // Without the model, the change of IA3 is unknown.
    assert!(look("ia3.safetensors").adapter.unwrap().changes.is_empty());
    // Tensors that do not fit are none, not a panic.
    let odd = [("lora_unet_a.lora_up.weight", &[4, 3][..]), ("lora_unet_a.lora_down.weight", &[2, 4])];
    assert!(made(&odd).adapter.unwrap().changes.is_empty());
}

#[test]
fn models_and_their_parts() {
    let single = look("diffusers/single.safetensors");
    assert_eq!((single.kind, single.tensors, single.prediction), (FileKind::Checkpoint, 970, None));
    assert_eq!(single.family.as_deref(), Some("Stable Diffusion 1.x"));
    assert_eq!(single.dtypes["F16"], 970);
    let folder = look("diffusers/folder");
    assert_eq!((folder.kind, folder.tensors, folder.parameters), (FileKind::Checkpoint, 970, single.parameters));
    assert_eq!(folder.prediction, Some(Prediction::V { zero_terminal_snr: true }));
    assert_eq!(look("diffusers/folder/vae/diffusion_pytorch_model.bin").kind, FileKind::Vae);
    assert_eq!(look("diffusers/folder/text_encoder/model.safetensors").kind, FileKind::TextEncoder);
    for (tensors, kind, family) in [
        (
            [("model.diffusion_model.input_blocks.0.0.weight", &[4, 9, 3, 3][..]), ("model_ema.decay", &[1])],
            FileKind::Checkpoint,
            "Stable Diffusion 1.x, inpainting",
        ),
        (
            [("conditioner.embedders.0.model.ln_final.bias", &[4][..]), ("model.diffusion_model.out.0.bias", &[4])],
            FileKind::Checkpoint,
            "SDXL refiner",
        ),
        (
            [("cond_stage_model.model.ln_final.bias", &[4][..]), ("model.diffusion_model.out.0.bias", &[4])],
            FileKind::Checkpoint,
            "Stable Diffusion 2.x",
        ),
        ([("clip_l", &[2, 768][..]), ("clip_g", &[2, 1280])], FileKind::Embedding, "SDXL base"),
        ([("emb_params", &[2, 1024][..]), ("x", &[1])], FileKind::Embedding, "Stable Diffusion 2.x"),
        (
            [("lora_unet_a_attn2_to_k.lora_down.weight", &[2, 1024][..]), ("lora_unet_a_attn2_to_k.alpha", &[])],
            FileKind::Adapter,
            "Stable Diffusion 2.x",
        ),
    ] {
        let report = made(&tensors);
        assert_eq!((report.kind, report.family.as_deref()), (kind, Some(family)));
        assert_eq!(report.averages, usize::from(family.ends_with("inpainting")));
    }
    const V: Prediction = Prediction::V { zero_terminal_snr: false };
    let v = made(&[("model.diffusion_model.label_emb.0.0.weight", &[1]), ("v_pred", &[1]), ("odd", &[1])]);
    assert_eq!((v.prediction, v.unknown.join(" ").as_str()), (Some(V), "odd"));
    assert_eq!(made(&[("a", &[1])]).kind, FileKind::Unknown);
}

#[test]
fn embeddings_in_every_form() {
    let about = [("name", "penny"), ("trained steps", "499")];
    let vectors = |encoder, count, width| Vectors { encoder, count, width };
    for (name, base) in [
        ("embedding.pt", "v1-5 / 4bdfc29c"),
        ("embedding_parameters.pt", ""),
        ("embedding_legacy.pt", "v1-5 / 4bdfc29c"),
    ] {
        let path = tests().join("torch").join(name);
        let report = inspect(&path, false).unwrap();
        assert_eq!(
            (report.kind, report.family.as_deref()),
            (FileKind::Embedding, Some("Stable Diffusion 1.x")),
            "{name}"
        );
        assert_eq!(report.vectors, [vectors(None, 2, 768)], "{name}");
        for (what, expected) in about.into_iter().chain([("base model", base)]) {
            assert_eq!(value(&report.training, what), expected, "{name}");
        }
        let message = Checkpoint::open(&path).unwrap_err().to_string();
        assert!(message.contains("a textual inversion (embedding), not a checkpoint"), "{message}");
        let message = LoraFile::open(&path).unwrap_err().to_string();
        assert!(message.contains("a textual inversion (embedding), not a LoRA"), "{message}");
    }
    let learned = look("torch/learned_embeds.bin");
    assert_eq!((learned.kind, learned.family.as_deref()), (FileKind::Embedding, Some("Stable Diffusion 2.x")));
    assert_eq!(learned.vectors, [vectors(None, 1, 1024)]);
    let xl = made(&[("clip_l", &[2, 768]), ("clip_g", &[3, 1280])]);
    assert_eq!(xl.vectors, [vectors(Some("clip_g"), 3, 1280), vectors(Some("clip_l"), 2, 768)]);
    assert_eq!(xl.training, []);
}

/// What AUTOMATIC1111's web UI leaves unused.
#[test]
fn what_the_web_ui_does_not_take() {
    let unused = |tensors: &[(&str, &[usize])]| {
        let ignored = made(tensors).ignored;
        ignored.into_iter().filter(|ignored| ignored.host == "web UI").map(|ignored| ignored.what).collect::<Vec<_>>()
    };
    let layer = "lora_te1_text_model_encoder_layers_0_mlp_fc1";
    let named = |tensor: &str| format!("{layer}.{tensor}");
    let (a, b, scale) = (named("hada_w1_a"), named("hada_w1_b"), named("dora_scale"));
    let (a, b, scale) = (a.as_str(), b.as_str(), scale.as_str());
    let (up, down): (&[usize], &[usize]) = (&[8, 2], &[2, 6]);
    // Other kinds than LoRA, embeddings and magnitudes by inputs are taken.
    assert_eq!(unused(&[(a, up), (b, down), ("bundle_emb.penny.clip_l", &[1, 768])]), []);
    assert_eq!(unused(&[(a, up), (b, down), (scale, &[1, 6])]), []);
    assert_eq!(unused(&[(a, up), (b, down), (scale, &[8, 1])]), [Unused::DoraOfInputs]);
    assert_eq!(unused(&[(&named("set_weight"), up)]), [Unused::WholeWeights]);
    let lycoris = [("lycoris_unet_a.lokr_w1", up), ("lycoris_unet_a.lokr_w2", up)];
    assert_eq!(unused(&lycoris), [Unused::LycorisModules(2)]);
}

#[test]
fn files_that_are_none_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(tests().join("lora_fp16.safetensors")).unwrap();
    for (name, bytes, said) in [
        ("cut.safetensors", &whole[..whole.len() / 2], "cut short"),
        ("empty.safetensors", &[], "it is empty"),
        ("text.safetensors", b"this is no model", "not a safetensors file"),
        ("page.ckpt", b"<html>not found</html>", "HTML page"),
        ("latents.npz", b"PK", "no whole .npz file"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let message = inspect(&path, false).unwrap_err().to_string();
        assert!(message.contains(said) && message.contains(name) && !message.contains('\n'), "{message}");
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(inspect(empty.path(), false).unwrap_err().to_string().contains("without model_index.json"));
}

#[test]
fn latents_are_listed_with_their_shapes() {
    let report = look("npz/plain.npz");
    assert_eq!((report.kind, report.tensors, report.hashes), (FileKind::Latents, 5, None));
    let names: Vec<&str> = report.arrays.iter().map(|array| array.name.as_str()).collect();
    assert_eq!(names, ["alpha_mask", "crop_ltrb", "latents", "latents_flipped", "original_size"]);
    assert_eq!(report.arrays[2].shape, Some(vec![4, 8, 8]));
    assert_eq!(report.arrays[1].shape, None, "numbers of 64 bits are none that latents use");
}
