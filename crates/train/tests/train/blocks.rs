//! Blocks of their own, LoRA+ and norms in short bakes on a tiny model.

use lorabake_lora::LoraNetwork;
use lorabake_recipe::network::RankAlpha;
use lorabake_recipe::seed::Seed;
use lorabake_testkit::assert_close_max;
use lorabake_train::update::max_norm::limit_norms;
use lorabake_weights::lora::{LoraFile, LoraModule};

use crate::sandbox::{Sandbox, bundle, recipe};

/// A sandbox with one image that is used three times an epoch.
fn one_image() -> Sandbox {
    let sandbox = Sandbox::new("--network_alpha=2 --learning_rate=1e-3");
    sandbox.images("train/3_cat", &[[64, 64]]);
    sandbox
}

fn module<'a>(lora: &'a LoraFile, part: &str) -> &'a LoraModule {
    lora.modules.iter().find(|module| module.name.contains(part)).unwrap_or_else(|| panic!("no {part}"))
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

#[test]
fn blocks_have_their_own_rates_and_those_at_zero_are_not_in_the_file() {
    let sandbox = one_image();
    let run = sandbox.bake("a", "--max_train_steps=1 --block_lr_weight=OUT=0,IN04=0.5,M00=0.25");
    let (lora, plan) = (&run.lora, run.started());
    assert!(lora.modules.iter().all(|module| !module.name.contains("up_blocks")));
    let names: Vec<&str> = run.steps()[0].rates.iter().map(|(name, _)| name.as_str()).collect();
    let blocks =
        ["unet_block1", "unet_block2", "unet_block4", "unet_block5", "unet_block7", "unet_block8", "unet_block12"];
    assert_eq!(names, [&["textencoder"][..], &blocks].concat());
    // The first step of Adam is as long as the rate.
    for (part, rate) in [("down_blocks_1_attentions_0", 5e-4), ("mid_block", 2.5e-4), ("down_blocks_2", 1e-3)] {
        let moved = largest(&module(lora, part).tensors["lora_up.weight"].values);
        assert!((moved - rate).abs() < 0.01 * rate, "{part} moved by {moved}");
    }
    let row = |name: &str| plan.blocks.iter().find(|row| row.name == name).unwrap();
    assert_eq!((row("IN04").linear, row("IN04").rate), (Some(RankAlpha { rank: 2, alpha: 2.0 }), 5e-4));
    assert_eq!((row("OUT05").modules, row("IN00").modules), (0, 0));
    let expected = r#"{"down_lr_weight": "1,1,1,1,0.5,1,1,1,1,1,1,1", "mid_lr_weight": "0.25", "up_lr_weight": "0,0,0,0,0,0,0,0,0,0,0,0", "dropout": null}"#;
    assert_eq!(lora.metadata["ss_network_args"], expected);
}

#[test]
fn blocks_have_their_own_ranks() {
    let sandbox = one_image();
    let dims = "2,2,2,2,3,3,3,3,3,3,0,0,4,2,2,2,2,2,2,2,2,2,2,2,2";
    let conv = "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1,0,0";
    let args = format!("--max_train_steps=1 --network_args block_dims={dims} conv_block_dims={conv}");
    let run = sandbox.bake("a", &args);
    let lora = &run.lora;
    assert_eq!(module(lora, "down_blocks_1_attentions_0").tensors["lora_down.weight"].shape[0], 3);
    assert_eq!(module(lora, "mid_block_attentions_0").tensors["lora_down.weight"].shape[0], 4);
    assert_eq!(module(lora, "lora_te").tensors["lora_down.weight"].shape[0], 2);
    let wide: Vec<&str> = lora
        .modules
        .iter()
        .filter(|module| module.tensors["lora_down.weight"].shape.get(2) == Some(&3))
        .map(|module| &*module.name)
        .collect();
    assert_eq!(wide, ["lora_unet_up_blocks_3_resnets_0_conv1", "lora_unet_up_blocks_3_resnets_0_conv2"]);
    assert!(!lora.modules.iter().any(|module| module.name.contains("down_blocks_3")), "IN10 and IN11 have rank 0");
    let wide = run.started().blocks.iter().filter(|row| row.conv == Some(RankAlpha { rank: 1, alpha: 1.0 }));
    assert_eq!(wide.count(), 1);
}

