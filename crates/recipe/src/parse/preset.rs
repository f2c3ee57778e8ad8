//! `--preset`: settings of the guide under one name, beneath everything that is given explicitly.
//!
//! Source: the guide's "Easy settings", and its table of optimizers for Prodigy.

use super::argv::Given;
use crate::optim::optimizer::Optimizer;
use crate::report::{Note, Problem};

/// A setting with the reason for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) option: &'static str,
    pub(crate) values: Vec<String>,
    pub(crate) reason: String,
}

impl Setting {
    pub(crate) fn new(option: &'static str, value: impl ToString, reason: impl Into<String>) -> Self {
        // Only lists hold spaces between their words.
        let values = match option {
            "optimizer_args" => value.to_string().split(' ').map(str::to_owned).collect(),
            _ => vec![value.to_string()],
        };
        Self { option, values, reason: reason.into() }
    }
}

/// What a preset stands for.
pub(crate) struct Preset {
    pub(crate) options: Vec<Given>,
    /// Lists the options.
    pub(crate) note: Note,
}

/// Options that stand for each other: who gives one of a group wants the preset's others of that group less.
const RIVALS: [&[&str]; 3] = [
    &["optimizer_type", "use_8bit_adam", "use_lion_optimizer"],
    &["max_train_epochs", "max_train_steps"],
    &["network_module", "network_args"],
];

/// What `--optimizer_args` the guide gives an adaptive optimizer.
pub(crate) fn adaptive_args(optimizer: &str) -> Option<&'static str> {
    match optimizer {
        "Prodigy" => Some(
            "decouple=True weight_decay=0.01 d_coef=2 use_bias_correction=True safeguard_warmup=False betas=0.9,0.999",
        ),
        "DAdaptAdam" | "DAdaptAdamPreprint" => Some("decouple=True weight_decay=0.01 betas=0.9,0.999"),
        _ => None,
    }
}

/// The "Easy settings", with the optimizer's part for `optimizer`; none of that part if it does not adapt its rates.
pub(crate) fn easy(optimizer: &str) -> Vec<Setting> {
    let mut settings = vec![
        Setting::new("network_module", "networks.lora", "the standard kind of LoRA (LierLa)"),
        Setting::new("network_dim", 64, "rank 64; 32 will be fine for characters and concepts too"),
        Setting::new("resolution", 512, "512 is a fine default; 576 is also fine and shows more detail"),
        Setting::new("enable_bucket", true, "images of all shapes are used without cropping them to a square"),
        Setting::new("min_bucket_reso", 320, "bucket size from 320"),
        Setting::new("max_bucket_reso", 1024, "to 768 or 1024"),
        Setting::new("min_snr_gamma", 5, "smooths the loss at no cost; 5 is the recommended value"),
        Setting::new("max_token_length", 225, "long lists of tags fit"),
        Setting::new("max_train_steps", 1000, "around 1000 steps; adjust epochs to your images"),
    ];
    let adapts = Optimizer::named(optimizer).is_some_and(|optimizer| optimizer.adapts());
    if adapts {
        settings.extend([
            Setting::new("network_alpha", 1, "alpha 1 seems best with D-Adaptation, which makes up for the brake"),
            Setting::new("optimizer_type", optimizer, "finds the size of its steps itself, so there is less to guess"),
            Setting::new("learning_rate", 1, "an adaptive optimizer multiplies it with a size that it finds itself"),
            Setting::new("lr_scheduler", "constant", "the optimizer raises and lowers the rate itself"),
        ]);
        settings
            .extend(adaptive_args(optimizer).map(|args| Setting::new("optimizer_args", args, "the guide's settings")));
    }
    settings
}

/// The options of the preset `name`, without those that `explicit` overrules, and a note that lists them.
///
/// # Errors
/// If there is no such preset.
pub(crate) fn options(name: &str, explicit: &[&Given]) -> Result<Preset, Problem> {
    if !name.eq_ignore_ascii_case("easy") {
        let problem = Given { name: "preset".to_owned(), values: vec![name.to_owned()], file: None };
        return Err(problem.problem(format!("there is no preset called `{name}`"), "use easy"));
    }
    let names: Vec<&str> = explicit.iter().map(|given| given.name.as_str()).collect();
    let has_old_flag = names.contains(&"use_8bit_adam") || names.contains(&"use_lion_optimizer");
    let typed = explicit.iter().rev().find(|given| given.name == "optimizer_type");
    let optimizer = match typed.and_then(|given| given.values.first()) {
        Some(named) => Optimizer::named(named).map_or("", |optimizer| optimizer.name()),
        None if has_old_flag => "",
        None => "DAdaptAdam",
    };
    let mut options = Vec::new();
    let mut shown = Vec::new();
    for setting in easy(optimizer) {
        if overruled(setting.option, &names) {
            continue;
        }
        shown.push(format!("{}={}", setting.option, setting.values.join(" ")));
        options.push(Given { name: setting.option.to_owned(), values: setting.values, file: None });
    }
    let text = format!("easy stands for {}; what you give wins", shown.join(", "));
    Ok(Preset { options, note: Note { option: "preset".to_owned(), text } })
}

/// Whether one of `names` makes `option` of a preset or a model void.
pub(crate) fn overruled(option: &str, names: &[&str]) -> bool {
    if names.contains(&option) {
        return true;
    }
    RIVALS.iter().any(|group| group.contains(&option) && group.iter().any(|name| names.contains(name)))
}
