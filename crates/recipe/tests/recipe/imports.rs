//! Settings of other programs become options, and what has no counterpart is named.

use std::path::{Path, PathBuf};

use lorabake_recipe::data::Buckets;
use lorabake_recipe::diffusion::NoiseOffset;
use lorabake_recipe::import::import;
use lorabake_recipe::network::{RankAlpha, Scope};
use lorabake_recipe::optim::optimizer::Optimizer;
use lorabake_recipe::optim::{ScheduleKind, Warmup};
use lorabake_recipe::output::{Every, SavePrecision};
use lorabake_recipe::train::{Duration, Precision};
use lorabake_recipe::{parse_toml, parse_train};
use tempfile::TempDir;

use crate::{ENOUGH, notes, parse, problems};

const GUI: &str = include_str!("gui.json");
const ONETRAINER: &str = include_str!("onetrainer.json");

/// A file that lives as long as the folder does.
pub fn file(name: &str, content: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

#[test]
fn a_preset_of_the_kohya_gui_trains_as_there() {
    let (_folder, path) = file("gui.json", GUI.as_bytes());
    let parsed = parse_train(&["--config_file".into(), path.into()]).unwrap_or_else(|error| panic!("{error}"));
    let recipe = parsed.recipe;
    assert_eq!((recipe.data.resolution, recipe.data.batch_size, recipe.train.accumulation), ((512, 640), 4, 2));
    assert_eq!(recipe.data.buckets, Some(Buckets { min: 320, max: 960, step: 64, no_upscale: false }));
    assert!(recipe.data.cache_latents && recipe.data.flip_aug && recipe.data.captions.shuffle);
    assert_eq!((recipe.data.captions.keep_tokens, recipe.data.captions.dropout_rate), (1, 0.05));
    assert_eq!(recipe.network.linear, RankAlpha { rank: 32, alpha: 16.0 });
    assert_eq!(recipe.network.conv, Some(RankAlpha { rank: 8, alpha: 4.0 }));
    // The text encoder's rate is 0, which is how the GUI says it.
    assert_eq!((recipe.network.scope, recipe.optim.unet_lr), (Scope::UnetOnly, 1.0));
    let Optimizer::Prodigy(prodigy) = &recipe.optim.optimizer else { panic!("{:?}", recipe.optim.optimizer) };
    assert_eq!((prodigy.decouple, prodigy.weight_decay, prodigy.d_coef), (true, 0.01, 2.0));
    // lr_warmup is a percentage there.
    assert_eq!(recipe.optim.schedule.warmup, Warmup::Ratio(0.1));
    assert_eq!(recipe.optim.schedule.kind, ScheduleKind::CosineWithRestarts { cycles: 3 });
    // additional_parameters win over the fields.
    assert_eq!((recipe.optim.max_grad_norm, recipe.output.log_prefix.as_deref()), (0.5, Some("my run")));
    assert_eq!(recipe.train.duration, Duration::Epochs(6));
    let offset = Some(NoiseOffset { strength: 0.05, random: false, adaptive: Some(0.005) });
    assert_eq!((recipe.diffusion.noise_offset, recipe.diffusion.multires), (offset, None));
    assert_eq!((recipe.model.clip_skip, recipe.model.max_token_length), (2, 150));
    assert_eq!((recipe.output.snapshots, recipe.train.seed), (vec![Every::Epochs(2)], 1234));
}

#[test]
fn what_of_a_gui_preset_has_no_counterpart_is_named() {
    let (_folder, path) = file("gui.json", GUI.as_bytes());
    let lines = import(&path).unwrap().left_out_lines();
    let expected = [
        "num_cpu_threads_per_process = 2: it belongs to the launcher, and lorabake needs none; --threads sets its \
         processor threads",
        "model_list = custom: it concerns the GUI itself",
        "log_with = wandb: charts are written for TensorBoard, into the folder that logging_dir names",
        "weird_setting = on: there is no such setting here",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn every_kind_of_adapter_of_the_gui_gets_its_module_and_settings() {
    let args = |settings: &str| {
        let json =
            format!("{{\"rank_dropout\": 0.1, \"conv_dim\": 8, \"conv_alpha\": 1, \"network_dim\": 4, {settings}}}");
        let (_folder, path) = file("kind.json", json.as_bytes());
        let imported = import(&path).unwrap();
        let find = |name: &str| imported.options.iter().find(|(option, _)| option == name).map(|(_, v)| v.join(" "));
        (
            find("network_module").unwrap_or_default(),
            find("network_args").unwrap_or_default(),
            imported.left_out_lines().join("\n"),
        )
    };
    let lokr = r#""LoRA_type": "LyCORIS/LoKr", "factor": 6, "decompose_both": true, "use_cp": false, "unit": 1"#;
    let of_lokr = "algo=lokr preset=full factor=6 decompose_both=True conv_dim=8 conv_alpha=1 rank_dropout=0.1";
    assert_eq!(args(lokr), ("lycoris.kohya".into(), of_lokr.into(), String::new()));
    let standard = r#""LoRA_type": "Standard", "down_lr_weight": "1,1,0""#;
    assert_eq!(args(standard), ("networks.lora".into(), "down_lr_weight=1,1,0 rank_dropout=0.1".into(), String::new()));
    let dylora = r#""LoRA_type": "LyCORIS/DyLoRA", "unit": 4, "LyCORIS_preset": "attn-mlp""#;
    let of_dylora = "algo=dylora preset=attn-mlp block_size=4 conv_dim=8 conv_alpha=1 rank_dropout=0.1";
    assert_eq!(args(dylora), ("lycoris.kohya".into(), of_dylora.into(), String::new()));
    let (module, _, note) = args(r#""LoRA_type": "LyCORIS/TLoRA""#);
    assert_eq!((module.as_str(), note.as_str()), ("", "LoRA_type = LyCORIS/TLoRA: there is no such kind of LoRA here"));
}

#[test]
fn a_configuration_of_onetrainer_becomes_a_recipe() {
    let (_folder, path) = file("penny.json", ONETRAINER.as_bytes());
    let imported = import(&path).unwrap();
    let text = format!("{}train_data_dir = 'images'\nseed = 1\n", imported.to_toml());
    let recipe = parse_toml(&text, Path::new("penny.toml")).unwrap_or_else(|error| panic!("{error}\n{text}")).recipe;
    assert_eq!((recipe.output.dir.to_str(), recipe.output.name.as_str()), (Some("out"), "penny"));
    assert_eq!((recipe.output.save_precision, recipe.train.precision), (Some(SavePrecision::F16), Precision::Bf16));
    assert_eq!((recipe.data.resolution, recipe.data.batch_size, recipe.train.accumulation), ((512, 512), 2, 3));
    assert_eq!((&recipe.data.buckets, recipe.data.cache_latents, recipe.data.flip_aug), (&None, true, true));
    assert_eq!((recipe.data.captions.shuffle, recipe.data.captions.keep_tokens), (true, 2));
    assert_eq!(recipe.data.captions.dropout_rate, 0.1);
    assert_eq!(recipe.network.linear, RankAlpha { rank: 24, alpha: 12.0 });
    assert_eq!((recipe.optim.learning_rate, recipe.optim.unet_lr, recipe.optim.text_encoder_lr), (3e-4, 2e-4, 3e-4));
    let Optimizer::Lion(lion) = &recipe.optim.optimizer else { panic!("{:?}", recipe.optim.optimizer) };
    assert_eq!((lion.betas, lion.weight_decay, recipe.optim.max_grad_norm), ((0.9, 0.98), 0.05, 0.0));
    assert_eq!(recipe.optim.schedule.kind, ScheduleKind::CosineWithRestarts { cycles: 3 });
    assert_eq!((recipe.optim.schedule.warmup, recipe.train.duration), (Warmup::Ratio(0.1), Duration::Epochs(10)));
    assert_eq!((recipe.diffusion.min_snr_gamma, recipe.diffusion.max_timestep), (Some(5.0), 900));
    // One layer is skipped, so the second last one is used.
    assert_eq!((recipe.model.clip_skip, recipe.output.snapshots), (2, vec![Every::Epochs(2)]));
    let expected = [
        "resolution = 512,768: one size at a time is trained; the first is taken",
        "learning_rate_min_factor = 0.05: the schedules here end at 0",
        "concepts = images/penny: put its images into a folder called 4_NAME, and give the folder around it as \
         train_data_dir",
        "masked_training = true: put the masks, there called NAME-masklabel.png, into a folder under the names of the \
         images, and name it with conditioning_data_dir",
    ];
    assert_eq!(imported.left_out_lines(), expected);
}

#[test]
fn averaged_weights_of_onetrainer_are_averaged_here() {
    let decay = |settings: &str| {
        let (_folder, path) =
            file("p.json", format!("{{\"training_method\": \"LORA\", \"epochs\": 1, {settings}}}").as_bytes());
        let imported = import(&path).unwrap();
        assert!(!imported.left_out_lines().iter().any(|line| line.contains("ema")), "{:?}", imported.left_out_lines());
        imported.options.iter().find(|(name, _)| name == "ema_decay").map(|(_, values)| values.join(" "))
    };
    assert_eq!(decay(r#""ema": "OFF", "ema_decay": 0.9"#), None);
    assert_eq!(decay(r#""ema": "CPU", "ema_decay": 0.9, "ema_update_step_interval": 1"#), Some("0.9".into()));
    assert_eq!(decay(r#""ema": "GPU""#), Some("0.9998".into()));
}

#[test]
fn a_silent_preset_of_onetrainer_means_its_own_defaults() {
    let (_folder, path) = file("preset.json", br#"{"training_method": "LORA", "base_model_name": "m.safetensors"}"#);
    let line = format!("--config_file={} --train_data_dir=images --output_dir=out --seed=1", path.display());
    let recipe = parse(&line).unwrap().recipe;
    assert_eq!(recipe.network.linear, RankAlpha { rank: 16, alpha: 1.0 });
    assert_eq!((recipe.optim.learning_rate, recipe.train.duration), (3e-6, Duration::Epochs(100)));
    assert_eq!(recipe.optim.schedule.kind, ScheduleKind::ConstantWithWarmup);
    assert_eq!((recipe.optim.schedule.warmup, recipe.data.buckets.is_some()), (Warmup::Steps(200), true));
}

/// A file with this metadata and no tensors.
pub fn lora(metadata: &[(&str, &str)]) -> Vec<u8> {
    let fields: Vec<String> = metadata.iter().map(|(key, value)| format!("{key:?}:{value:?}")).collect();
    let json = format!("{{\"__metadata__\":{{{}}}}}", fields.join(","));
    [&(json.len() as u64).to_le_bytes()[..], json.as_bytes()].concat()
}

/// As sd-scripts writes it, with Python's spelling.
const METADATA: [(&str, &str); 34] = [
    ("ss_base_model_version", "sd_v1"),
    ("ss_batch_size_per_device", "2"),
    ("ss_bucket_no_upscale", "False"),
    ("ss_cache_latents", "True"),
    ("ss_clip_skip", "2"),
    ("ss_enable_bucket", "True"),
    ("ss_flip_aug", "True"),
    ("ss_gradient_accumulation_steps", "1"),
    ("ss_keep_tokens", "1"),
    ("ss_learning_rate", "0.0001"),
    ("ss_loss_type", "l2"),
    ("ss_huber_c", "0.1"),
    ("ss_lr_scheduler", "cosine"),
    ("ss_lr_warmup_steps", "0"),
    ("ss_max_bucket_reso", "1024"),
    ("ss_max_grad_norm", "1.0"),
    ("ss_max_token_length", "225"),
    ("ss_max_train_steps", "480"),
    ("ss_min_bucket_reso", "256"),
    ("ss_min_snr_gamma", "5.0"),
    ("ss_network_alpha", "16.0"),
    ("ss_network_args", "{\"conv_dim\": \"8\", \"conv_alpha\": \"4\", \"dropout\": null}"),
    ("ss_network_dim", "32"),
    ("ss_network_module", "networks.lora"),
    ("ss_noise_offset", "None"),
    ("ss_num_batches_per_epoch", "48"),
    ("ss_num_epochs", "10"),
    ("ss_optimizer", "bitsandbytes.optim.adamw.AdamW8bit(weight_decay=0.1,betas=(0.9, 0.99))"),
    ("ss_resolution", "(512, 640)"),
    ("ss_sd_model_name", "nai.safetensors"),
    ("ss_seed", "420"),
    ("ss_shuffle_caption", "True"),
    ("ss_text_encoder_lr", "[5e-05, 5e-05]"),
    ("ss_unet_lr", "0.0001"),
];

#[test]
fn a_lora_is_trained_like_another_one() {
    let (_folder, path) = file("penny.safetensors", &lora(&METADATA));
    let line = format!("--like={} --train_data_dir=images --output_dir=out --network_dim=64", path.display());
    let parsed = parse(&line).unwrap_or_else(|error| panic!("{error}"));
    let recipe = parsed.recipe;
    assert_eq!(recipe.network.linear, RankAlpha { rank: 64, alpha: 16.0 }, "the command line wins");
    assert_eq!(recipe.network.conv, Some(RankAlpha { rank: 8, alpha: 4.0 }));
    let Optimizer::AdamW8bit(adam) = &recipe.optim.optimizer else { panic!("{:?}", recipe.optim.optimizer) };
    assert_eq!((adam.weight_decay, adam.betas), (0.1, (0.9, 0.99)));
    assert_eq!((recipe.optim.unet_lr, recipe.optim.text_encoder_lr), (1e-4, 5e-5));
    assert_eq!(recipe.optim.schedule.kind, ScheduleKind::Cosine);
    assert_eq!((recipe.data.resolution, recipe.data.batch_size), ((512, 640), 2));
    assert_eq!((recipe.train.duration, recipe.train.seed), (Duration::Epochs(10), 420));
    assert_eq!((recipe.model.clip_skip, recipe.model.max_token_length), (2, 225));
    let notes: String = parsed.notes.iter().map(ToString::to_string).collect();
    assert!(notes.contains("ss_sd_model_name = nai.safetensors: it was trained from this file"), "{notes}");
}

#[test]
fn settings_of_another_optimizer_do_not_outlive_it() {
    let (_folder, path) = file("penny.safetensors", &lora(&METADATA));
    let line = format!("{ENOUGH} --like={} --optimizer_type=Prodigy --learning_rate=1", path.display());
    let recipe = parse(&format!("{line} --unet_lr=1 --text_encoder_lr=1")).unwrap().recipe;
    assert_eq!(recipe.optim.optimizer, Optimizer::Prodigy(Default::default()));
}

#[test]
fn the_recipe_inside_a_lora_of_ours_is_taken_whole() {
    let recipe = parse(&format!("{ENOUGH} --network_dim=24 --min_snr_gamma=5 --flip_aug")).unwrap().recipe;
    let toml = recipe.to_toml().unwrap();
    let (_folder, path) = file("penny.safetensors", &lora(&[("lorabake_recipe", &toml), ("ss_network_dim", "4")]));
    let line = format!("--like={} --pretrained_model_name_or_path=m.safetensors", path.display());
    let again = parse(&format!("{line} --train_data_dir=images --output_dir=out --output_name=penny")).unwrap().recipe;
    assert_eq!(again, recipe);
}

#[test]
fn files_that_cannot_be_imported_are_refused_in_one_line() {
    let problem_of = |name: &str, content: &[u8], option: &str| {
        let (_folder, path) = file(name, content);
        let problems = problems(&format!("{ENOUGH} {option}={}", path.display()));
        problems.replace(&path.display().to_string(), name)
    };
    assert_eq!(
        problem_of("a.json", b"[]", "--config_file"),
        "a.json: it holds no settings; write them between { and }\n"
    );
    assert!(problem_of("a.json", b"{", "--config_file").starts_with("a.json: it is not JSON: EOF"));
    let silent = lora(&[("format", "pt")]);
    assert_eq!(
        problem_of("a.safetensors", &silent, "--like"),
        "a.safetensors: it does not say how it was trained; write the recipe by hand\n"
    );
    let broken = "a.safetensors: it is no safetensors file; name a LoRA as a .safetensors file\n";
    for content in [&b"short"[..], &u64::MAX.to_le_bytes(), b"\x02\0\0\0\0\0\0\0[]"] {
        assert_eq!(problem_of("a.safetensors", content, "--like"), broken);
    }
}

#[test]
fn the_easy_preset_is_the_guides_and_anything_given_wins() {
    let line = "--train_data_dir=images --output_dir=out --output_name=penny --seed=1 \
                --pretrained_model_name_or_path=m.safetensors --preset=easy";
    let parsed = parse(line).unwrap_or_else(|error| panic!("{error}"));
    let recipe = parsed.recipe;
    let Optimizer::DAdaptAdam(own) = &recipe.optim.optimizer else { panic!("{:?}", recipe.optim.optimizer) };
    assert_eq!((own.decouple, own.weight_decay, own.betas), (true, 0.01, (0.9, 0.999)));
    assert_eq!((recipe.optim.unet_lr, recipe.optim.text_encoder_lr), (1.0, 1.0));
    assert_eq!(recipe.optim.schedule.kind, ScheduleKind::Constant);
    assert_eq!(recipe.network.linear, RankAlpha { rank: 64, alpha: 1.0 });
    assert_eq!((recipe.data.resolution, recipe.train.duration), ((512, 512), Duration::Steps(1000)));
    assert_eq!(recipe.data.buckets.map(|buckets| (buckets.min, buckets.max)), Some((320, 1024)));
    assert_eq!((recipe.diffusion.min_snr_gamma, recipe.model.max_token_length), (Some(5.0), 225));
    let notes: Vec<String> = parsed.notes.iter().map(ToString::to_string).collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(
        notes[0].starts_with("--preset: easy stands for network_module=networks.lora, network_dim=64,"),
        "{notes:?}"
    );

    let other =
        parse(&format!("{line} --optimizer_type=prodigy --network_dim=32 --max_train_epochs=9")).unwrap().recipe;
    let Optimizer::Prodigy(own) = &other.optim.optimizer else { panic!("{:?}", other.optim.optimizer) };
    assert_eq!((own.d_coef, own.use_bias_correction, own.safeguard_warmup), (2.0, true, false));
    assert_eq!((other.network.linear.rank, other.train.duration), (32, Duration::Epochs(9)));
    // Rates of 1 would ruin a LoRA with an optimizer that does not adapt them.
    for plain in ["--optimizer_type=AdamW", "--use_8bit_adam"] {
        assert_eq!(parse(&format!("{line} {plain}")).unwrap().recipe.optim.unet_lr, 1e-4, "{plain}");
    }
}

#[test]
fn an_unknown_preset_is_refused() {
    assert_eq!(problems(&format!("{ENOUGH} --preset=hard")), "--preset: there is no preset called `hard`; use easy\n");
    let notes = notes(&format!("{ENOUGH} --preset=EASY"));
    assert!(
        notes.starts_with("--preset: easy stands for ") && notes.contains("--learning_rate: 0.0001 is too low"),
        "{notes}"
    );
}
