//! Every kind of adapter from the options to the file, into a second run and into a picture.

use std::path::Path;

use lorabake_diffusion::Sampler;
use lorabake_generate::sample::{LoraUse, Pipeline, Request};
use lorabake_lora::{LoraNetwork, Strength};
use lorabake_ops::WeightDtype;
use lorabake_recipe::seed::Seed;
use lorabake_testkit::relative_error;
use lorabake_weights::Part;
use lorabake_weights::lora::LoraFile;

use crate::sandbox::{Sandbox, bundle, lora_error, pipeline, recipe};

/// Module, arguments, then for one linear layer and one 3×3 convolution the tensors of the file.
const KINDS: [(&str, &str, &str, &str); 10] = [
    ("lycoris.kohya", "algo=dylora block_size=1", "lora_down.weight lora_up.weight", "lora_down.weight lora_up.weight"),
    ("networks.lora", "conv_dim=1", "lora_down.weight lora_up.weight", "lora_down.weight lora_up.weight"),
    ("networks.dylora", "unit=1", "lora_down.weight lora_up.weight", ""),
    (
        "lycoris.kohya",
        "algo=locon use_tucker=True",
        "lora_down.weight lora_up.weight",
        "lora_down.weight lora_mid.weight lora_up.weight",
    ),
    ("lycoris.kohya", "algo=loha conv_dim=0", "hada_w1_a hada_w1_b hada_w2_a hada_w2_b", ""),
    (
        "lycoris.kohya",
        "algo=loha use_cp=True preset=unet-only",
        "hada_w1_a hada_w1_b hada_w2_a hada_w2_b",
        "hada_t1 hada_t2 hada_w1_a hada_w1_b hada_w2_a hada_w2_b",
    ),
    ("lycoris.kohya", "algo=lokr factor=4", "lokr_w1 lokr_w2_a lokr_w2_b", "lokr_w1 lokr_w2_a lokr_w2_b"),
    ("lycoris.kohya", "algo=lokr full_matrix=True", "lokr_w1 lokr_w2", "lokr_w1 lokr_w2"),
    ("lycoris.kohya", "algo=ia3 preset=full", "weight", "weight"),
    (
        "lycoris.kohya",
        "algo=lora dora_wd=True",
        "dora_scale lora_down.weight lora_up.weight",
        "dora_scale lora_down.weight lora_up.weight",
    ),
];
const LINEAR: &str = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q";
const WIDE: &str = "lora_unet_mid_block_resnets_0_conv1";

/// A sandbox with one image.
fn one_image() -> Sandbox {
    Sandbox::with_images("--learning_rate=1e-2 --network_alpha=1", &[[64, 64]])
}

fn leaves(file: &LoraFile, name: &str) -> String {
    let module = file.modules.iter().find(|module| module.name == name);
    module.map_or_else(String::new, |module| module.tensors.keys().cloned().collect::<Vec<_>>().join(" "))
}

fn picture(painter: &Pipeline, lora: Option<(&Path, f64)>) -> Vec<f32> {
    let lora = lora.map(|(path, strength)| {
        let strength = Strength { text: strength, unet: strength };
        LoraUse { path: path.into(), strength }
    });
    let request = Request {
        prompt: "a cat".into(),
        negative_prompt: String::new(),
        loras: lora.into_iter().collect(),
        width: 64,
        height: 64,
        steps: 2.try_into().unwrap(),
        cfg_scale: 1.0,
        seed: 0,
        sampler: Sampler::DdimDiffusers,
        clip_skip: 1,
        noise: None,
    };
    painter.paint(&request, &mut |_, _| ()).unwrap().latent
}

/// Trains, saves LyCORIS' names, goes on from the file with and without the same options, and acts on a picture in
/// proportion to its strength.
#[test]
fn every_kind_is_trained_saved_read_and_painted_with() {
    let sandbox = one_image();
    let painter = pipeline(WeightDtype::F32);
    let plain = picture(&painter, None);
    for (index, (module, args, linear, wide)) in KINDS.into_iter().enumerate() {
        let options = format!("--network_module={module} --network_args {args}");
        let run = sandbox.bake(&format!("{index}-first"), &format!("{options} --max_train_steps=2"));
        let first = run.lora;
        assert_eq!((leaves(&first, LINEAR), leaves(&first, WIDE)), (linear.into(), wide.into()), "{options}");
        assert_eq!(first.metadata["ss_network_module"], module);
        let typed = args.split(' ').all(|pair| {
            let (key, value) = pair.split_once('=').unwrap();
            first.metadata["ss_network_args"].contains(&format!("\"{key}\": \"{value}\""))
        });
        assert!(typed, "{}", first.metadata["ss_network_args"]);

        let from = format!("--network_weights=HERE/{index}-first/cat.safetensors");
        for (out, more) in [("again", ""), ("dims", "--dim_from_weights")] {
            let words = format!("{options} {from} --max_train_steps=1 --learning_rate=1e-9 {more}");
            let error = lora_error(&sandbox.bake(&format!("{index}-{out}"), &words).lora, &first);
            assert!(error < 1e-5, "{words}: begins {error} from where the first ended");
        }

        let effect = |strength| relative_error(&picture(&painter, Some((&run.outcome.file, strength))), &plain);
        let (small, large) = (effect(0.01), effect(0.02));
        assert!(small > 1e-5 && (1.8..2.2).contains(&(large / small)), "{options}: {small} {large}");
    }
}

