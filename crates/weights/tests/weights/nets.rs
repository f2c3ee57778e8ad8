//! Files of nets of every kind: all names, all tensors, and what is not of a net is named.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lorabake_weights::Family;
use lorabake_weights::keys::webui;
use lorabake_weights::lora::{NetFile, RawTensor, save_raw};
use safetensors::Dtype;

/// A file with zeros of these names, types and shapes.
fn file(dir: &tempfile::TempDir, tensors: &[(&str, Dtype, &[usize])]) -> PathBuf {
    let path = dir.path().join("net.safetensors");
    let mut raw = Vec::new();
    for (name, dtype, shape) in tensors {
        let bytes = vec![1; shape.iter().product::<usize>() * dtype.bitsize() / 8];
        raw.push(RawTensor { name: (*name).to_string(), dtype: *dtype, shape: shape.to_vec(), bytes });
    }
    save_raw(&path, raw, BTreeMap::new()).unwrap();
    path
}

#[test]
fn every_kind_is_read_with_all_its_tensors() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(
        &dir,
        &[
            ("oft_unet_mid_block_attentions_0_proj_in.oft_blocks", Dtype::F16, &[4, 2, 2]),
            ("oft_unet_mid_block_attentions_0_proj_in.alpha", Dtype::F32, &[]),
            ("lora_te_text_model_encoder_layers_0_mlp_fc1.weight", Dtype::F32, &[8]),
            ("lora_te_text_model_encoder_layers_0_mlp_fc1.on_input", Dtype::BOOL, &[]),
            ("lora_unet_conv_in.diff", Dtype::F32, &[2, 4, 3, 3]),
            ("lora_unet_conv_in.diff_b", Dtype::F32, &[2]),
            ("diffusion_model_middle_block_0_in_layers_0.w_norm", Dtype::F32, &[8]),
            ("bundle_emb.style.string_to_param.*", Dtype::F32, &[2, 8]),
            ("mystery.weight", Dtype::F32, &[2]),
        ],
    );
    let net = NetFile::open(&path).unwrap();
    let names: Vec<&str> = net.modules.iter().map(|module| module.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "diffusion_model_middle_block_0_in_layers_0",
            "lora_te_text_model_encoder_layers_0_mlp_fc1",
            "lora_unet_conv_in",
            "lora_unet_mid_block_attentions_0_proj_in",
        ]
    );
    assert_eq!(net.modules[1].tensors["on_input"].values, [1.0]);
    assert_eq!(net.modules[3].tensors["oft_blocks"].shape, [4, 2, 2]);
    assert_eq!(net.embeddings["style"]["string_to_param.*"].shape, [2, 8]);
    assert_eq!(net.problems.len(), 1);
    assert_eq!(net.problems[0].key, "mystery.weight");
    assert_eq!(net.family(), None);
}

#[test]
fn families_are_told_by_names_and_widths() {
    let dir = tempfile::tempdir().unwrap();
    let family = |name: &str, width: usize| {
        let path = file(&dir, &[(&format!("{name}.lora_down.weight"), Dtype::F32, &[1, width])]);
        NetFile::open(&path).unwrap().family()
    };
    let attention = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k";
    assert_eq!(family(attention, 768), Some(Family::Sd1));
    assert_eq!(family(attention, 1024), Some(Family::Sd2));
    assert_eq!(family(attention, 2048), Some(Family::Sdxl));
    assert_eq!(family("lora_te2_text_model_encoder_layers_0_mlp_fc1", 8), Some(Family::Sdxl));
}

/// PEFT lays the magnitudes of a convolution along its second axis, though there is one for each output.
#[test]
fn magnitudes_of_peft_are_of_outputs() {
    let dir = tempfile::tempdir().unwrap();
    let start = "unet.down_blocks.0.resnets.0.conv1";
    let path = file(
        &dir,
        &[
            (&format!("{start}.lora_A.weight"), Dtype::F32, &[1, 4, 3, 3]),
            (&format!("{start}.lora_B.weight"), Dtype::F32, &[4, 1, 1, 1]),
            (&format!("{start}.lora_magnitude_vector.weight"), Dtype::F32, &[1, 4, 1, 1]),
        ],
    );
    let net = NetFile::open(&path).unwrap();
    assert_eq!(net.modules[0].name, "lora_unet_down_blocks_0_resnets_0_conv1");
    assert_eq!(net.modules[0].tensors["dora_scale"].shape, [4, 1]);
}

/// Beside the recorded names: what a hostile file may have.
#[test]
fn odd_names_stay_as_they_are() {
    for name in ["lora_unet_down_blocks_99999999999999999999_resnets_0_conv1", "lora_unet_up_blocks__resnets", "", "é"]
    {
        assert_eq!(webui::module_name(name, false), name);
    }
    assert!(webui::is_text("0_transformer_text_model_encoder_layers_0_mlp_fc1"));
    assert!(!webui::is_text("diffusion_model_input_blocks_1_1_transformer_blocks_0_attn1_to_q"));
    assert!(!webui::is_text("ééééééééééééééééééééééé_transformer"));
}
