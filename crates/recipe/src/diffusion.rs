//! Noise and loss.

use serde::Serialize;

use crate::report::Report;

/// Diffusion section of a recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct Diffusion {
    /// Loss weight of regularization images (`--prior_loss_weight`).
    pub prior_loss_weight: f64,
    /// Min-SNR weighting, Hang et al. 2023 (`--min_snr_gamma`).
    pub min_snr_gamma: Option<f64>,
    /// Strength of a constant per channel added to the noise (`--noise_offset`).
    pub noise_offset: Option<f64>,
}

/// What may be typed about noise and loss; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Noise and loss", rename_all = "verbatim")]
pub struct RawDiffusion {
    /// How much regularization images count against training images. [default: 1]
    #[arg(long, value_name = "WEIGHT")]
    pub prior_loss_weight: Option<f64>,
    /// Smooth the loss over noise levels (Min-SNR). 5 is recommended, 1 is strong, 20 hardly does anything. [default:
    /// off]
    #[arg(long, value_name = "GAMMA")]
    pub min_snr_gamma: Option<f64>,
    /// Learn brighter brights and darker darks. Up to 0.1 is safe, more may "deep-fry" pictures; each 0.1 slows
    /// learning a good deal. [default: off]
    #[arg(long, value_name = "STRENGTH")]
    pub noise_offset: Option<f64>,
}

impl RawDiffusion {
    pub(crate) fn resolve(&self, has_reg: bool, report: &mut Report) -> Diffusion {
        let prior_loss_weight = report.amount("prior_loss_weight", self.prior_loss_weight, 1.0);
        if prior_loss_weight != 1.0 && !has_reg {
            report.note("prior_loss_weight", "has no effect without --reg_data_dir");
        }
        let mut switched = |option, given| Some(report.amount(option, given, 0.0)).filter(|value| *value > 0.0);
        let min_snr_gamma = switched("min_snr_gamma", self.min_snr_gamma);
        let noise_offset = switched("noise_offset", self.noise_offset);
        Diffusion { prior_loss_weight, min_snr_gamma, noise_offset }
    }
}

impl From<&Diffusion> for RawDiffusion {
    fn from(diffusion: &Diffusion) -> Self {
        Self {
            prior_loss_weight: Some(diffusion.prior_loss_weight),
            min_snr_gamma: diffusion.min_snr_gamma,
            noise_offset: diffusion.noise_offset,
        }
    }
}
