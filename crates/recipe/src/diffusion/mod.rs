//! Noise and loss.

mod loss;
pub mod prior;

use std::ops::Range;

use serde::Serialize;

use crate::report::{LARGEST, Report};
pub use loss::{HuberSchedule, HuberThreshold, LossKind};

/// Diffusion section of a recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct Diffusion {
    /// How errors are measured (`--loss_type`).
    pub loss: LossKind,
    /// Min-SNR weighting, Hang et al. 2023 (`--min_snr_gamma`).
    pub min_snr_gamma: Option<f64>,
    /// Weighting of Yu et al. 2023 (`--debiased_estimation_loss`).
    pub debiased_estimation: bool,
    /// A constant per channel added to the noise (`--noise_offset`).
    pub noise_offset: Option<NoiseOffset>,
    /// Noise of several sizes (`--multires_noise_iterations`).
    pub multires: Option<Multires>,
    /// Further noise for the network's input only (`--ip_noise_gamma`).
    pub input_noise: Option<InputNoise>,
    /// First timestep that is trained (`--min_timestep`).
    pub min_timestep: u32,
    /// First timestep after those that are trained; the only one if it equals `min_timestep` (`--max_timestep`).
    pub max_timestep: u32,
    /// The model predicts velocities, not noise (`--v_parameterization`).
    pub v_parameterization: bool,
    /// Nothing of the image is left at the last timestep (`--zero_terminal_snr`).
    pub zero_terminal_snr: bool,
    /// Weights velocities as if noise were predicted (`--scale_v_pred_loss_like_noise_pred`).
    pub scale_v_loss: bool,
    /// Weights noise somewhat as if velocities were predicted (`--v_pred_like_loss`).
    pub v_pred_like_loss: Option<f64>,
}

impl Default for Diffusion {
    /// Everything off.
    fn default() -> Self {
        Self {
            loss: LossKind::L2,
            min_snr_gamma: None,
            debiased_estimation: false,
            noise_offset: None,
            multires: None,
            input_noise: None,
            min_timestep: 0,
            max_timestep: 1000,
            v_parameterization: false,
            zero_terminal_snr: false,
            scale_v_loss: false,
            v_pred_like_loss: None,
        }
    }
}

/// The noise offset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoiseOffset {
    /// Strength (`--noise_offset`).
    pub strength: f64,
    /// Each batch draws a strength up to that (`--noise_offset_random_strength`).
    pub random: bool,
    /// Times the mean of the latents' channel, added to the strength (`--adaptive_noise_scale`).
    pub adaptive: Option<f64>,
}

/// Multi-resolution noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Multires {
    /// Levels at most (`--multires_noise_iterations`).
    pub iterations: u32,
    /// Strength of each level relative to the one before (`--multires_noise_discount`).
    pub discount: f64,
}

/// Input perturbation, Ning et al. 2023.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InputNoise {
    /// Strength (`--ip_noise_gamma`).
    pub gamma: f64,
    /// Each batch draws a strength up to that (`--ip_noise_gamma_random_strength`).
    pub random: bool,
}

