//! Recipe files: reading, precedence, and the round trip of the effective recipe.

use std::path::Path;

use lorabake_recipe::optim::optimizer::Optimizer;
use lorabake_recipe::train::Duration;
use lorabake_recipe::{ParseError, parse_toml, parse_train};

use crate::{ENOUGH, parse};

const FILE: &str = r#"
pretrained_model_name_or_path = 'models\nai.ckpt'
[folders]
train_data_dir = "images"
output_dir = "out"
output_name = "penny"
logging_dir = ""
[network_arguments]
network_dim = 64.0
network_alpha = 32
network_args = ["conv_dim=8", "conv_alpha=4"]
optimizer_args = []
learning_rate = 1e-4
text_encoder_lr = [5e-5]
[anything]
resolution = [512, 768]
shuffle-caption = true
flip_aug = false
max_train_epochs = 6
lr_scheduler = "cosine"
lr_warmup_steps = 0.1
seed = 420
loss_type = "l2"
color_aug = false
scale_weight_norms = 0
"#;

fn problems_in(text: &str) -> String {
    match parse_toml(text, Path::new("bake.toml")) {
        Err(ParseError::Unusable(problems)) => problems.0.iter().map(|problem| format!("{problem}\n")).collect(),
        other => panic!("no problem: {other:?}"),
    }
}

#[test]
fn a_file_says_the_same_as_the_command_line() {
    let file = parse_toml(FILE, Path::new("bake.toml")).unwrap();
    let line = parse(
        r"--pretrained_model_name_or_path models\nai.ckpt --train_data_dir images --output_dir out
          --output_name penny --network_dim 64 --network_alpha 32 --network_args conv_dim=8 conv_alpha=4
          --learning_rate 0.0001 --text_encoder_lr 0.00005 --resolution 512,768 --shuffle_caption --max_train_epochs 6
          --lr_scheduler cosine --lr_warmup_steps 10% --seed 420",
    );
    assert_eq!(file.recipe, line.unwrap().recipe);
    assert!(file.notes.is_empty(), "{:?}", file.notes);
    assert_eq!(file.raw.resolve().unwrap().recipe, file.recipe);
}

