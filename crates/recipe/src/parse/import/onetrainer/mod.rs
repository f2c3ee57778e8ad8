//! Configurations and presets of OneTrainer (Nerogar/OneTrainer).
//!
//! What a setting means and what holds where a preset is silent was read off OneTrainer's description of its settings;
//! the program is AGPL, and nothing of it is here. Its loop differs from sd-scripts' in many ways, so the result is a
//! recipe of the same kind, not the same training.

mod names;

use serde_json::{Map, Value, json};

use super::destination::Destination;
use super::imported::Imported;
use super::ledger::{self, Ledger};
use crate::optim::optimizer::Optimizer;
use names::{DEFAULTS, OPTIMIZERS, OWN};

/// Maps the settings.
pub(super) fn read(mut settings: Map<String, Value>) -> Imported {
    for (key, default) in DEFAULTS {
        settings.entry(key).or_insert_with(|| default.parse::<f64>().map_or(json!(default == "true"), |n| json!(n)));
    }
    let mut books = Ledger::new(settings);
    family(&mut books);
    for (key, option) in [
        ("base_model_name", "pretrained_model_name_or_path"),
        ("lora_model_name", "network_weights"),
        ("batch_size", "train_batch_size"),
        ("gradient_accumulation_steps", "gradient_accumulation_steps"),
        ("learning_rate", "learning_rate"),
        ("epochs", "max_train_epochs"),
        ("aspect_ratio_bucketing", "enable_bucket"),
        ("latent_caching", "cache_latents"),
        ("rescale_noise_scheduler_to_zero_terminal_snr", "zero_terminal_snr"),
        ("force_v_prediction", "v_parameterization"),
        ("seed", "seed"),
    ] {
        books.copy(key, option);
    }
    for (key, option) in [
        ("dropout_probability", "network_dropout"),
        ("offset_noise_weight", "noise_offset"),
        ("perturbation_noise_weight", "ip_noise_gamma"),
    ] {
        books.copy_unless_zero(key, option);
    }
    files(&mut books);
    size(&mut books);
    adapter(&mut books);
    optimizer(&mut books);
    schedule(&mut books);
    average(&mut books);
    loss(&mut books);
    parts(&mut books);
    concepts(&mut books);
    memory_and_masks(&mut books);
    books.forget(&OWN);
    books.close("a configuration of OneTrainer")
}

/// Models that can be trained; which it is, the checkpoint says itself.
const MODELS: [&str; 4] =
    ["STABLE_DIFFUSION_15", "STABLE_DIFFUSION_20", "STABLE_DIFFUSION_21", "STABLE_DIFFUSION_XL_10_BASE"];

fn family(books: &mut Ledger) {
    let wanted = [
        ("training_method", &["LORA"][..], "lorabake trains LoRAs"),
        ("model_type", &MODELS, "lorabake trains Stable Diffusion 1.x, 2.x and SDXL models"),
    ];
    for (key, values, why) in wanted {
        if let Some(found) = books.text(key).filter(|found| !values.contains(&found.as_str())) {
            books.refuse(key, &found, why);
        }
    }
}

fn memory_and_masks(books: &mut Ledger) {
    match books.text("gradient_checkpointing").as_deref() {
        // What is offloaded there is in main memory here already.
        Some("ON" | "CPU_OFFLOADED" | "true") => books.give("gradient_checkpointing", true),
        None | Some("OFF" | "false") => {}
        Some(other) => books.refuse("gradient_checkpointing", other, "there is gradient_checkpointing, on or off"),
    }
    if books.text("masked_training").as_deref() == Some("true") {
        books.give("masked_loss", true);
        let why = "put the masks, there called NAME-masklabel.png, into a folder under the names of the images, and name \
                   it with conditioning_data_dir";
        books.refuse("masked_training", "true", why);
    }
}