#[test]
fn up_factors_learn_faster_with_lora_plus() {
    let sandbox = one_image();
    let plain = sandbox.bake("a", "--max_train_steps=1");
    assert!(plain.started().blocks.is_empty(), "all blocks are alike");
    let ratios = "--max_train_steps=1 --network_args loraplus_lr_ratio=16 loraplus_text_encoder_lr_ratio=4";
    let plus = sandbox.bake("b", ratios);
    let rates = [("textencoder", 1e-3), ("textencoder plus", 4e-3), ("unet", 1e-3), ("unet plus", 1.6e-2)];
    assert_eq!(plus.steps()[0].rates, rates.map(|(name, rate)| (name.to_owned(), rate)));
    for (ours, slow) in plus.lora.modules.iter().zip(&plain.lora.modules) {
        let ratio = if ours.name.starts_with("lora_te") { 4.0 } else { 16.0 };
        assert_eq!(ours.tensors["lora_down.weight"].values, slow.tensors["lora_down.weight"].values, "{}", ours.name);
        let expected: Vec<f32> = slow.tensors["lora_up.weight"].values.iter().map(|value| ratio * value).collect();
        assert_close_max(&ours.name, &ours.tensors["lora_up.weight"].values, &expected, 1e-5);
    }
}

#[test]
fn a_block_at_zero_of_a_file_that_is_trained_on_stays_as_it_is() {
    let sandbox = one_image();
    let first = sandbox.bake("a", "--max_train_steps=2").lora;
    let from = "--network_weights=HERE/a/cat.safetensors --dim_from_weights";
    let second = sandbox.bake("b", &format!("--max_train_steps=1 {from} --block_lr_weight=M00=0")).lora;
    assert_eq!(first.modules.len(), second.modules.len());
    for (before, after) in first.modules.iter().zip(&second.modules) {
        let same = before.tensors == after.tensors;
        assert_eq!(same, after.name.contains("mid_block"), "{}", after.name);
    }
}

#[test]
fn a_run_with_groups_of_its_own_can_be_resumed() {
    let sandbox = one_image();
    let more = "--max_train_steps=4 --network_args mid_lr_weight=0.5 loraplus_lr_ratio=4";
    let whole = sandbox.bake("a", &format!("{more} --save_state --save_every_n_steps=2"));
    let resume = "--resume=HERE/a/cat-step00000002-state";
    let rest = sandbox.bake("b", &format!("{more} {resume}"));
    assert_eq!(rest.losses(), whole.losses()[2..]);
    assert_eq!(rest.lora.modules, whole.lora.modules);
    // The state does not depend on the groups: by other groups with the same rates it goes on in the same way.
    let [blocks, plain] = ["--network_args mid_lr_weight=1", ""]
        .map(|args| sandbox.bake("c", &format!("--max_train_steps=4 {resume} {args}")).lora);
    assert_eq!(blocks.modules, plain.modules);
}

#[test]
fn what_leaves_nothing_to_train_is_refused() {
    let error = one_image().error("a", "--network_train_unet_only --block_lr_weight=ALL=0");
    assert!(error.contains("nothing is left to train"), "{error}");
}

/// Against the change itself, which `limit_norms` never forms for plain LoRAs.
#[test]
fn norms_are_those_of_the_change_and_end_at_the_limit() {
    let bundle = bundle();
    for kind in [
        "--network_args conv_dim=2",
        "--network_module=networks.dylora",
        "--network_module=lycoris.kohya --network_args algo=lora use_tucker=True",
        "--network_module=lycoris.kohya --network_args algo=loha",
        "--network_module=lycoris.kohya --network_args algo=lokr factor=4",
        "--network_module=lycoris.kohya --network_args algo=lora dora_wd=True",
    ] {
        let settings = recipe(&format!("--network_dim=3 --network_alpha=2 {kind}")).network;
        let mut network = LoraNetwork::fresh(&settings, &bundle, Seed(3));
        for (index, module) in network.modules.iter_mut().enumerate() {
            let wave = |i: usize| ((i * 7 + index) as f32).sin() * 0.1;
            module.values.iter_mut().flatten().enumerate().for_each(|(i, value)| *value += wave(i));
        }
        let norms = |network: &LoraNetwork| -> Vec<f64> {
            let norm = |module: &lorabake_lora::NetworkModule| {
                let change = module.change(&burn::tensor::Device::flex()).unwrap().into_data();
                let values: Vec<f32> = change.try_into_vec().unwrap();
                values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
            };
            network.modules.iter().map(norm).collect()
        };
        let before = norms(&network);
        let mut sorted = before.clone();
        sorted.sort_by(f64::total_cmp);
        let limit = (sorted[99] + sorted[100]) / 2.0;
        let told = limit_norms(&mut network, limit);
        assert_eq!(told.keys_scaled, before.len() - 100, "{kind}");
        let after = norms(&network);
        for (before, after) in before.iter().zip(&after) {
            assert!((after - before.min(limit)).abs() < 1e-5 * limit, "{kind}: {before} became {after}");
        }
        let average = after.iter().sum::<f64>() / after.len() as f64;
        assert!((told.average - average).abs() < 1e-5 * average && (told.max - limit).abs() < 1e-5 * limit, "{kind}");
    }
}
