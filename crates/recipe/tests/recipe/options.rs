//! Every option, by its name alone: in both forms, and none of sd-scripts' forgotten.

use clap::ArgAction;
use lorabake_recipe::command;

use crate::{ENOUGH, parse};

/// All `add_argument` names of sd-scripts 48d368fa that a LoRA script takes, of SD1 and of its other families.
const SD_SCRIPTS: &str = include_str!("sd_scripts_options.txt");

#[test]
fn no_option_of_sd_scripts_is_unknown() {
    for name in SD_SCRIPTS.lines() {
        let message = match parse(&format!("{ENOUGH} --{name}=1")) {
            Ok(parsed) => parsed.notes.iter().map(ToString::to_string).collect::<String>(),
            Err(error) => error.to_string(),
        };
        assert!(!message.contains("neither lorabake nor sd-scripts"), "{message}");
    }
}

#[test]
fn every_option_but_a_few_is_one_of_sd_scripts() {
    let command = command();
    let own = command.get_arguments().filter_map(|arg| arg.get_long());
    let new: Vec<&str> = own.filter(|name| !SD_SCRIPTS.lines().any(|known| known == *name)).collect();
    let ours = ["like", "preset", "sdxl", "reg_pairing", "block_lr_weight", "ema_decay"];
    let kept = ["prior_prediction", "trigger_word", "trigger_class", "trigger_dropout_rate"];
    let run = ["gradient_checkpointing_blocks", "threads", "device"];
    let judged = ["judge_every_n_epochs", "stop_when_overcooked"];
    assert_eq!(new, [&ours[..], &kept, &run, &judged, &["no_overwrite"]].concat());
}

/// Options that say where the recipe is; their own tests are those of files, imports and presets.
const PLACE: [&str; 4] = ["config_file", "output_config", "like", "preset"];

/// A value that each option takes; flags have none.
fn example(name: &str) -> &'static str {
    match name {
        "network_module" => "lycoris.kohya",
        "network_args" => "conv_dim=4",
        "block_lr_weight" => "IN04=0.2",
        "device" => "cuda:1",
        "network_dropout" => "0.1",
        "optimizer_type" => "adamw",
        "optimizer_args" => "eps=1e-6",
        "lr_scheduler" => "cosine",
        // With the schedule constant there is no other warmup.
        "lr_warmup_steps" => "0",
        "mixed_precision" => "bf16",
        "save_precision" => "bf16",
        "face_crop_aug_range" => "2.0,4.0",
        "reg_pairing" => "same_name",
        "save_model_as" => "safetensors",
        "max_token_length" => "150",
        "resolution" => "576",
        "bucket_reso_steps" => "128",
        "caption_extension" | "caption_extention" => ".cap",
        "caption_separator" => ";",
        "caption_prefix" | "caption_suffix" | "keep_tokens_separator" | "secondary_separator" => "word",
        "caption_dropout_rate" | "caption_tag_dropout_rate" | "validation_split" | "ema_decay" => "0.5",
        "trigger_dropout_rate" => "0.25",
        "loss_type" => "huber",
        "huber_schedule" => "constant",
        name if name.ends_with("_dir") || name.ends_with("_path") || name.ends_with("_weights") => "elsewhere",
        "output_name" | "training_comment" | "log_prefix" => "word",
        _ => "2",
    }
}

#[test]
fn every_option_parses_with_equals_sign_with_space_and_with_hyphens() {
    for arg in command().get_arguments() {
        let elsewhere = |name: &&str| !PLACE.contains(name) && *name != "dataset_config";
        let Some(name) = arg.get_long().filter(elsewhere) else {
            continue;
        };
        let flag = arg.get_num_args().is_some_and(|range| range.min_values() == 0)
            && !matches!(arg.get_action(), ArgAction::Append);
        let hyphens = name.replace('_', "-");
        // --dim_from_weights needs the file, and with it the rank has no effect; so it is with other needs.
        let needs = match name {
            "adaptive_noise_scale" => "--noise_offset=0.1",
            "scale_v_pred_loss_like_noise_pred" => "--v_parameterization",
            "cache_text_encoder_outputs" => "--network_train_unet_only",
            "trigger_dropout_rate" => "--trigger_word=word",
            _ => "",
        };
        let line = format!("{ENOUGH} --network_weights=a.safetensors {needs}");
        let forms = if flag {
            [format!("--{name}"), format!("--{hyphens}"), format!("--{name}=true")]
        } else {
            let value = example(name);
            [format!("--{name}={value}"), format!("--{name} {value}"), format!("--{hyphens} {value}")]
        };
        let [first, second, third] = forms.map(|form| {
            let parsed = parse(&format!("{line} {form}")).unwrap_or_else(|error| panic!("{form}: {error}"));
            parsed.raw
        });
        assert_eq!(first, second);
        assert_eq!(first, third);
        assert_ne!(first, parse(&line).unwrap().raw, "--{name} leaves no trace");
    }
}

#[test]
fn help_and_version_are_answers() {
    let help = parse("--train_data_dir=x --help").unwrap_err();
    assert_eq!(help.exit_code(), 0);
    let help = help.to_string();
    for heading in [
        "Recipe file:",
        "Model:",
        "Images:",
        "Captions:",
        "LoRA:",
        "Learning:",
        "Noise and loss:",
        "Keeping what the model knows:",
        "Run:",
        "Results:",
    ] {
        assert!(help.contains(heading), "{heading} is missing in\n{help}");
    }
    assert!(help.contains("--network_dim <RANK>"), "{help}");
    let version = parse("--version").unwrap_err();
    assert_eq!(
        (version.exit_code(), version.to_string()),
        (0, format!("lorabake train {}\n", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn options_in_their_off_position_are_taken_without_a_word() {
    let off =
        "--scale_weight_norms=0.0 --loss_type=l2 --max_timestep=1000 --caption_dropout_rate=0 --dataset_repeats 1";
    assert!(parse(&format!("{ENOUGH} {off}")).unwrap().notes.is_empty());
}
