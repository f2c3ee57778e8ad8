//! LoRAs as diffusers and PEFT save them.
//!
//! `golden/peft` is written by oracle/peft_files.py (diffusers 0.32.1, peft 0.21.2).

use std::path::{Path, PathBuf};

use lorabake_weights::inspect::inspect;
use lorabake_weights::keys::peft::parse;
use lorabake_weights::lora::{self, LoraFile, LoraModule};
use safetensors::Dtype;

use crate::golden::safetensors;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/peft").join(name)
}

fn open(name: &str) -> Vec<LoraModule> {
    let file = LoraFile::open(&golden(name)).unwrap();
    assert!(file.problems.is_empty(), "{:?}", file.problems);
    file.modules
}

#[test]
fn a_lora_of_diffusers_is_what_its_conversion_makes_of_it() {
    let mut expected = open("kohya.safetensors");
    assert_eq!(expected.len(), 4 + 6);
    for module in &mut expected {
        // diffusers numbers the one text encoder.
        module.name = module.name.replace("lora_te1_", "lora_te_");
    }
    assert!(expected.iter().any(|module| module.name.starts_with("lora_te_") && module.alpha == 3.0));
    assert_eq!(open("diffusers.safetensors"), expected);
    let names = lora::tensors(&golden("diffusers.safetensors")).unwrap();
    assert_eq!(names.names().len(), 20);
    assert!(names.names().iter().all(|name| name.starts_with("lora_") && names.dtype(name).is_some()));
}

#[test]
fn an_adapter_of_peft_has_the_alpha_of_its_settings() {
    let modules = open("adapter/adapter_model.safetensors");
    let plain = open("kohya.safetensors");
    let unet: Vec<&LoraModule> = plain.iter().filter(|module| module.name.starts_with("lora_unet_")).collect();
    assert_eq!(modules.len(), unet.len());
    for (module, plain) in modules.iter().zip(unet) {
        assert_eq!(module.name, plain.name);
        assert_eq!(module.alpha, if module.name.ends_with("_conv2") { 7.0 } else { 5.0 }, "{}", module.name);
        let (up, scale) = (&module.tensors["lora_up.weight"], &module.tensors["dora_scale"]);
        assert_eq!(up.shape, plain.tensors["lora_up.weight"].shape);
        let mut column = vec![up.shape[0], 1];
        column.resize(up.shape.len(), 1);
        assert_eq!(scale.shape, column, "{}", module.name);
    }
}

/// The forms that diffusers' `state_dict_utils.py` lists, old and new.
#[test]
fn older_names_are_understood() {
    for (key, module, tensor) in [
        (
            "down_blocks.0.attentions.1.transformer_blocks.0.attn1.processor.to_out_lora.up.weight",
            "lora_unet_down_blocks_0_attentions_1_transformer_blocks_0_attn1_to_out_0",
            "lora_up.weight",
        ),
        (
            "unet.mid_block.attentions.0.transformer_blocks.0.attn2.processor.to_q_lora.down.weight",
            "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_q",
            "lora_down.weight",
        ),
        (
            "text_encoder.text_model.encoder.layers.0.self_attn.to_out_lora.down.weight",
            "lora_te_text_model_encoder_layers_0_self_attn_out_proj",
            "lora_down.weight",
        ),
        (
            "text_encoder_2.text_model.encoder.layers.3.self_attn.q_proj.lora_linear_layer.up.weight",
            "lora_te2_text_model_encoder_layers_3_self_attn_q_proj",
            "lora_up.weight",
        ),
        ("unet.up_blocks.1.attentions.0.proj_in.alpha", "lora_unet_up_blocks_1_attentions_0_proj_in", "alpha"),
        ("unet.conv_in.lora_B.default.weight", "lora_unet_conv_in", "lora_up.weight"),
    ] {
        let found = parse(key).unwrap_or_else(|| panic!("{key}"));
        assert_eq!((found.module.as_str(), found.tensor), (module, tensor), "{key}");
    }
    for key in ["transformer.x.lora_A.weight", "unet.x.weight", "betas", "prior.down.weight"] {
        assert_eq!(parse(key), None, "{key}");
    }
}

/// A LoRA of one layer, and one of as many layers as fit into a header, each with alphas by the thousand.
#[test]
fn many_alphas_take_no_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter_model.safetensors");
    const COUNT: usize = 20_000;
    let names: Vec<String> = (0..COUNT).map(|at| format!("unet.down_blocks.0.x{at}.lora_A.weight")).collect();
    let mut tensors = Vec::new();
    for name in &names {
        tensors.push((name.as_str(), Dtype::U8, &[1, 0][..], &[][..]));
    }
    std::fs::write(&path, safetensors(&tensors)).unwrap();
    let mut patterns: Vec<String> = (0..COUNT).map(|at| format!("\"z{at}\":1")).collect();
    // Of several keys that end a path the first counts; the middle of a word is no end.
    patterns.extend(["\"x7\":3", "\"0.x7\":2", "\"down_blocks.0.x8\":4", "\"9\":5"].map(str::to_string));
    let settings = format!("{{\"lora_alpha\":8,\"alpha_pattern\":{{{}}}}}", patterns.join(","));
    std::fs::write(folder.path().join("adapter_config.json"), settings).unwrap();
    let start = std::time::Instant::now();
    let report = inspect(&path, false).unwrap();
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    let alphas: Vec<&str> = report.adapter.as_ref().unwrap().blocks[0].alphas.iter().map(String::as_str).collect();
    assert_eq!(alphas, ["2", "4", "8"]);
}

/// Editors of Windows begin files with a byte order mark, and some write UTF-16.
#[test]
fn settings_may_be_what_windows_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter_model.safetensors");
    std::fs::copy(golden("adapter/adapter_model.safetensors"), &path).unwrap();
    let settings = std::fs::read_to_string(golden("adapter/adapter_config.json")).unwrap();
    let little: Vec<u8> = settings.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [format!("\u{feff}{settings}").into_bytes(), [b"\xff\xfe", &little[..]].concat(), little] {
        std::fs::write(folder.path().join("adapter_config.json"), bytes).unwrap();
        assert_eq!(LoraFile::open(&path).unwrap().modules, open("adapter/adapter_model.safetensors"));
    }
}
