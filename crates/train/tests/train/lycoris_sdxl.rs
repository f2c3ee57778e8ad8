//! LyCORIS on SDXL against lycoris-lora itself: the modules of its presets, and what a LoKr of the UNet predicts.
//!
//! The golden files come from `oracle/lycoris_sdxl.py`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_lora::{Attached, LoraNetwork, Strength};
use lorabake_model::conditioning::{AddedConditioning, Conditioning};
use lorabake_model::{Bundle, VaeHalves, WeightDtypes};
use lorabake_ops::WeightDtype;
use lorabake_recipe::seed::Seed;
use lorabake_testkit::Golden;
use lorabake_weights::Checkpoint;
use lorabake_weights::lora::LoraFile;

use crate::sandbox::recipe;

/// f32 against f64, relative to the norm.
const TOLERANCE: f64 = 2e-5;
const NAMES: &str = include_str!("../golden/lycoris_sdxl.txt");

fn beside(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn bundle() -> Bundle {
    let checkpoint = Checkpoint::open(&beside("../../models/tiny/sdxl_tiny.safetensors")).unwrap();
    Bundle::open(&checkpoint, VaeHalves::Training, WeightDtypes::all(WeightDtype::F32)).unwrap()
}

fn section(preset: &str) -> BTreeSet<String> {
    let text = NAMES.split_once(&format!("[{preset}]\n")).unwrap().1;
    text.lines().take_while(|line| !line.starts_with('[')).map(String::from).collect()
}

#[test]
fn presets_adapt_the_layers_that_they_adapt_in_lycoris() {
    let bundle = bundle();
    let full = section("full");
    for preset in ["full", "attn-mlp", "attn-only"] {
        let args = format!("--network_dim=2 --network_args algo=locon conv_dim=2 preset={preset}");
        let settings = recipe(&format!("--network_module=lycoris.kohya {args}")).network;
        let network = LoraNetwork::fresh(&settings, &bundle, Seed(1));
        let found: BTreeSet<String> = network.modules.into_iter().map(|module| module.name).collect();
        let expected = if preset == "full" { full.clone() } else { &full - &section(preset) };
        let (more, fewer) = (&found - &expected, &expected - &found);
        assert!(more.is_empty() && fewer.is_empty(), "{preset}: more {more:?}, fewer {fewer:?}");
    }
}

fn tensor<const D: usize>(golden: &Golden, name: &str, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(golden.numbers(name).to_vec(), shape), &Device::flex())
}

fn numbers(x: Tensor<4>) -> Vec<f32> {
    x.into_data().try_into_vec().unwrap()
}

#[test]
fn a_lokr_predicts_what_it_predicts_in_lycoris() {
    let (golden, bundle) = (Golden::open(beside("tests/golden/lycoris_sdxl.safetensors")), bundle());
    let file = LoraFile::open(&beside("tests/golden/lycoris_sdxl_lokr.safetensors")).unwrap();
    let network = LoraNetwork::from_file(&file, "lokr", &bundle).unwrap();
    let mut attached = Attached::default();
    let predict = |attached: &Attached| {
        let sizes = golden.numbers("unet.sizes").chunks_exact(6).map(|row| row.try_into().unwrap()).collect();
        let added = AddedConditioning { pooled: tensor(&golden, "unet.pooled", [2, 8]), time_ids: sizes };
        let told = Conditioning { context: tensor(&golden, "unet.context", [2, 77, 16]), added: Some(added) };
        let sample = tensor(&golden, "unet.sample", [2, 4, 16, 24]);
        numbers(bundle.unet.forward(sample, &[37.0, 801.0], told, &attached.unet))
    };
    golden.check("unet.out", &predict(&attached), TOLERANCE);
    network.attach(Strength::FULL, &Device::flex(), &mut attached);
    golden.check("unet.lokr", &predict(&attached), TOLERANCE);
}
