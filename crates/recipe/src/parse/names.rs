//! Names that people type instead of the right ones.

/// Words of other programs, guides and the first guess, with the option that is meant.
const MEANT: [(&str, &str); 22] = [
    ("rank", "network_dim"),
    ("dim", "network_dim"),
    ("network_rank", "network_dim"),
    ("lora_rank", "network_dim"),
    ("alpha", "network_alpha"),
    ("lora_alpha", "network_alpha"),
    ("lr", "learning_rate"),
    ("te_lr", "text_encoder_lr"),
    ("epochs", "max_train_epochs"),
    ("num_epochs", "max_train_epochs"),
    ("steps", "max_train_steps"),
    ("batch_size", "train_batch_size"),
    ("optimizer", "optimizer_type"),
    ("scheduler", "lr_scheduler"),
    ("warmup", "lr_warmup_steps"),
    ("model", "pretrained_model_name_or_path"),
    ("checkpoint", "pretrained_model_name_or_path"),
    ("output", "output_dir"),
    ("config", "config_file"),
    ("crop_aug", "random_crop"),
    ("8bit_adam", "use_8bit_adam"),
    ("snr_gamma", "min_snr_gamma"),
];

/// The option that `name` probably means: a known synonym, or the most similar of `names`.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if let Some((_, meant)) = MEANT.iter().find(|(typed, _)| *typed == name) {
        return Some(meant);
    }
    nearest_in(name, names)
}

/// The one of `names` that is most similar to `name`, in whatever case, if any is.
pub(crate) fn nearest_in<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let mut best = None;
    let mut best_score = 0.85;
    for candidate in names {
        let score = strsim::jaro_winkler(&name, &candidate.to_ascii_lowercase());
        // Of equals the last.
        if score >= best_score {
            best = Some(candidate);
            best_score = score;
        }
    }
    best
}
