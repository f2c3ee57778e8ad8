//! What a file says that its UNet predicts, in every form in which programs write it.
//!
//! Marks without numbers, the tensors `v_pred` and `ztsnr` of any shape (ComfyUI, web UIs, OneTrainer, SimpleTuner);
//! metadata `modelspec.prediction_type` (Stability, sd-scripts), `modelspec.predict_key` (ComfyUI), `ss_*` (sd-scripts);
//! a settings file of the web UI beside a checkpoint, of the same name with `.yaml`. The settings of a folder of
//! diffusers are read in `diffusers_folder`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::keys::{V_PRED, ZERO_TERMINAL_SNR};
use crate::tensors::Tensors;

/// Longest settings file that is read. Real ones have two kilobytes.
const MAX_CONFIG: u64 = 1 << 20;

/// What the UNet was trained to predict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// The noise.
    Epsilon,
    /// The velocity.
    V {
        /// The UNet was trained with noise that leaves nothing of the image at the last timestep.
        zero_terminal_snr: bool,
    },
}

type Metadata = BTreeMap<String, String>;

impl Prediction {
    /// What tensors and metadata of a file say; the tensors first.
    pub(crate) fn of(tensors: &Tensors) -> Option<Self> {
        let metadata = tensors.metadata();
        let says_v = tensors.shape(V_PRED).is_some() || matches!(Self::of_metadata(metadata), Some(Self::V { .. }));
        if says_v {
            // That noise leaves nothing says not what is predicted: ComfyUI and the web UI look at it with v only.
            let has_mark = tensors.shape(ZERO_TERMINAL_SNR).is_some();
            return Some(Self::V { zero_terminal_snr: has_mark || has_zero_terminal_snr(metadata) });
        }
        Self::of_metadata(metadata)
    }

    /// What metadata says.
    fn of_metadata(metadata: &Metadata) -> Option<Self> {
        let v = Self::V { zero_terminal_snr: has_zero_terminal_snr(metadata) };
        for key in ["modelspec.prediction_type", "modelspec.predict_key", "prediction_type"] {
            match said(metadata, key).as_str() {
                "v" | "v_prediction" | "v-prediction" | "v_pred" | "vpred" | "velocity" => return Some(v),
                "epsilon" | "eps" | "noise" => return Some(Self::Epsilon),
                _ => {}
            }
        }
        for key in ["ss_v_parameterization", "v_pred"] {
            match said(metadata, key).as_str() {
                "true" | "1" => return Some(v),
                "false" | "0" => return Some(Self::Epsilon),
                _ => {}
            }
        }
        if said(metadata, "modelspec.architecture").starts_with("stable-diffusion-v2-768-v") {
            return Some(v);
        }
        match said(metadata, "ss_base_model_version").as_str() {
            version if version.ends_with("_v") => Some(v),
            "sd_v1" | "sd_v2" => Some(Self::Epsilon),
            _ => None,
        }
    }

    /// What the settings file beside the checkpoint at `path` says, if there is one.
    pub(crate) fn beside(path: &Path) -> Option<Self> {
        let config = path.with_extension("yaml");
        let about = std::fs::metadata(&config).ok()?;
        if !about.is_file() || about.len() > MAX_CONFIG {
            return None;
        }
        Self::of_config(&String::from_utf8_lossy(&std::fs::read(config).ok()?))
    }

    /// What the lines of a settings file say: `parameterization` of the original code, the scaling of Stability's later
    /// one.
    fn of_config(text: &str) -> Option<Self> {
        let mut zero_terminal_snr = false;
        let mut velocity = None;
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim().trim_matches(['"', '\'']);
            match key.trim().trim_start_matches("- ") {
                "parameterization" => velocity = Some(value == "v"),
                "target" if value.ends_with(".VScaling") => velocity = Some(true),
                "target" if value.ends_with(".EpsScaling") => velocity = Some(false),
                "rescale_betas_zero_snr" | "zero_terminal_snr" => {
                    zero_terminal_snr = value.eq_ignore_ascii_case("true")
                }
                _ => {}
            }
        }
        Some(if velocity? { Self::V { zero_terminal_snr } } else { Self::Epsilon })
    }
}

/// Whether metadata says that the last timestep leaves nothing of the image.
fn has_zero_terminal_snr(metadata: &Metadata) -> bool {
    let keys = ["ss_zero_terminal_snr", "modelspec.zero_terminal_snr", "rescale_betas_zero_snr", ZERO_TERMINAL_SNR];
    keys.iter().any(|key| matches!(said(metadata, key).as_str(), "true" | "1"))
}

/// What metadata has under a key, in small letters; nothing if it has none.
fn said(metadata: &Metadata, key: &str) -> String {
    metadata.get(key).map_or(String::new(), |value| value.trim().to_ascii_lowercase())
}