#[test]
fn the_effective_recipe_is_written_and_read_back_unchanged() {
    let every_option = "--reg_data_dir=reg --caption_extension=.cap --resolution=512x640 --enable_bucket \
        --bucket_no_upscale \
        --train_batch_size=2 --shuffle_caption --keep_tokens=1 --caption_separator=; --flip_aug \
        --cache_latents --network_args conv_dim=8 --network_weights=a.safetensors --network_train_unet_only \
        --prior_loss_weight=0.5 --prior_prediction --trigger_word=penny --trigger_class=girl --trigger_dropout_rate=0.25 \
        --min_snr_gamma=5 --noise_offset=0.06 --optimizer_args betas=(0.9,0.99) \
        eps=1e-9 --unet_lr=3e-5 --text_encoder_lr=1e-5 --lr_scheduler=polynomial --lr_scheduler_power=1.5 \
        --lr_warmup_steps=100 --max_grad_norm=0 --gradient_accumulation_steps=4 --mixed_precision=bf16 \
        --no_half_vae --threads=2 --device=cuda:1 --save_precision=fp16 --save_every_n_epochs=2 --save_every_n_steps=100 \
        --training_comment=\"hi\" --no_metadata --logging_dir=logs --log_prefix=a \
        --keep_tokens_separator=||| --secondary_separator=;;; --enable_wildcard --caption_prefix=a --caption_suffix=b \
        --caption_dropout_rate=0.1 --caption_dropout_every_n_epochs=3 --caption_tag_dropout_rate=0.2 \
        --token_warmup_min=2 --token_warmup_step=0.25 --loss_type=huber --huber_schedule=exponential --huber_c=0.2 \
        --huber_scale=0.5 --debiased_estimation_loss --noise_offset_random_strength --adaptive_noise_scale=-0.01 \
        --multires_noise_iterations=6 --multires_noise_discount=0.4 --ip_noise_gamma=0.1 \
        --ip_noise_gamma_random_strength --min_timestep=10 --max_timestep=990 --v_parameterization \
        --zero_terminal_snr --scale_v_pred_loss_like_noise_pred \
        --save_last_n_epochs=2 --save_last_n_epochs_state=1 --save_last_n_steps=300 --save_last_n_steps_state=100 \
        --save_n_epoch_ratio=4 --sample_prompts=p.txt --sample_every_n_epochs=2 --sample_at_first \
        --sample_sampler=euler_a --reg_pairing=same_name --masked_loss --conditioning_data_dir=masks \
         --weighted_captions --cache_latents_to_disk --skip_cache_check --validation_split=0.2 --validation_seed=3 \
         --validate_every_n_steps=50 --validate_every_n_epochs=2 --max_validation_steps=4 --ema_decay=0.99 \
         --judge_every_n_epochs=2 --stop_when_overcooked=3";
    let other = "--max_train_steps=100 --lr_scheduler=cosine_with_restarts --lr_scheduler_num_cycles=3 \
        --lr_warmup_steps=0.25 --network_weights=a.safetensors --dim_from_weights --random_crop \
        --color_aug --face_crop_aug_range=2.0,4.5 --alpha_mask \
        --loss_type=smooth_l1 --huber_schedule=constant --v_pred_like_loss=0.5 --multires_noise_iterations=6 \
        --sample_prompts=p.txt --sample_every_n_steps=50 --validation_split=0.1";
    let every_optimizer = Optimizer::NAMES.iter().map(|name| format!("{ENOUGH} --optimizer_type={name}"));
    let prodigy =
        "--optimizer_type=Prodigy --optimizer_args decouple=False d_coef=2 growth_rate=1.02 beta3=0.9 slice_p=11";
    let blocks = "--network_args down_lr_weight=sine up_lr_weight=0,1 block_alphas=1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,\
        1,1,1,1,1,1,1,0.5 loraplus_lr_ratio=16 loraplus_unet_lr_ratio=4";
    let conv_blocks = "conv_block_dims=0,0,0,2,2,2,2,2,2,2,2,2,4,2,2,2,2,2,2,2,2,2,2,2,2 conv_alpha=0";
    let lines = [
        "--train_data_dir=images --output_dir=out".to_owned(),
        ENOUGH.to_owned(),
        format!("{ENOUGH} {every_option}"),
        format!("--train_data_dir=images --output_dir=out {other}"),
        format!("{ENOUGH} {prodigy}"),
        format!("{ENOUGH} {blocks}"),
        format!("{ENOUGH} --block_lr_weight=IN=0,M00=0.3 --scale_weight_norms=1 --network_args {conv_blocks}"),
        format!("{ENOUGH} --network_dropout=0.25 --network_args rank_dropout=0.1 module_dropout=0.2"),
        format!("{ENOUGH} --network_train_unet_only --cache_text_encoder_outputs --cache_latents_to_disk"),
        format!("{ENOUGH} --network_module=networks.dylora --network_args unit=4"),
        format!("{ENOUGH} --network_module=networks.dylora --block_lr_weight=IN=0,M00=0.3"),
        format!("{ENOUGH} --network_module=lycoris.kohya --block_lr_weight=OUT=0.5 --scale_weight_norms=1"),
        format!(
            "{ENOUGH} --network_module=lycoris.kohya --network_args algo=lokr factor=8 preset=attn-mlp dora_wd=True"
        ),
    ];
    for line in lines.into_iter().chain(every_optimizer) {
        let recipe = parse(&line).unwrap().recipe;
        let text = recipe.to_toml().unwrap();
        let again = parse_toml(&text, Path::new("bake.toml")).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(again.recipe, recipe, "{text}");
        assert_eq!(again.recipe.to_toml().unwrap(), text);
    }
}