/// What may be typed about noise and loss; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Noise and loss", rename_all = "verbatim")]
pub struct RawDiffusion {
    /// How errors are measured: l2, l1, huber or smooth_l1. huber learns less from odd images than l2. [default: l2]
    #[arg(long, value_name = "KIND")]
    pub loss_type: Option<String>,
    /// With --loss_type huber or smooth_l1: how the limit of small errors changes with the noise: constant,
    /// exponential or snr. [default: snr]
    #[arg(long, value_name = "SCHEDULE")]
    pub huber_schedule: Option<String>,
    /// With --loss_type huber or smooth_l1: errors below this limit count as small. With a schedule it is what the
    /// limit falls to as noise grows. [default: 0.1]
    #[arg(long, value_name = "LIMIT")]
    pub huber_c: Option<f64>,
    /// A factor of --huber_c for the schedules constant and exponential. [default: 1]
    #[arg(long, value_name = "FACTOR")]
    pub huber_scale: Option<f64>,
    /// Smooth the loss over noise levels (Min-SNR). 5 is recommended, 1 is strong, 20 hardly does anything. [default:
    /// off]
    #[arg(long, value_name = "GAMMA")]
    pub min_snr_gamma: Option<f64>,
    /// Weight the loss by 1/√SNR, so that noisy steps, which decide the composition, count more.
    #[arg(long)]
    pub debiased_estimation_loss: Option<bool>,
    /// Learn brighter brights and darker darks. Up to 0.1 is safe, more may "deep-fry" pictures; each 0.1 slows
    /// learning a good deal. [default: off]
    #[arg(long, value_name = "STRENGTH")]
    pub noise_offset: Option<f64>,
    /// Draw the strength of the noise offset for each batch, from 0 to --noise_offset.
    #[arg(long)]
    pub noise_offset_random_strength: Option<bool>,
    /// Add this, times the mean of each latent channel, to --noise_offset; may be negative. [default: off]
    #[arg(long, value_name = "FACTOR")]
    pub adaptive_noise_scale: Option<f64>,
    /// Mix noise of several sizes, up to this many; 6 to 10 is usual. Another way to brights and darks than the noise
    /// offset. [default: off]
    #[arg(long, value_name = "LEVELS")]
    pub multires_noise_iterations: Option<u32>,
    /// With --multires_noise_iterations: strength of each size relative to the one before. [default: 0.3]
    #[arg(long, value_name = "FACTOR")]
    pub multires_noise_discount: Option<f64>,
    /// Add further noise of this strength to what the network sees, not to what it should predict; 0.1 is usual.
    /// [default: off]
    #[arg(long, value_name = "STRENGTH")]
    pub ip_noise_gamma: Option<f64>,
    /// Draw the strength of that noise for each batch, from 0 to --ip_noise_gamma.
    #[arg(long)]
    pub ip_noise_gamma_random_strength: Option<bool>,
    /// First timestep that is trained, 0 (hardly any noise) to 999. [default: 0]
    #[arg(long, value_name = "0-999")]
    pub min_timestep: Option<u32>,
    /// End of the timesteps that are trained, itself left out, 1 to 1000. [default: 1000]
    #[arg(long, value_name = "1-1000")]
    pub max_timestep: Option<u32>,
    /// The checkpoint is a v-prediction model. Needed where its file does not say so, and wrong for any other model.
    #[arg(long)]
    pub v_parameterization: Option<bool>,
    /// Let nothing of the image be left at the last timestep, for v-prediction models that were trained so.
    #[arg(long)]
    pub zero_terminal_snr: Option<bool>,
    /// With --v_parameterization: weight noise levels as a model that predicts noise does.
    #[arg(long)]
    pub scale_v_pred_loss_like_noise_pred: Option<bool>,
    /// Without --v_parameterization: add this times a v-prediction model's weighting. [default: off]
    #[arg(long, value_name = "FACTOR")]
    pub v_pred_like_loss: Option<f64>,
}

impl RawDiffusion {
    pub(crate) fn resolve(&self, report: &mut Report) -> Diffusion {
        let timesteps = self.timesteps(report);
        let v_parameterization = self.v_parameterization == Some(true);
        let diffusion = Diffusion {
            loss: self.loss(report),
            min_snr_gamma: report.amount_above_zero("min_snr_gamma", self.min_snr_gamma),
            debiased_estimation: self.debiased_estimation_loss == Some(true),
            noise_offset: self.noise_offset(report),
            multires: self.multires(report),
            input_noise: self.input_noise(report),
            min_timestep: timesteps.start,
            max_timestep: timesteps.end,
            v_parameterization,
            zero_terminal_snr: self.zero_terminal_snr == Some(true),
            scale_v_loss: self.scale_v_pred_loss_like_noise_pred == Some(true),
            v_pred_like_loss: report.amount_above_zero("v_pred_like_loss", self.v_pred_like_loss),
        };
        check_velocities(&diffusion, report);
        diffusion
    }

