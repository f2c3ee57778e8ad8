//! Metadata against that of sd-scripts for the same options.
//!
//! `golden/metadata.json`: `saved_metadata` of conformance traces; whole for a_lora_adamw, for the others what differs
//! from it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lorabake_recipe::Recipe;
use lorabake_recipe::data::HoldOut;
use lorabake_recipe::data::captions::CaptionRules;
use lorabake_recipe::data::dataset_facts::{BucketInfo, DatasetFacts, Dir};
use lorabake_recipe::data::validation::Validation;
use lorabake_recipe::data::{Buckets, Data, RegPairing};
use lorabake_recipe::data::{DatasetConfig, Subset};
use lorabake_recipe::diffusion::{
    Diffusion, HuberSchedule, HuberThreshold, InputNoise, LossKind, Multires, NoiseOffset,
};
use lorabake_recipe::model::{Checkpoint, Model};
use lorabake_recipe::network::adapter::{AdapterSettings, Dropout};
use lorabake_recipe::network::algo::Dialect;
use lorabake_recipe::network::blocks::Blocks;
use lorabake_recipe::network::lora_plus::LoraPlus;
use lorabake_recipe::network::{Network, RankAlpha, Scope};
use lorabake_recipe::optim::optimizer::Optimizer;
use lorabake_recipe::optim::optimizer::{AdaFactor, AdamW, AdamW8bit};
use lorabake_recipe::optim::{Optim, Schedule, ScheduleKind, Warmup};
use lorabake_recipe::output::keep::Keep;
use lorabake_recipe::output::{Output, SaveState};
use lorabake_recipe::train::{Duration, Fp8, Precision, Recompute, Train};
use lorabake_weights::metadata::{ModelHashes, RunFacts, Typed, build};

type Metadata = BTreeMap<String, String>;

fn saved(trace: &str) -> Metadata {
    let mut all: BTreeMap<String, Metadata> = serde_json::from_str(include_str!("../golden/metadata.json")).unwrap();
    let changes = all.remove(trace).unwrap();
    let mut metadata = if trace == "a_lora_adamw" { Metadata::new() } else { all.remove("a_lora_adamw").unwrap() };
    metadata.extend(changes);
    metadata
}