#[test]
fn dropout_and_dylora_go_on_exactly_after_a_stop() {
    let sandbox = one_image();
    for (index, words) in [
        "--network_module=networks.dylora --network_args unit=1",
        "--network_module=lycoris.kohya --network_args algo=dylora block_size=1 preset=attn-mlp",
        "--network_dropout=0.2 --network_args rank_dropout=0.3 module_dropout=0.2",
        "--network_module=lycoris.kohya --network_args algo=loha rank_dropout=0.3 module_dropout=0.2 preset=attn-mlp",
    ]
    .into_iter()
    .enumerate()
    {
        let words = format!("{words} --max_train_steps=3");
        let whole = sandbox.bake(&format!("{index}-whole"), &words);
        sandbox.bake(&format!("{index}-first"), &format!("{words} --save_state --save_every_n_steps=1"));
        let resume = format!("--resume=HERE/{index}-first/cat-step00000001-state");
        let rest = sandbox.bake(&format!("{index}-rest"), &format!("{words} {resume}"));
        assert_eq!(lora_error(&rest.lora, &whole.lora), 0.0, "{words}");
    }
}

#[test]
fn dropout_changes_what_is_learned() {
    let sandbox = one_image();
    let with = |out: &str, words: &str| sandbox.bake(out, &format!("{words} --max_train_steps=2")).lora;
    let plain = with("plain", "");
    for (out, words) in [
        ("neuron", "--network_dropout=0.3"),
        ("rank", "--network_args rank_dropout=0.3"),
        ("module", "--network_args module_dropout=0.3"),
    ] {
        assert!(lora_error(&with(out, words), &plain) > 1e-3, "{words}");
    }
}

#[test]
fn weights_of_another_kind_are_refused() {
    let sandbox = one_image();
    let loha = "--network_module=lycoris.kohya --network_args algo=loha preset=attn-mlp";
    sandbox.bake("a", &format!("{loha} --max_train_steps=1"));
    let from = "--network_weights=HERE/a/cat.safetensors --max_train_steps=1";
    let error = sandbox.error("b", from);
    assert!(error.contains("is a LoHa in the file and the options ask for a LoRA"), "{error}");
    let none = "--network_module=lycoris.kohya --network_args preset=unet-only --network_train_text_encoder_only";
    let error = sandbox.error("b", &format!("{none} --max_train_steps=1"));
    assert!(error.contains("nothing is left to train"), "{error}");
    let error = sandbox.error("b", &format!("{from} --dim_from_weights"));
    assert!(error.contains("is a LoHa; give network_module=lycoris.kohya"), "{error}");
}

/// Layers by preset: all that LyCORIS lists for Stable Diffusion 1.x (354 with `full`, as recorded), counted by hand from
/// the UNet's 16 transformers of 12 layers, 22 residual blocks with 14 shortcuts, 6 samplers, 4 layers around them, and 12
/// layers of the text encoder with 4 + 2 each.
#[test]
fn presets_choose_their_layers() {
    let bundle = bundle();
    for (preset, text, unet) in [
        ("full", 72, 192 + 66 + 14 + 6 + 4),
        ("full-lin", 72, 192 + 22 + 14 + 2),
        ("attn-mlp", 72, 192),
        ("attn-only", 48, 128),
        ("unet-only", 0, 282),
        ("unet-transformer-only", 0, 192),
        ("unet-convblock-only", 0, 66 + 14 + 6 + 2),
        ("ia3", 36, 80),
    ] {
        let settings = recipe(&format!("--network_module=lycoris.kohya --network_args preset={preset}")).network;
        let network = LoraNetwork::fresh(&settings, &bundle, Seed(1));
        assert_eq!((network.count(Part::TextEncoder), network.count(Part::Unet)), (text, unet), "{preset}");
    }
}