    fn loss(&self, report: &mut Report) -> LossKind {
        let kind = self.loss_type.as_deref().unwrap_or("l2");
        let given = [
            ("huber_schedule", self.huber_schedule.as_ref().is_some_and(|name| name != "snr")),
            ("huber_c", self.huber_c.is_some_and(|c| c != 0.1)),
            ("huber_scale", self.huber_scale.is_some_and(|scale| scale != 1.0)),
        ];
        if ["l1", "l2"].contains(&kind) {
            for (option, is_given) in given {
                if is_given {
                    report.note(option, "has no effect without --loss_type=huber or smooth_l1");
                }
            }
        }
        match kind {
            "l2" => LossKind::L2,
            "l1" => LossKind::L1,
            "huber" => LossKind::Huber(self.huber(report)),
            "smooth_l1" => LossKind::SmoothL1(self.huber(report)),
            other => {
                report.problem("loss_type", format!("there is no loss `{other}`"), "use l2, l1, huber or smooth_l1");
                LossKind::L2
            }
        }
    }

    fn huber(&self, report: &mut Report) -> HuberThreshold {
        let schedule = match self.huber_schedule.as_deref().unwrap_or("snr") {
            "constant" => HuberSchedule::Constant,
            "exponential" => HuberSchedule::Exponential,
            "snr" => HuberSchedule::Snr,
            other => {
                let what = format!("there is no schedule `{other}`");
                report.problem("huber_schedule", what, "use constant, exponential or snr");
                HuberSchedule::Snr
            }
        };
        let c = huber_amount("huber_c", self.huber_c, 0.1, report);
        let scale = huber_amount("huber_scale", self.huber_scale, 1.0, report);
        if schedule == HuberSchedule::Snr && scale != 1.0 {
            report.note("huber_scale", "has no effect with --huber_schedule=snr, as in sd-scripts");
        }
        HuberThreshold { schedule, c, scale }
    }

    fn noise_offset(&self, report: &mut Report) -> Option<NoiseOffset> {
        let strength = report.amount_above_zero("noise_offset", self.noise_offset);
        let random = self.noise_offset_random_strength == Some(true);
        let adaptive = self.adaptive_noise_scale.filter(|scale| *scale != 0.0);
        if adaptive.is_some_and(|scale| scale.is_nan() || scale.abs() > LARGEST) {
            report.problem("adaptive_noise_scale", "it is not a number", "use for instance 0.01");
        }
        if strength.is_none() && random {
            report.note("noise_offset_random_strength", "has no effect without --noise_offset");
        }
        if strength.is_none() && adaptive.is_some() {
            report.problem("adaptive_noise_scale", "it needs a noise offset", "add for instance --noise_offset=0.05");
        }
        strength.map(|strength| NoiseOffset { strength, random, adaptive })
    }

    fn multires(&self, report: &mut Report) -> Option<Multires> {
        let iterations = self.multires_noise_iterations.unwrap_or(0);
        let discount = report.amount("multires_noise_discount", self.multires_noise_discount, 0.3);
        if iterations == 0 && discount != 0.3 {
            report.note("multires_noise_discount", "has no effect without --multires_noise_iterations");
        }
        if iterations > 0 { Some(Multires { iterations, discount }) } else { None }
    }

    fn input_noise(&self, report: &mut Report) -> Option<InputNoise> {
        let gamma = report.amount_above_zero("ip_noise_gamma", self.ip_noise_gamma);
        let random = self.ip_noise_gamma_random_strength == Some(true);
        if gamma.is_none() && random {
            report.note("ip_noise_gamma_random_strength", "has no effect without --ip_noise_gamma");
        }
        gamma.map(|gamma| InputNoise { gamma, random })
    }

