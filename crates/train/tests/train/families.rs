//! SD2.x and SDXL from the command line to a file and pictures, on tiny checkpoints that `testkit` makes.

use std::collections::BTreeSet;

use lorabake_testkit::tiny;
use lorabake_train::estimate::plan_run;
use lorabake_weights::lora::{LoraFile, LoraModule};

use crate::sandbox::{Baked, Sandbox, numbers};

const SD2: &str = "--pretrained_model_name_or_path=HERE/sd2.safetensors";
const SDXL: &str = "--pretrained_model_name_or_path=HERE/sdxl.safetensors";
const UNET_ONLY: &str = "--network_train_unet_only";

/// A sandbox with three images of two sizes, and both checkpoints.
fn checkpoints() -> Sandbox {
    let sandbox = Sandbox::with_images("--learning_rate=1e-2 --max_train_steps=3", &[[96, 64], [64, 64], [64, 64]]);
    std::fs::write(sandbox.path("sd2.safetensors"), tiny::sd2()).unwrap();
    std::fs::write(sandbox.path("sdxl.safetensors"), tiny::sdxl()).unwrap();
    sandbox
}

/// What the modules of a file are called before their layer, each once.
fn parts(lora: &LoraFile) -> Vec<String> {
    let part = |module: &LoraModule| module.name.split('_').take(2).collect::<Vec<_>>().join("_");
    lora.modules.iter().map(part).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Sum of the squares of the up factors of modules whose names begin so; they start at zero.
fn learnt(lora: &LoraFile, start: &str) -> f32 {
    let modules = lora.modules.iter().filter(|module| module.name.starts_with(start));
    modules.flat_map(|module| &module.tensors["lora_up.weight"].values).map(|value| value * value).sum()
}

#[test]
fn sdxl_trains_the_unet_alone_and_each_text_encoder() {
    let sandbox = checkpoints();
    let unet_only = format!("{SDXL} {UNET_ONLY} --cache_latents");
    let unet = sandbox.bake("out", &format!("{unet_only} --cache_text_encoder_outputs"));
    assert_eq!(parts(&unet.lora), ["lora_unet"]);
    let name = "lora_unet_input_blocks_4_1_transformer_blocks_1_attn1_to_k";
    assert!(unet.lora.modules.iter().any(|module| module.name == name));
    let same = sandbox.bake("out", &unet_only);
    assert_eq!(unet.losses(), same.losses(), "text states that are kept are those that are computed");

    let both = sandbox.bake("out", &format!("{SDXL} --text_encoder_lr 1e-2 1e-3")).lora;
    assert_eq!(parts(&both), ["lora_te1", "lora_te2", "lora_unet"]);
    assert_eq!(both.metadata["ss_text_encoder_lr"], "[0.01, 0.001]");
    let first = learnt(&both, "lora_te1_text_model_encoder_layers_0_");
    let second = learnt(&both, "lora_te2_text_model_encoder_layers_0_");
    assert!(first > 10.0 * second && second > 0.0, "{first} {second}");
    // Nobody reads what the first one's last layer gives.
    assert_eq!(learnt(&both, "lora_te1_text_model_encoder_layers_2_"), 0.0);
    assert!(learnt(&both, "lora_te2_text_model_encoder_layers_3_") > 0.0, "it is part of the summary");

    let second = sandbox.bake("out", &format!("{SDXL} --network_train_text_encoder_only --text_encoder_lr 0 1e-2"));
    assert_eq!(parts(&second.lora), ["lora_te2"]);
}

#[test]
fn metadata_says_what_it_was_trained_for() {
    let sandbox = checkpoints();
    let said_of = |run: &Baked| {
        let keys = ["ss_base_model_version", "ss_v2", "modelspec.architecture", "modelspec.prediction_type"];
        keys.map(|key| run.lora.metadata[key].clone())
    };
    let xl = sandbox.bake("out", &format!("{SDXL} {UNET_ONLY}"));
    assert_eq!(said_of(&xl), ["sdxl_base_v1-0", "False", "stable-diffusion-xl-v1-base/lora", "epsilon"]);
    let v = sandbox.bake("out", &format!("{SD2} --v_parameterization --zero_terminal_snr"));
    assert_eq!(said_of(&v), ["sd_v2_v", "True", "stable-diffusion-v2-768-v/lora", "v"]);
    assert_eq!(parts(&v.lora), ["lora_te", "lora_unet"]);
    let epsilon = sandbox.bake("out", &format!("{SD2} --v2"));
    assert_eq!(said_of(&epsilon), ["sd_v2", "True", "stable-diffusion-v2-512/lora", "epsilon"]);
    assert!(epsilon.notes().contains("does not say what it predicts"));
    assert_ne!(v.losses(), epsilon.losses());
    let name = "lora_unet_down_blocks_0_attentions_0_proj_in";
    let module = v.lora.modules.iter().find(|module| module.name == name).unwrap();
    assert_eq!(module.tensors["lora_down.weight"].shape, [2, 32, 1, 1]);
}

#[test]
fn v_prediction_of_sdxl_is_in_the_file() {
    let sandbox = checkpoints();
    std::fs::write(sandbox.path("v.safetensors"), tiny::sdxl_with(&["v_pred", "ztsnr"])).unwrap();
    let run = sandbox.bake("out", &format!("--pretrained_model_name_or_path=HERE/v.safetensors {UNET_ONLY}"));
    assert_eq!(run.lora.metadata["modelspec.prediction_type"], "v");
    assert_eq!(run.lora.metadata["ss_zero_terminal_snr"], "True");
    let typed = sandbox.bake("out", &format!("{SDXL} {UNET_ONLY} --v_parameterization --zero_terminal_snr"));
    assert_eq!(run.losses(), typed.losses());
}

#[test]
fn what_belongs_to_another_family_is_refused_by_name() {
    let sandbox = checkpoints();
    let refused = |options: &str| sandbox.error("refused", options);
    assert!(refused(&format!("{SDXL} --v2")).contains("--v2: the checkpoint is SDXL"));
    let lora = sandbox.bake("out", &format!("{SDXL} {UNET_ONLY}"));
    let from = "--network_weights=HERE/out/cat.safetensors";
    let other = refused(&format!("{SD2} {from}"));
    assert!(other.contains("it was trained for SDXL, and this checkpoint is SD2.x"), "{other}");
    let on = sandbox.bake("out", &format!("{SDXL} {UNET_ONLY} {from}"));
    assert_ne!(on.losses()[0], lora.losses()[0], "it begins where that one ended");
}

#[test]
fn blocks_of_sdxl_are_those_of_sd_scripts() {
    let sandbox = checkpoints();
    let only = "--network_args down_lr_weight=zeros mid_lr_weight=0,1,0 up_lr_weight=zeros";
    let run = sandbox.bake("out", &format!("{SDXL} {UNET_ONLY} {only}"));
    let names: Vec<&String> = run.lora.modules.iter().map(|module| &module.name).collect();
    assert!(!names.is_empty() && names.iter().all(|name| name.starts_with("lora_unet_middle_block_1_")), "{names:?}");
    let named = sandbox.bake("out", &format!("{SDXL} {UNET_ONLY} --block_lr_weight ALL=0,M01=1"));
    assert_eq!(run.losses(), named.losses());
}

#[test]
fn buckets_in_steps_of_32_and_pictures_while_it_trains() {
    let sandbox = checkpoints();
    sandbox.write("prompts.txt", "a cat --w 96 --h 64 --s 2\n");
    let prompts = "--sample_prompts=HERE/prompts.txt --sample_every_n_steps=3";
    let buckets = "--resolution=96 --enable_bucket --min_bucket_reso=32 --max_bucket_reso=128 --bucket_reso_steps=32";
    let sizes = |run: &Baked| run.pictures().iter().map(|p| (p.picture.width, p.picture.height)).collect::<Vec<_>>();
    let xl = sandbox.bake("out", &format!("{SDXL} {UNET_ONLY} {buckets} {prompts}"));
    let info = &xl.lora.metadata["ss_bucket_info"];
    assert!(info.contains("[96, 96]"), "{info}");
    assert_eq!(sizes(&xl), [(96, 64)]);
    let v = sandbox.bake("out", &format!("{SD2} --v_parameterization {prompts}"));
    assert_eq!(sizes(&v), [(96, 64)]);
    assert!(xl.losses().iter().chain(&v.losses()).all(|loss| loss.is_finite()));
}

#[test]
fn a_plan_foretells_the_files_of_both() {
    let sandbox = checkpoints();
    for (model, more) in [
        (SD2, "--v_parameterization"),
        (SDXL, ""),
        (SDXL, "--network_args conv_dim=1"),
        (SDXL, "--text_encoder_lr 0 1e-3"),
    ] {
        let options = format!("{model} {more}");
        let foreseen = plan_run(&sandbox.parse("out", &options), 10).unwrap().lora;
        let file = sandbox.bake("out", &options).lora;
        assert_eq!(foreseen.modules, file.modules.len(), "{options}");
        assert_eq!(foreseen.parameters, numbers(&file).len() as u64, "{options}");
    }
}
