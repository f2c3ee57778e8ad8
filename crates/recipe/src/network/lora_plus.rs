//! LoRA+ (Hayou et al. 2024): the up factors learn faster than the down factors, by sd-scripts' keys of
//! `--network_args`.

use crate::parse::pairs::value_of;
use crate::report::{LARGEST, Report};

/// Keys of `--network_args` that are read here.
pub(crate) const KEYS: [&str; 3] = ["loraplus_lr_ratio", "loraplus_unet_lr_ratio", "loraplus_text_encoder_lr_ratio"];

/// How many times the rate of the down factors that of the up factors is; `None` = they share a group.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LoraPlus {
    /// In the UNet.
    pub unet: Option<f64>,
    /// In the text encoder.
    pub text_encoder: Option<f64>,
}

impl LoraPlus {
    pub(crate) fn resolve(args: &[(&str, &str)], report: &mut Report) -> Self {
        let [both, unet, text_encoder] = KEYS.map(|key| {
            let text = value_of(args, key)?;
            let ratio = text.parse::<f64>().ok().filter(|ratio| *ratio > 0.0 && *ratio <= LARGEST);
            if ratio.is_none() {
                let what = format!("{key}={text} is not a ratio of learning rates");
                report.problem("network_args", what, format!("use a number above 0, such as {key}=16"));
            }
            ratio
        });
        Self { unet: unet.or(both), text_encoder: text_encoder.or(both) }
    }
}