fn files(books: &mut Ledger) {
    if let Some(text) = books.text("output_model_destination") {
        let destination = Destination::of(&text);
        books.give("output_dir", destination.folder);
        books.give("output_name", destination.name);
    }
    precision(books, "train_dtype", "mixed_precision", "no");
    precision(books, "output_dtype", "save_precision", "float");
    let every = books.positive("save_every");
    match (every, books.text("save_every_unit").as_deref()) {
        (Some(every), Some("EPOCH")) => books.give("save_every_n_epochs", every),
        (Some(every), Some("STEP")) => books.give("save_every_n_steps", every),
        (Some(every), Some(unit)) if unit != "NEVER" => {
            books.refuse("save_every", &format!("{every} {unit}"), "use save_every_n_epochs or save_every_n_steps");
        }
        _ => {}
    }
}

/// The type of numbers that `key` names becomes the value of `option`, which calls 32-bit floats `full`.
fn precision(books: &mut Ledger, key: &str, option: &str, full: &str) {
    let Some(text) = books.text(key) else { return };
    match text.as_str() {
        "FLOAT_32" | "TFLOAT_32" => books.give(option, full),
        "FLOAT_16" => books.give(option, "fp16"),
        "BFLOAT_16" => books.give(option, "bf16"),
        _ => books.refuse(key, &text, "there are no such numbers here"),
    }
}

/// One size is an area, `640x512` an exact shape, and a list with commas means several at once.
fn size(books: &mut Ledger) {
    let Some(text) = books.text("resolution") else { return };
    match text.split_once(',') {
        None => books.give("resolution", text),
        Some((first, _)) => {
            books.give("resolution", first.trim());
            books.refuse("resolution", &text, "one size at a time is trained; the first is taken");
        }
    }
}

fn adapter(books: &mut Ledger) {
    books.copy("lora_rank", "network_dim");
    books.copy("lora_alpha", "network_alpha");
    match books.text("peft_type").as_deref() {
        None | Some("LORA") => books.give("network_module", "networks.lora"),
        Some("LOHA") => {
            books.give("network_module", "lycoris.kohya");
            books.give_list("network_args", vec!["algo=loha".to_owned()]);
        }
        Some(other) => books.refuse("peft_type", other, "choose a kind of LoRA with network_module"),
    }
    let filter = books.text("layer_filter_preset");
    let attention = matches!(filter.as_deref(), None | Some("attn-mlp"));
    if let Some(filter) = filter.filter(|_| !attention) {
        books.refuse("layer_filter_preset", &filter, "networks.lora trains attention and MLP; conv_dim adds the rest");
    }
    let filter: &[&str] = &["layer_filter", "layer_filter_regex"];
    if attention {
        books.forget(filter)
    } else {
        books.leave(filter, "choose layers with network_args")
    }
    books.leave(&["lora_decompose"], "use network_module=lycoris.kohya with network_args dora_wd=True");
    books.forget(&["lora_decompose_norm_epsilon", "lora_decompose_output_axis"]);
}

fn optimizer(books: &mut Ledger) {
    let mut own = match books.take("optimizer") {
        Some(Value::Object(own)) => own,
        Some(other) => Map::from_iter([("optimizer".to_owned(), other)]),
        None => Map::new(),
    };
    let name = own.remove("optimizer").map_or("ADAMW".to_owned(), |name| ledger::text(&name));
    match books.number("clip_grad_norm") {
        Some(norm) => books.give("max_grad_norm", norm),
        None => books.give("max_grad_norm", 0),
    }
    let Some((_, ours)) = OPTIMIZERS.iter().find(|(theirs, _)| *theirs == name) else {
        books.refuse("optimizer", &name, "choose one with optimizer_type");
        return;
    };
    books.give("optimizer_type", ours);
    if name == "ADAM" {
        books.refuse("optimizer", &name, "AdamW with weight_decay=0 is used, which is Adam");
        own.insert("weight_decay".to_owned(), json!(0));
    }
    let keys = Optimizer::named(ours).map_or(&[][..], |optimizer| optimizer.keys());
    let mut args = Vec::new();
    for key in keys {
        let value = match *key {
            "betas" if *ours == "DAdaptAdan" => joined(&own, &["beta1", "beta2", "beta3"]),
            "betas" => joined(&own, &["beta1", "beta2"]),
            "eps" if *ours == "AdaFactor" => joined(&own, &["eps", "eps2"]),
            key => own.get(key).filter(|value| !value.is_null()).map(ledger::text),
        };
        match value.as_deref() {
            None => {}
            Some("true") => args.push(format!("{key}=True")),
            Some("false") => args.push(format!("{key}=False")),
            Some(value) => args.push(format!("{key}={value}")),
        }
    }
    books.give_list("optimizer_args", args);
}