    /// The timesteps that are trained. Equal ends stand for a single one.
    fn timesteps(&self, report: &mut Report) -> Range<u32> {
        let min = self.min_timestep.unwrap_or(0);
        let max = self.max_timestep.unwrap_or(1000);
        if min > 999 {
            report.problem("min_timestep", format!("{min} is not a timestep"), "use 0 to 999");
        } else if !(1..=1000).contains(&max) {
            report.problem("max_timestep", format!("{max} is not an end of the timesteps"), "use 1 to 1000");
        } else if min > max {
            let what = format!("{min} is more than --max_timestep, {max}");
            report.problem("min_timestep", what, format!("use less than {max}"));
        } else if min == max {
            report.note("min_timestep", format!("is the same as --max_timestep, so only timestep {min} is trained"));
        }
        min..max
    }
}

/// `given` or `default`; a problem if it is 0.
fn huber_amount(option: &str, given: Option<f64>, default: f64, report: &mut Report) -> f64 {
    let amount = report.amount(option, given, default);
    if amount == 0.0 {
        let remedy = format!("use for instance {default}");
        report.problem(option, "0 makes no sense: nothing would be learnt", remedy);
    }
    amount
}

fn check_velocities(diffusion: &Diffusion, report: &mut Report) {
    if diffusion.scale_v_loss && !diffusion.v_parameterization {
        let what = "it is for v-prediction models only";
        report.problem("scale_v_pred_loss_like_noise_pred", what, "add --v_parameterization, or leave it out");
    }
    if diffusion.v_pred_like_loss.is_some() && diffusion.v_parameterization {
        let what = "a v-prediction model has that weighting already";
        report.problem("v_pred_like_loss", what, "leave it or --v_parameterization out");
    }
    if diffusion.zero_terminal_snr && !diffusion.v_parameterization {
        let text = "models that predict noise learn nothing at the last timestep; it is meant for v-prediction models, \
                    with --v_parameterization";
        report.note("zero_terminal_snr", text);
    }
}

impl From<&Diffusion> for RawDiffusion {
    fn from(diffusion: &Diffusion) -> Self {
        let (kind, huber) = match diffusion.loss {
            LossKind::L2 => ("l2", None),
            LossKind::L1 => ("l1", None),
            LossKind::Huber(huber) => ("huber", Some(huber)),
            LossKind::SmoothL1(huber) => ("smooth_l1", Some(huber)),
        };
        let offset = diffusion.noise_offset;
        let input = diffusion.input_noise;
        Self {
            loss_type: Some(kind.to_owned()),
            huber_schedule: huber.map(|huber| huber.schedule.name().to_owned()),
            huber_c: huber.map(|huber| huber.c),
            huber_scale: huber.map(|huber| huber.scale),
            min_snr_gamma: diffusion.min_snr_gamma,
            debiased_estimation_loss: Some(diffusion.debiased_estimation),
            noise_offset: offset.map(|offset| offset.strength),
            noise_offset_random_strength: offset.map(|offset| offset.random),
            adaptive_noise_scale: offset.and_then(|offset| offset.adaptive),
            multires_noise_iterations: diffusion.multires.map(|multires| multires.iterations),
            multires_noise_discount: diffusion.multires.map(|multires| multires.discount),
            ip_noise_gamma: input.map(|input| input.gamma),
            ip_noise_gamma_random_strength: input.map(|input| input.random),
            min_timestep: Some(diffusion.min_timestep),
            max_timestep: Some(diffusion.max_timestep),
            v_parameterization: Some(diffusion.v_parameterization),
            zero_terminal_snr: Some(diffusion.zero_terminal_snr),
            scale_v_pred_loss_like_noise_pred: Some(diffusion.scale_v_loss),
            v_pred_like_loss: diffusion.v_pred_like_loss,
        }
    }
}