/// `--network_args` as a recipe keeps them.
fn typed(args: &[&str]) -> Vec<(String, String)> {
    let pairs = args.iter().filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn parsed(words: &str) -> Recipe {
    let words: Vec<_> = words.split(' ').map(std::ffi::OsString::from).collect();
    lorabake_recipe::parse_train(&words).unwrap().recipe
}

fn conv_args() -> Vec<(String, String)> {
    typed(&["conv_dim=1", "conv_alpha=1"])
}

fn train() -> Train {
    Train {
        duration: Duration::Steps(10),
        accumulation: 1,
        precision: Precision::No,
        vae: Precision::No,
        fp8: Fp8::No,
        swapped: 0,
        recompute: Recompute::No,
        seed: 42,
        threads: None,
        device: lorabake_recipe::train::device::Device::default(),
    }
}

/// The options of a_lora_adamw.
fn recipe(name: &str) -> Recipe {
    Recipe {
        model: Model {
            checkpoint: Checkpoint::File("sd15_tiny.safetensors".into()),
            vae: None,
            family: None,
            clip_skip: 1,
            max_token_length: 75,
        },
        data: images(name),
        caches: Default::default(),
        network: Network {
            adapter: AdapterSettings::Lora,
            dropout: Dropout::default(),
            args: Vec::new(),
            linear: RankAlpha { rank: if name == "a_lora_adamw" { 4 } else { 1 }, alpha: 1.0 },
            conv: None,
            blocks: Blocks::default(),
            lora_plus: LoraPlus::default(),
            max_norm: None,
            scope: Scope::Both,
            weights: None,
            dim_from_weights: false,
        },
        diffusion: Diffusion::default(),
        prior: Default::default(),
        optim: Optim {
            optimizer: Optimizer::AdamW(Default::default()),
            unet_lr: 1e-3,
            text_encoder_lr: 5e-4,
            text_encoder2_lr: 5e-4,
            learning_rate: 1e-3,
            schedule: Schedule { kind: ScheduleKind::Constant, warmup: Warmup::Steps(0) },
            max_grad_norm: 1.0,
            ema_decay: None,
        },
        train: train(),
        output: Output {
            dir: PathBuf::from("out"),
            name: name.into(),
            no_overwrite: false,
            save_precision: None,
            snapshots: Vec::new(),
            keep: Keep::default(),
            save_state: SaveState::Never,
            resume: None,
            comment: None,
            no_metadata: false,
            logging_dir: None,
            log_prefix: None,
        },
        validation: None,
        judging: None,
        samples: None,
    }
}

fn images(name: &str) -> Data {
    Data {
        train_dir: "data/sq".into(),
        reg_dir: None,
        caption_extension: Some(".txt".into()),
        resolution: (128, 128),
        buckets: Some(Buckets { min: 64, max: 256, step: 64, no_upscale: false }),
        batch_size: 1,
        captions: CaptionRules { shuffle: true, keep_tokens: 1, ..CaptionRules::default() },
        flip_aug: false,
        random_crop: false,
        color_aug: false,
        face_crop: None,
        reg_pairing: RegPairing::Count,
        mask: None,
        hold_out: Default::default(),
        config: None,
        cache_latents: name != "a_lora_adamw",
    }
}

/// The facts of a run, as far as options do not decide them, from the recorded metadata.
fn facts(saved: &Metadata, recipe: &Recipe) -> RunFacts {
    let number = |key: &str| saved[key].parse::<u64>().unwrap();
    RunFacts {
        session_id: saved["ss_session_id"].parse().unwrap(),
        started_at: saved["ss_training_started_at"].parse().unwrap(),
        finished_at: saved["ss_training_finished_at"].parse().unwrap(),
        steps: number("ss_steps"),
        epoch: number("ss_epoch"),
        num_epochs: number("ss_num_epochs"),
        max_train_steps: number("ss_max_train_steps"),
        batches_per_epoch: number("ss_num_batches_per_epoch"),
        dataset: DatasetFacts {
            train_images: 24,
            validation_images: 0,
            reg_images: number("ss_num_reg_images"),
            dataset_dirs: vec![Dir { name: "4_penny".into(), n_repeats: 4, img_count: 6 }],
            reg_dataset_dirs: match number("ss_num_reg_images") {
                0 => vec![],
                _ => vec![Dir { name: "2_girl".into(), n_repeats: 2, img_count: 4 }],
            },
            tag_frequency: ordered(&saved["ss_tag_frequency"]),
            bucket_info: Some(BucketInfo { buckets: vec![((128, 128), 24)], mean_img_ar_error: 0.0 }),
            sets: Vec::new(),
        },
        model_name: "sd15_tiny.safetensors".into(),
        model_hashes: Some(ModelHashes {
            legacy: saved["ss_sd_model_hash"].clone(),
            sha256: saved["ss_new_sd_model_hash"].clone(),
        }),
        vae: None,
        typed: Typed { unet_lr: None, text_encoder_lr: Some(5e-4), clip_skip: Some(recipe.model.clip_skip) },
        recipe_toml: "network_dim = 4\n".into(),
    }
}

/// Folder → tag → count from JSON, in the order of the text. Good for these files only: no tag holds `": `.
fn ordered(json: &str) -> Vec<(String, Vec<(String, u64)>)> {
    let folders = json.trim_start_matches('{').trim_end_matches("}}").split("}, ");
    folders
        .map(|folder| {
            let (name, tags) = folder.split_once(": {").unwrap();
            let tag = |tag: &str| {
                let (tag, count) = tag.rsplit_once(": ").unwrap();
                (serde_json::from_str(tag).unwrap(), count.parse().unwrap())
            };
            (serde_json::from_str(name).unwrap(), tags.split(", ").map(tag).collect())
        })
        .collect()
}

/// What cannot be as in sd-scripts: who made the file, in which time zone; hashes that come later.
const OTHERS: [&str; 5] = [
    "ss_sd_scripts_commit_hash",
    "modelspec.implementation_version",
    "modelspec.date",
    "sshs_model_hash",
    "sshs_legacy_hash",
];
const OURS: [&str; 2] = ["lorabake_recipe", "lorabake_version"];

fn check(trace: &str, change: impl FnOnce(&mut Recipe, &mut RunFacts)) {
    let saved = saved(trace);
    let mut recipe = recipe(trace);
    let mut facts = facts(&saved, &recipe);
    change(&mut recipe, &mut facts);
    let built = build(&recipe, &facts);
    for (key, value) in &saved {
        if key.starts_with("sshs_") {
            assert!(!built.contains_key(key), "{trace}: {key} comes with the tensors");
        } else if OTHERS.contains(&key.as_str()) {
            assert!(built.contains_key(key), "{trace}: {key}");
        } else {
            assert_eq!(built.get(key), Some(value), "{trace}: {key}");
        }
    }
    let known = |key: &&String| !saved.contains_key(*key) && !OURS.contains(&key.as_str());
    assert_eq!(built.keys().filter(known).collect::<Vec<_>>(), Vec::<&String>::new(), "{trace}: keys too many");
}

/// As in trace e_adafactor, where sd-scripts also writes down settings that were typed at their defaults.
#[test]
fn the_rates_that_ada_factor_ignores_are_not_told() {
    let mut recipe = recipe("e_adafactor");
    recipe.optim.optimizer = Optimizer::AdaFactor(AdaFactor { warmup_init: true, ..Default::default() });
    recipe.optim.schedule.kind = ScheduleKind::AdaFactor;
    let mut facts = facts(&saved("a_lora_adamw"), &recipe);
    (facts.typed.unet_lr, facts.typed.text_encoder_lr) = (Some(1e-3), Some(5e-4));
    let built = build(&recipe, &facts);
    for (key, expected) in [
        ("ss_optimizer", "transformers.optimization.Adafactor(relative_step=True,warmup_init=True)"),
        ("ss_lr_scheduler", "adafactor:0.001"),
        ("ss_learning_rate", "None"),
        ("ss_unet_lr", "None"),
        ("ss_text_encoder_lr", "0.0005"),
    ] {
        assert_eq!(built[key], expected, "{key}");
    }
}

#[test]
fn metadata_of_blocks_and_norms_is_that_of_sd_scripts() {
    check("f_maxnorm", |recipe, facts| {
        recipe.network.max_norm = Some(1.0);
        (recipe.optim.learning_rate, facts.typed.text_encoder_lr) = (5e-2, Some(5e-2));
    });
    check("g_block_lr_cosine", |recipe, _| {
        recipe.train.seed = 13;
        recipe.network.args = typed(&[
            "down_lr_weight=cosine+.25",
            "mid_lr_weight=1",
            "up_lr_weight=reverse_linear",
            "block_lr_zero_threshold=0.1",
        ]);
    });
    check("g_block_dims", |recipe, _| {
        recipe.network.linear.rank = 2;
        let (dims, alphas) =
            ("2,2,2,2,2,2,1,1,1,1,1,1,3,1,1,1,1,1,1,2,2,2,2,2,2", "1,1,1,1,1,1,0.5,0.5,0.5,0.5,0.5,0.5,");
        let dims = format!("block_dims={dims}");
        let alphas = format!("block_alphas={alphas}2,1,1,1,1,1,1,1.5,1.5,1.5,1.5,1.5,1.5");
        recipe.network.args = typed(&[&dims, &alphas]);
    });
}

#[test]
fn metadata_is_that_of_sd_scripts() {
    check("a_lora_adamw", |_, _| {});
    check("b_minsnr_offset_225", |recipe, facts| {
        recipe.model.clip_skip = 2;
        facts.typed.clip_skip = Some(2);
        recipe.model.max_token_length = 225;
        recipe.diffusion.min_snr_gamma = Some(5.0);
        recipe.diffusion.noise_offset = Some(NoiseOffset { strength: 0.1, random: false, adaptive: None });
        recipe.data.flip_aug = true;
        recipe.optim.schedule =
            Schedule { kind: ScheduleKind::CosineWithRestarts { cycles: 3 }, warmup: Warmup::Steps(2) };
        facts.dataset.bucket_info =
            Some(BucketInfo { buckets: vec![((64, 192), 4), ((128, 128), 20)], mean_img_ar_error: 0.2656695156695157 });
    });
    check("c_c3lier", |recipe, _| recipe.network.args = conv_args());
    check("h_loha", |recipe, _| {
        let words = "--train_data_dir=x --output_dir=y --network_module=lycoris.kohya --network_args algo=loha";
        recipe.network.adapter = parsed(words).network.adapter;
        recipe.network.args = [typed(&["preset=mini_sd.toml", "algo=loha"]), conv_args()].concat();
    });
    check("h_dylora", |recipe, _| {
        recipe.network.adapter =
            AdapterSettings::DyLora(lorabake_recipe::network::algo::RankBlocks { size: 1, dialect: Dialect::Kohya });
        recipe.network.linear.rank = 2;
        recipe.network.args = typed(&["unit=1"]);
    });
    check("e_adamw_wd", |recipe, _| {
        recipe.optim.optimizer = Optimizer::AdamW(AdamW { weight_decay: 0.1, betas: (0.9, 0.99), eps: 1e-8 });
    });
    check("e_adamw8bit", |recipe, _| recipe.optim.optimizer = Optimizer::AdamW8bit(Default::default()));
    check("e_adamw8bit_q", |recipe, _| {
        recipe.optim.optimizer = Optimizer::AdamW8bit(AdamW8bit { min_8bit_size: 64, ..Default::default() });
    });
    check("e_sgdnesterov", |recipe, facts| {
        recipe.optim.optimizer = Optimizer::SGDNesterov(Default::default());
        recipe.optim.learning_rate = 0.5;
        recipe.optim.max_grad_norm = 0.05;
        facts.typed.text_encoder_lr = Some(0.25);
    });
    check("i_reg", |recipe, facts| {
        recipe.data.batch_size = 2;
        recipe.data.reg_dir = Some("data/reg".into());
        recipe.prior.loss_weight = 0.5;
        facts.dataset.bucket_info = Some(BucketInfo { buckets: vec![((128, 128), 48)], mean_img_ar_error: 0.0 });
    });
    check("j_accum", |recipe, _| {
        recipe.data.batch_size = 2;
        recipe.train.accumulation = 2;
        recipe.optim.schedule.kind = ScheduleKind::Cosine;
    });
    check("n_fp16save", |recipe, _| {
        recipe.train.seed = 45;
        recipe.output.comment = Some("hello world".into());
        recipe.data.captions.dropout_every_n_epochs = 2;
    });
    check("o_unet_only", |recipe, _| {
        recipe.train.seed = 46;
        recipe.network.scope = Scope::UnetOnly;
    });
}

/// Values as `str()` and the arguments' own types spell them in sd-scripts; no recorded run has these options.
#[test]
fn noise_and_loss_are_told() {
    let saved = saved("a_lora_adamw");
    let mut recipe = recipe("a_lora_adamw");
    recipe.data.captions.dropout_rate = 0.1;
    recipe.data.captions.tag_dropout_rate = 0.25;
    (recipe.data.color_aug, recipe.data.face_crop) = (true, Some((2.0, 4.5)));
    recipe.diffusion = Diffusion {
        loss: LossKind::Huber(HuberThreshold { schedule: HuberSchedule::Exponential, c: 0.2, scale: 2.0 }),
        debiased_estimation: true,
        noise_offset: Some(NoiseOffset { strength: 0.05, random: true, adaptive: Some(-0.01) }),
        multires: Some(Multires { iterations: 6, discount: 0.4 }),
        input_noise: Some(InputNoise { gamma: 0.1, random: true }),
        max_timestep: 500,
        v_parameterization: true,
        zero_terminal_snr: true,
        ..Diffusion::default()
    };
    let built = build(&recipe, &facts(&saved, &recipe));
    let changed: Vec<(&str, &str)> = built
        .iter()
        .filter(|(key, value)| {
            !OURS.contains(&key.as_str()) && !OTHERS.contains(&key.as_str()) && saved.get(*key) != Some(*value)
        })
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let expected = [
        ("modelspec.prediction_type", "v"),
        ("modelspec.timestep_range", "0,500"),
        ("ss_adaptive_noise_scale", "-0.01"),
        ("ss_base_model_version", "sd_v1_v"),
        ("ss_caption_dropout_rate", "0.1"),
        ("ss_caption_tag_dropout_rate", "0.25"),
        ("ss_color_aug", "True"),
        ("ss_debiased_estimation", "True"),
        ("ss_face_crop_aug_range", "(2.0, 4.5)"),
        ("ss_huber_c", "0.2"),
        ("ss_huber_scale", "2.0"),
        ("ss_huber_schedule", "exponential"),
        ("ss_ip_noise_gamma", "0.1"),
        ("ss_ip_noise_gamma_random_strength", "True"),
        ("ss_loss_type", "huber"),
        ("ss_multires_noise_discount", "0.4"),
        ("ss_multires_noise_iterations", "6"),
        ("ss_noise_offset", "0.05"),
        ("ss_noise_offset_random_strength", "True"),
        ("ss_zero_terminal_snr", "True"),
    ];
    assert_eq!(changed, expected);
}

/// In the order and spelling of the dictionary that sd-scripts' `train_network.py` makes; no recorded run has one.
#[test]
fn data_sets_of_a_file_are_told_one_by_one() {
    let saved = saved("a_lora_adamw");
    let mut recipe = recipe("a_lora_adamw");
    let set = DatasetFacts { sets: Vec::new(), ..facts(&saved, &recipe).dataset };
    let subset = |train_dir: &str, is_reg| Subset {
        dataset: 0,
        repeats: 4,
        class_tokens: if is_reg { "girl".into() } else { String::new() },
        is_reg,
        settings: Data { train_dir: train_dir.into(), ..recipe.data.clone() },
    };
    let subsets = vec![subset("/somewhere/4_penny", false), subset("reg", true)];
    recipe.data.config = Some(DatasetConfig { file: "sets.toml".into(), subsets });
    let mut facts = facts(&saved, &recipe);
    facts.dataset.sets = vec![set];
    let built = build(&recipe, &facts);
    let expected = include_str!("../golden/ss_datasets.json").replace("TAGS", &saved["ss_tag_frequency"]);
    assert_eq!(built["ss_datasets"], expected.trim_end());
    for gone in ["ss_resolution", "ss_bucket_info", "ss_batch_size_per_device", "ss_reg_dataset_dirs"] {
        assert!(!built.contains_key(gone), "{gone}");
    }
    assert_eq!(built["ss_tag_frequency"], saved["ss_tag_frequency"]);
}

#[test]
fn no_metadata_keeps_what_sd_scripts_keeps() {
    let saved = saved("c_c3lier");
    let mut recipe = recipe("c_c3lier");
    recipe.output.no_metadata = true;
    recipe.network.args = conv_args();
    let built = build(&recipe, &facts(&saved, &recipe));
    let kept: Vec<&str> = built.keys().map(String::as_str).filter(|key| !key.starts_with("modelspec.")).collect();
    assert_eq!(
        kept,
        [
            "ss_base_model_version",
            "ss_network_alpha",
            "ss_network_args",
            "ss_network_dim",
            "ss_network_module",
            "ss_v2"
        ]
    );
    assert_eq!(built.len(), kept.len() + 9, "modelspec stays");
}

#[test]
fn validation_and_averaging_are_told() {
    let saved = saved("a_lora_adamw");
    let mut recipe = recipe("a_lora_adamw");
    let entries = |recipe: &Recipe, images| {
        let mut facts = facts(&saved, recipe);
        facts.dataset.validation_images = images;
        build(recipe, &facts)
    };
    assert!(!entries(&recipe, 0).contains_key("lorabake_ema_decay"));
    recipe.data.hold_out = HoldOut { share: 0.2, seed: Some(5), run_seed: 42 };
    recipe.validation = Some(Validation { every_epochs: 2, every_steps: Some(50), most_batches: Some(3) });
    recipe.optim.ema_decay = Some(0.999);
    let built = entries(&recipe, 6);
    for (key, value) in [
        ("ss_num_validation_images", "6"),
        ("ss_validation_split", "0.2"),
        ("ss_validation_seed", "5"),
        ("ss_validate_every_n_epochs", "2"),
        ("ss_validate_every_n_steps", "50"),
        ("ss_max_validation_steps", "3"),
        ("lorabake_ema_decay", "0.999"),
    ] {
        assert_eq!(built[key], value, "{key}");
    }
}

#[test]
fn ours_is_named_and_the_recipe_travels() {
    let saved = saved("a_lora_adamw");
    let mut recipe = recipe("a_lora_adamw");
    let mut facts = facts(&saved, &recipe);
    facts.typed = Typed { unet_lr: None, text_encoder_lr: None, clip_skip: None };
    recipe.data.buckets = None;
    facts.dataset.bucket_info = None;
    facts.model_hashes = None;
    // A VAE that is a folder: sd-scripts has a word for its hash.
    let hashes = ModelHashes::of_file(&std::env::temp_dir()).unwrap();
    facts.vae = Some(("vae-ft-mse".into(), Some(hashes)));
    let built = build(&recipe, &facts);
    let vae = ["ss_vae_name", "ss_vae_hash", "ss_new_vae_hash"].map(|key| built[key].as_str());
    assert_eq!(vae, ["vae-ft-mse", "IsADirectory", "IsADirectory"]);
    assert_eq!(built["lorabake_recipe"], "network_dim = 4\n");
    assert_eq!(built["lorabake_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(built["modelspec.implementation_version"], format!("lorabake/{}", env!("CARGO_PKG_VERSION")));
    let date = &built["modelspec.date"];
    assert!(date.len() == 19 && date.starts_with("2026-11-2") && date.ends_with(":58"), "{date}");
    assert!(!built.contains_key("modelspec.encoder_layer") && !built.contains_key("ss_sd_model_hash"));
    for (key, value) in [("ss_clip_skip", "None"), ("ss_min_bucket_reso", "None"), ("ss_bucket_info", "null")] {
        assert_eq!(built[key], value);
    }
    let effective = Typed::effective(&recipe);
    assert_eq!(effective, Typed { unet_lr: Some(1e-3), text_encoder_lr: Some(5e-4), clip_skip: Some(1) });
}

/// Hashes by Python's `hashlib` over the same bytes, cut as sd-scripts' `model_hash` does.
#[test]
fn model_hashes_are_those_of_sd_scripts() {
    let bytes: Vec<u8> = (0..0x12_0000u32).map(|n| (n % 251) as u8).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    std::fs::write(&path, &bytes).unwrap();
    let expected = ModelHashes {
        legacy: "15ffd73b".into(),
        sha256: "53707f2881b58d19e2c2b18a0a63102e75b30cd965af2cb892a6a79eeafb36f5".into(),
    };
    assert_eq!(ModelHashes::of_bytes(&bytes), expected);
    assert_eq!(ModelHashes::of_file(&path).unwrap(), expected);
    assert_eq!(ModelHashes::in_background(path).join().unwrap().unwrap(), expected);
    assert!(ModelHashes::of_file(&folder.path().join("none")).is_err());
}