/// Several numbers as one setting; `None` if one of them is not given.
fn joined(settings: &Map<String, Value>, keys: &[&str]) -> Option<String> {
    let mut numbers = Vec::new();
    for key in keys {
        numbers.push(settings.get(*key)?.as_f64()?.to_string());
    }
    Some(numbers.join(","))
}

fn schedule(books: &mut Ledger) {
    let name = books.text("learning_rate_scheduler").unwrap_or_else(|| "CONSTANT".to_owned());
    let warmup = books.number("learning_rate_warmup_steps").filter(|steps| *steps > 0.0);
    let cycles = books.number("learning_rate_cycles");
    let ours = match name.as_str() {
        "CONSTANT" if warmup.is_some() => "constant_with_warmup",
        "CONSTANT" => "constant",
        "LINEAR" => "linear",
        "COSINE" => "cosine",
        "COSINE_WITH_HARD_RESTARTS" => "cosine_with_restarts",
        "ADAFACTOR" => "adafactor",
        _ => {
            books.refuse(
                "learning_rate_scheduler",
                &name,
                "choose one with lr_scheduler; cosine is the nearest to most",
            );
            return;
        }
    };
    books.give("lr_scheduler", ours);
    if let Some(cycles) = cycles.filter(|_| ours == "cosine_with_restarts") {
        books.give("lr_scheduler_num_cycles", cycles.round());
    }
    if let Some(steps) = warmup.filter(|_| ours != "adafactor") {
        // Up to 1 it is a share of all steps.
        books.give("lr_warmup_steps", if steps > 1.0 { steps.floor() } else { steps });
    }
    books.leave(&["learning_rate_min_factor"], "the schedules here end at 0");
    books.leave(&["learning_rate_scaler", "loss_scaler"], "multiply the learning rate yourself");
}

/// OneTrainer averages the weights every few steps, by default every fifth; the decay of a single step is the root.
fn average(books: &mut Ledger) {
    let decay = books.number("ema_decay").unwrap_or(0.999);
    let every = books.number("ema_update_step_interval").unwrap_or(5.0).max(1.0);
    if books.text("ema").is_some_and(|place| place != "OFF") {
        books.give("ema_decay", (decay.powf(1.0 / every) * 1e6).round() / 1e6);
    }
}