#[test]
fn what_was_typed_is_written_in_sections() {
    let raw = parse(&format!("{ENOUGH} --flip_aug --lr_scheduler=linear --lr_warmup_steps=100")).unwrap().raw;
    let expected = r#"[model]
pretrained_model_name_or_path = "m.safetensors"

[data]
train_data_dir = "images"
resolution = "512"
flip_aug = true

[caches]

[captions]

[network]
network_dim = 32
network_alpha = 16.0

[optim]
learning_rate = 0.0001
lr_scheduler = "linear"
lr_warmup_steps = 100

[diffusion]

[prior]

[train]
max_train_epochs = 8
seed = 420

[validation]

[judging]

[output]
output_dir = "out"
output_name = "penny"

[samples]
"#;
    assert_eq!(raw.to_toml().unwrap(), expected);
}

#[test]
fn the_command_line_wins_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bake.toml");
    std::fs::write(&path, format!("{FILE}\nenable_bucket = true\n")).unwrap();
    let without_suffix = path.with_extension("");
    let line = format!("--network_dim=128 --config_file={} --enable_bucket=false --flip_aug", without_suffix.display());
    let recipe = parse(&line).unwrap().recipe;
    assert_eq!((recipe.network.linear.rank, recipe.network.linear.alpha), (128, 32.0));
    assert_eq!((recipe.data.buckets, recipe.data.flip_aug), (None, true));
}

#[test]
fn output_config_writes_to_a_new_file_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.toml");
    let line = format!("{ENOUGH} --output_config --config_file={}", folder.path().join("new").display());
    assert_eq!(parse(&line).unwrap().write_to, Some(path.clone()));
    std::fs::write(&path, "").unwrap();
    let error = parse(&line).unwrap_err().to_string();
    assert!(error.contains("new.toml exists already, and --output_config overwrites nothing"), "{error}");
}

#[test]
fn problems_of_a_file_name_the_file() {
    let table = [
        (
            "network_rank = 8",
            "bake.toml: network_rank: neither lorabake nor sd-scripts knows this option; did you mean network_dim?",
        ),
        (
            "min_snr_gama = 5",
            "bake.toml: min_snr_gama: neither lorabake nor sd-scripts knows this option; did you mean min_snr_gamma?",
        ),
        (
            "deepspeed = true",
            "bake.toml: deepspeed: known to sd-scripts, but lorabake does not support it yet; leave it out: lorabake \
             runs as one process",
        ),
        (
            "keep_tokens = 'one'",
            "bake.toml: keep_tokens: `one` is not a whole number from 0 to 4294967295; write for instance 1",
        ),
        ("config_file = 'x'", "bake.toml: config_file: it belongs on the command line; leave it out of the file"),
        ("seed = 1", "bake.toml: seed: it is given in two sections; leave one of them out"),
        ("[anything.deeper]\nx = 1", "bake.toml: deeper: a recipe file has one level of sections; write key = value"),
    ];
    for (line, expected) in table {
        assert_eq!(problems_in(&format!("{FILE}\n[more]\n{line}\n")), format!("{expected}\n"));
    }
    let broken = problems_in("train_data_dir = \"images\"\noutput_dir = \"C:\\models\"\n");
    assert!(broken.starts_with("bake.toml: line 2 is not TOML: "), "{broken}");
    assert!(problems_in("").starts_with("--train_data_dir: the folder of images is missing"));
    let missing = parse("--config_file=nowhere").unwrap_err().to_string();
    assert!(missing.contains("--config_file: nowhere.toml cannot be read ("), "{missing}");
}

/// Whoever types a length wants that one, whatever the file says.
#[test]
fn a_typed_length_goes_before_the_one_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.toml");
    std::fs::write(&path, "train_data_dir = 'in'\noutput_dir = 'out'\nmax_train_epochs = 9\n").unwrap();
    let file = format!("--config_file={}", path.display());
    let parsed = parse_train(&[file.into(), "--max_train_steps=4".into()]).unwrap();
    assert_eq!(parsed.recipe.train.duration, Duration::Steps(4));
    assert!(parsed.notes.iter().all(|note| note.option != "max_train_steps"));
}
