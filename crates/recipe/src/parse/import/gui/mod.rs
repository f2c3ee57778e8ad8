//! Presets and saved settings of the kohya GUI (bmaltais/kohya_ss), LoRA tab.
//!
//! Which setting becomes which option of sd-scripts, and which values stand for off, follows the GUI's own
//! `lora_gui.py` and `common_gui.py`. No line of them is here.

mod names;

use std::ffi::OsString;

use serde_json::{Map, Value};

use super::imported::{Imported, names_a_secret};
use super::ledger::{self, Ledger};
use crate::parse::argv::{self, Given};
use crate::parse::words;
use names::{ADAPTER, ASIDE, KINDS, KOHYA_ARGS, Kind, SAME, UNLESS_ZERO};

/// Maps the settings.
pub(super) fn read(settings: Map<String, Value>) -> Imported {
    let mut books = Ledger::new(settings);
    for key in SAME {
        books.copy(key, key);
    }
    for key in UNLESS_ZERO {
        books.copy_unless_zero(key, key);
    }
    books.copy("max_resolution", "resolution");
    books.copy("sdxl_cache_text_encoder_outputs", "cache_text_encoder_outputs");
    books.copy("sdxl_no_half_vae", "no_half_vae");
    books.copy("lora_network_weights", "network_weights");
    books.copy("network_weights", "network_weights");
    books.copy_unless_zero("metadata_license", "metadata_license");
    adapter(&mut books);
    rates(&mut books);
    duration(&mut books);
    noise(&mut books);
    attention(&mut books);
    for (keys, why) in ASIDE {
        books.leave(keys, why);
    }
    extra_words(&mut books);
    books.close("a preset of the kohya GUI")
}

fn adapter(books: &mut Ledger) {
    let kind = books.text("LoRA_type").unwrap_or_else(|| "Standard".to_owned());
    let kind = if kind == "LoCon" { "LyCORIS/LoCon" } else { kind.as_str() };
    let Some(Kind { module, algo, keys, .. }) = KINDS.iter().find(|own| own.name == kind) else {
        books.refuse("LoRA_type", kind, "there is no such kind of LoRA here");
        books.forget(&ADAPTER);
        return;
    };
    books.give("network_module", module);
    let mut args = Vec::new();
    let ours = *module != "lycoris.kohya";
    if !ours {
        let preset = books.text("LyCORIS_preset").unwrap_or_else(|| "full".to_owned());
        args.push(format!("algo={algo}"));
        args.push(format!("preset={preset}"));
    }
    let shared: &[&str] = match (ours, *algo) {
        (true, _) if keys.contains(&"down_lr_weight") => &[],
        (true, _) => &KOHYA_ARGS,
        (false, "full") => &["rank_dropout", "module_dropout", "rank_dropout_scale", "train_norm"],
        (false, "ia3") => &["conv_dim", "conv_alpha"],
        (false, _) => &["conv_dim", "conv_alpha", "rank_dropout", "module_dropout", "rank_dropout_scale", "train_norm"],
    };
    for key in keys.iter().chain(shared) {
        let Some(value) = books.take(key).filter(|value| !ledger::is_off(value)) else { continue };
        let name = match (*key, *algo) {
            ("unit", "dylora") => "block_size",
            ("constrain", _) => "constraint",
            (key, _) => key,
        };
        let value = if value == Value::Bool(true) { "True".to_owned() } else { ledger::text(&value) };
        args.push(format!("{name}={value}"));
    }
    for key in ["loraplus_lr_ratio", "loraplus_unet_lr_ratio", "loraplus_text_encoder_lr_ratio"] {
        if let Some(ratio) = books.number(key).filter(|ratio| *ratio != 0.0) {
            args.push(format!("{key}={ratio}"));
        }
    }
    books.give_list("network_args", args);
    books.forget(&ADAPTER);
    books.forget(&KOHYA_ARGS);
}

/// A rate of 0 means that this part is not trained, as long as the other one is.
fn rates(books: &mut Ledger) {
    let text = books.number("text_encoder_lr");
    let unet = books.number("unet_lr");
    if let Some(rate) = text.filter(|rate| *rate > 0.0) {
        books.give("text_encoder_lr", rate);
    }
    if let Some(rate) = unet.filter(|rate| *rate > 0.0) {
        books.give("unet_lr", rate);
    }
    match (text, unet) {
        (Some(0.0), Some(unet)) if unet > 0.0 => books.give("network_train_unet_only", true),
        (Some(text), Some(0.0)) if text > 0.0 => books.give("network_train_text_encoder_only", true),
        _ => {}
    }
    if let Some(name) = books.text("optimizer") {
        books.give("optimizer_type", name);
    }
    for key in ["optimizer_args", "lr_scheduler_args"] {
        let text = books.text(key).unwrap_or_default();
        books.give_list(key, words::pairs(&text));
    }
    let steps = books.positive("lr_warmup_steps");
    let percent = books.positive("lr_warmup");
    if let Some(steps) = steps {
        books.give("lr_warmup_steps", steps);
    } else if let Some(percent) = percent {
        books.give("lr_warmup_steps", percent / 100.0);
    }
}

/// sd-scripts lets epochs win over steps; the GUI makes steps of `epoch` where neither is given.
fn duration(books: &mut Ledger) {
    let epoch = books.positive("epoch");
    let epochs = books.positive("max_train_epochs");
    let steps = books.positive("max_train_steps");
    if let Some(epochs) = epochs {
        books.give("max_train_epochs", epochs);
    } else if let Some(steps) = steps {
        books.give("max_train_steps", steps);
    } else if let Some(epoch) = epoch {
        books.give("max_train_epochs", epoch);
    }
}

/// The GUI uses one of two kinds of noise and ignores the settings of the other.
fn noise(books: &mut Ledger) {
    let offset = ["noise_offset", "adaptive_noise_scale"];
    let multires = ["multires_noise_iterations", "multires_noise_discount"];
    let is_multires = books.text("noise_offset_type").as_deref() == Some("Multires");
    let [main, modifier] = if is_multires { multires } else { offset };
    books.forget(if is_multires { &offset } else { &multires });
    match books.number(main).filter(|value| *value != 0.0) {
        Some(value) => {
            books.give(main, value);
            books.copy_unless_zero(modifier, modifier);
        }
        None => books.leave(&[modifier], &format!("it has no effect without {main}")),
    }
}

fn attention(books: &mut Ledger) {
    match books.text("xformers").as_deref() {
        Some("true" | "xformers") => books.give("xformers", true),
        Some("sdpa") => books.give("sdpa", true),
        _ => {}
    }
}

/// `additional_parameters` is a piece of a command line; it wins over the settings.
fn extra_words(books: &mut Ledger) {
    let Some(line) = books.text("additional_parameters") else { return };
    let words: Vec<OsString> = words::words(&line).into_iter().map(OsString::from).collect();
    let read = argv::split(&words);
    for problem in read.problems {
        let why = if names_a_secret(&line) { "it cannot be read".to_owned() } else { problem.to_string() };
        books.refuse("additional_parameters", &line, &why);
    }
    for Given { name, values, .. } in read.options {
        let values = if values.is_empty() { vec!["true".to_owned()] } else { values };
        books.give_list(&name, values);
    }
}