fn loss(books: &mut Ledger) {
    let square = books.number("mse_strength").unwrap_or(1.0);
    let absolute = books.number("mae_strength").unwrap_or(0.0);
    match (square, absolute) {
        (0.0, 1.0) => books.give("loss_type", "l1"),
        (1.0, 0.0) => {}
        (a, b) => {
            books.refuse("mse_strength", &format!("{a}, mae_strength {b}"), "losses are not mixed; see loss_type")
        }
    }
    books.leave(&["log_cosh_strength", "huber_strength"], "losses are not mixed; see loss_type, huber_c");
    books.forget(&["huber_delta"]);
    let gamma = books.number("loss_weight_strength");
    match books.text("loss_weight_fn").as_deref() {
        Some("MIN_SNR_GAMMA") => books.give("min_snr_gamma", gamma.unwrap_or(5.0)),
        Some("DEBIASED_ESTIMATION") => books.give("debiased_estimation_loss", true),
        None | Some("CONSTANT") => {}
        Some(other) => books.refuse("loss_weight_fn", other, "there are min_snr_gamma and debiased_estimation_loss"),
    }
    for (key, option, default) in
        [("min_noising_strength", "min_timestep", 0.0), ("max_noising_strength", "max_timestep", 1.0)]
    {
        if let Some(share) = books.number(key).filter(|share| *share != default) {
            books.give(option, (1000.0 * share).round());
        }
    }
    match books.text("timestep_distribution").as_deref() {
        None | Some("UNIFORM") => books.forget(&["noising_weight", "noising_bias", "timestep_shift"]),
        Some(other) => books.refuse("timestep_distribution", other, "timesteps are drawn uniformly, as in sd-scripts"),
    }
}

/// UNet and text encoder: whether they are trained, and how fast.
fn parts(books: &mut Ledger) {
    for (key, rate, without_it) in [
        ("unet", "unet_lr", "network_train_text_encoder_only"),
        ("text_encoder", "text_encoder_lr", "network_train_unet_only"),
    ] {
        let Some(Value::Object(own)) = books.take(key) else { continue };
        if own.get("train") == Some(&Value::Bool(false)) {
            books.give(without_it, true);
        } else if let Some(value) = own.get("learning_rate").filter(|value| !value.is_null()) {
            match ledger::text(value).trim() {
                number if number.parse::<f64>().is_ok() => books.give(rate, number),
                other => books.refuse(&format!("{key}.learning_rate"), other, &format!("give a number with {rate}")),
            }
        }
        let stop = own.get("stop_training_after").filter(|stop| !ledger::is_off(stop));
        let is_never = own.get("stop_training_after_unit").is_some_and(ledger::is_off);
        if let Some(stop) = stop.filter(|_| !is_never) {
            let name = format!("{key}.stop_training_after");
            books.refuse(&name, &ledger::text(stop), "train in two [[stage]]s, the second without this part");
        }
        if let Some(share) = own.get("dropout_probability").and_then(Value::as_f64).filter(|share| *share > 0.0) {
            books.give("caption_dropout_rate", share);
        }
    }
    if let Some(skipped) = books.positive("text_encoder_layer_skip") {
        // OneTrainer counts the layers that are passed over, sd-scripts the one that is used.
        books.give("clip_skip", skipped + 1.0);
    }
}

/// Concepts are folders of any name there, REPEATS_NAME folders here.
fn concepts(books: &mut Ledger) {
    let Some(Value::Array(concepts)) = books.take("concepts") else { return };
    let used: Vec<&Value> = concepts.iter().filter(|concept| concept["enabled"] != Value::Bool(false)).collect();
    for concept in &used {
        let repeats = concept["balancing"].as_f64().unwrap_or(1.0).max(1.0).round();
        let path = ledger::text(&concept["path"]);
        let why = format!(
            "put its images into a folder called {repeats}_NAME, and give the folder around it as train_data_dir"
        );
        books.refuse("concepts", &path, &why);
    }
    for (section, key, option) in
        [("image", "enable_random_flip", "flip_aug"), ("text", "enable_tag_shuffling", "shuffle_caption")]
    {
        let count = used.iter().filter(|concept| concept[section][key] == Value::Bool(true)).count();
        if count == 0 {
            continue;
        }
        if count < used.len() {
            books.refuse(key, "true", "some concepts have it and others have not; it holds for all or none here");
            continue;
        }
        books.give(option, true);
        if option == "shuffle_caption" {
            let kept = used.iter().map(|concept| concept["text"]["keep_tags_count"].as_u64().unwrap_or(1));
            books.give("keep_tokens", kept.max().unwrap_or(1));
        }
    }
}
