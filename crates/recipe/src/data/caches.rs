//! What is computed once and kept: latents beside their images, outputs of the text encoder.
//!
//! Keeping one VAE sample per image at all (`--cache_latents`) is an option of the images; see [`crate::data`].

use std::collections::BTreeSet;

use serde::Serialize;

use super::Data;
use super::captions::CaptionRules;
use crate::network::Scope;
use crate::report::Report;

/// Caches of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caches {
    /// Latents in files beside the images (`--cache_latents_to_disk`); `None` = in memory, for this run.
    pub latents_on_disk: Option<Trust>,
    /// Each caption goes through the text encoder once (`--cache_text_encoder_outputs`).
    pub text_outputs: bool,
}

/// Which latents on disk are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Latents that are known, or likely, to be what the VAE makes of the image as it is now.
    Checked,
    /// All latents that have the right size (`--skip_cache_check`).
    Blind,
}

/// What may be typed about caches; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Images", rename_all = "verbatim")]
pub struct RawCaches {
    /// Like --cache_latents, and keep them in .npz files beside the images, as sd-scripts does, so that later runs
    /// start at once. An image that changed, or another VAE, is noticed.
    #[arg(long)]
    pub cache_latents_to_disk: Option<bool>,
    /// With --cache_latents_to_disk: use all latents of the right size, whatever image and VAE they were made from.
    #[arg(long)]
    pub skip_cache_check: Option<bool>,
    /// Encode each caption once and drop the text encoder, which saves time and memory. Only with
    /// --network_train_unet_only, and without options that change captions at random.
    #[arg(long)]
    pub cache_text_encoder_outputs: Option<bool>,
}

impl RawCaches {
    pub(crate) fn resolve(&self, data: &Data, scope: Scope, report: &mut Report) -> Caches {
        let blind = self.skip_cache_check == Some(true);
        let on_disk = self.cache_latents_to_disk == Some(true);
        if blind && !on_disk {
            report.note("skip_cache_check", "has no effect without --cache_latents_to_disk");
        }
        let text_outputs = self.cache_text_encoder_outputs == Some(true);
        if text_outputs {
            check_text(data, scope, report);
        }
        let latents_on_disk = match (on_disk, blind) {
            (false, _) => None,
            (true, false) => Some(Trust::Checked),
            (true, true) => Some(Trust::Blind),
        };
        Caches { latents_on_disk, text_outputs }
    }
}

/// What is encoded once must not change from use to use.
fn check_text(data: &Data, scope: Scope, report: &mut Report) {
    const OPTION: &str = "cache_text_encoder_outputs";
    if scope != Scope::UnetOnly {
        let what = "the text encoder is trained, so that its outputs change with every step";
        report.problem(OPTION, what, "add --network_train_unet_only, or leave it out");
    }
    let mut changing = BTreeSet::new();
    match &data.config {
        None => changing.extend(changing_options(&data.captions)),
        Some(config) => {
            for subset in &config.subsets {
                changing.extend(changing_options(&subset.settings.captions));
            }
        }
    }
    for option in changing {
        let what = format!("with --{option} the same caption reads differently from use to use");
        report.problem(OPTION, what, "leave one of them out");
    }
}

/// Options that are given and make a caption read differently from use to use.
fn changing_options(rules: &CaptionRules) -> Vec<&'static str> {
    let options = [
        ("shuffle_caption", rules.shuffle),
        ("caption_dropout_rate", rules.dropout_rate > 0.0),
        ("caption_dropout_every_n_epochs", rules.dropout_every_n_epochs > 0),
        ("caption_tag_dropout_rate", rules.tag_dropout_rate > 0.0),
        ("token_warmup_step", rules.warmup.is_some()),
        ("enable_wildcard", rules.wildcards),
    ];
    options.iter().filter(|(_, given)| *given).map(|(option, _)| *option).collect()
}

impl From<&Caches> for RawCaches {
    fn from(caches: &Caches) -> Self {
        Self {
            cache_latents_to_disk: Some(caches.latents_on_disk.is_some()),
            skip_cache_check: Some(caches.latents_on_disk == Some(Trust::Blind)),
            cache_text_encoder_outputs: Some(caches.text_outputs),
        }
    }
}
