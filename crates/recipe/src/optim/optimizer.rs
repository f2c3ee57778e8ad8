//! Which optimizers there are, and what each takes in `--optimizer_args`.
//!
//! A new optimizer is one row below, and one file of arithmetic in the crate `optim`, whose `build` asks for it.
//!
//! Names, settings and defaults are those of sd-scripts 48d368fa and of the packages that it calls: torch 2.8,
//! bitsandbytes 0.50.2, lion-pytorch 0.2.5, dadaptation 3.2, transformers 4.54.1, prodigyopt 1.1.2. No arithmetic here.

use super::setting::Setting;
use crate::report::LARGEST;

crate::optimizers! {
    /// torch.optim.AdamW: decoupled weight decay.
    AdamW {
        class: "torch.optim.adamw.AdamW",
        adapts: false,
        state_bytes: |_| 8.0,
        unsupported: ["amsgrad", "maximize", "foreach", "capturable", "differentiable", "fused"],
        settings: {
            /// Decoupled weight decay.
            weight_decay: f64 = 0.01,
            /// Decay rates of the two moments.
            betas: (f64, f64) = (0.9, 0.999),
            /// Added to the root of the second moment.
            eps: f64 = 1e-8,
        }
    }
    /// bitsandbytes' AdamW with states in 8 bits.
    AdamW8bit {
        class: "bitsandbytes.optim.adamw.AdamW8bit",
        adapts: false,
        // Two 8-bit codes and, for each 256 values, two f32 scales.
        state_bytes: |_| 2.0 + 8.0 / 256.0,
        unsupported: ["amsgrad", "optim_bits", "is_paged", "args", "percentile_clipping", "block_wise"],
        settings: {
            /// Decoupled weight decay.
            weight_decay: f64 = 0.01,
            /// Decay rates of the two moments.
            betas: (f64, f64) = (0.9, 0.999),
            /// Added to the root of the second moment.
            eps: f64 = 1e-8,
            /// Tensors with fewer values keep their state in 32 bits.
            min_8bit_size: u64 = 4096,
        }
    }
    /// lion-pytorch's Lion: steps of one size in the direction of the sign.
    Lion {
        class: "lion_pytorch.lion_pytorch.Lion",
        adapts: false,
        state_bytes: |_| 4.0,
        unsupported: ["use_triton"],
        settings: {
            /// Decoupled weight decay.
            weight_decay: f64 = 0.0,
            /// Decay rates in the step and in the momentum.
            betas: (f64, f64) = (0.9, 0.99),
            /// Divides weight decay by `--learning_rate`, so that it does not depend on it.
            decoupled_weight_decay: bool = false,
        }
    }
    /// bitsandbytes' Lion with its state in 8 bits.
    Lion8bit {
        class: "bitsandbytes.optim.lion.Lion8bit",
        adapts: false,
        state_bytes: |_| 1.0 + 4.0 / 256.0,
        unsupported: ["is_paged", "args", "percentile_clipping", "block_wise"],
        settings: {
            /// Decoupled weight decay.
            weight_decay: f64 = 0.0,
            /// Decay rates in the step and in the momentum.
            betas: (f64, f64) = (0.9, 0.99),
            /// Tensors with fewer values keep their state in 32 bits.
            min_8bit_size: u64 = 4096,
        }
    }
    /// torch.optim.SGD with Nesterov momentum.
    SGDNesterov {
        class: "torch.optim.sgd.SGD",
        adapts: false,
        state_bytes: |_| 4.0,
        unsupported: ["dampening", "maximize", "foreach", "differentiable", "fused"],
        settings: {
            /// Share of the last step that is kept.
            momentum: f64 = 0.9,
            /// Coupled weight decay (L2 penalty).
            weight_decay: f64 = 0.0,
        }
    }
    /// bitsandbytes' SGD with its state in 8 bits; it ignores that Nesterov momentum is asked for.
    SGDNesterov8bit {
        class: "bitsandbytes.optim.sgd.SGD8bit",
        adapts: false,
        state_bytes: |_| 1.0 + 4.0 / 256.0,
        unsupported: ["dampening", "args", "percentile_clipping", "block_wise"],
        settings: {
            /// Share of the last step that is kept.
            momentum: f64 = 0.9,
            /// Coupled weight decay (L2 penalty).
            weight_decay: f64 = 0.0,
            /// Tensors with fewer values keep their state in 32 bits.
            min_8bit_size: u64 = 4096,
        }
    }
    /// The preprint's D-Adapt Adam, which sd-scripts also calls DAdaptation.
    DAdaptAdamPreprint {
        class: "dadaptation.experimental.dadapt_adam_preprint.DAdaptAdamPreprint",
        adapts: true,
        state_bytes: |_| 12.0,
        unsupported: ["log_every", "fsdp_in_use"],
        settings: {
            /// Decay decoupled from the gradient, as in AdamW.
            decouple: bool = false,
            /// Weight decay.
            weight_decay: f64 = 0.0,
            /// Decay rates of the two moments.
            betas: (f64, f64) = (0.9, 0.999),
            /// Added to the root of the second moment.
            eps: f64 = 1e-8,
            /// First d.
            d0: f64 = 1e-6,
            /// Largest factor by which d grows in a step.
            growth_rate: f64 = f64::INFINITY,
        }
    }
    /// D-Adapt Adam.
    DAdaptAdam {
        class: "dadaptation.dadapt_adam.DAdaptAdam",
        adapts: true,
        state_bytes: |_| 12.0,
        unsupported: ["log_every", "fsdp_in_use"],
        settings: {
            /// Decay decoupled from the gradient, as in AdamW.
            decouple: bool = false,
            /// Weight decay.
            weight_decay: f64 = 0.0,
            /// Decay rates of the two moments.
            betas: (f64, f64) = (0.9, 0.999),
            /// Added to the root of the second moment.
            eps: f64 = 1e-8,
            /// Adam's bias correction.
            use_bias_correction: bool = false,
            /// First d.
            d0: f64 = 1e-6,
            /// Largest factor by which d grows in a step.
            growth_rate: f64 = f64::INFINITY,
        }
    }
    /// D-Adapt AdaGrad.
    DAdaptAdaGrad {
        class: "dadaptation.dadapt_adagrad.DAdaptAdaGrad",
        adapts: true,
        state_bytes: |_| 12.0,
        unsupported: ["log_every", "fsdp_in_use"],
        settings: {
            /// Share of the last value that is kept.
            momentum: f64 = 0.0,
            /// Coupled weight decay (L2 penalty).
            weight_decay: f64 = 0.0,
            /// Added to the root of the summed squares.
            eps: f64 = 1e-6,
            /// First d.
            d0: f64 = 1e-6,
            /// Largest factor by which d grows in a step.
            growth_rate: f64 = f64::INFINITY,
        }
    }
    /// D-Adapt Adan.
    DAdaptAdan {
        class: "dadaptation.dadapt_adan.DAdaptAdan",
        adapts: true,
        state_bytes: |_| 20.0,
        unsupported: ["log_every", "fsdp_in_use"],
        settings: {
            /// Decay rates of the moments of gradient, change of gradient, and square.
            betas: (f64, f64, f64) = (0.98, 0.92, 0.99),
            /// Added to the root of the third moment.
            eps: f64 = 1e-8,
            /// Weight decay.
            weight_decay: f64 = 0.02,
            /// Decay before the step instead of after it.
            no_prox: bool = false,
            /// First d.
            d0: f64 = 1e-6,
            /// Largest factor by which d grows in a step.
            growth_rate: f64 = f64::INFINITY,
        }
    }
    /// D-Adapt SGD.
    DAdaptSGD {
        class: "dadaptation.dadapt_sgd.DAdaptSGD",
        adapts: true,
        state_bytes: |_| 8.0,
        unsupported: ["log_every", "fsdp_in_use"],
        settings: {
            /// Share of the last value that is kept.
            momentum: f64 = 0.0,
            /// Coupled weight decay (L2 penalty).
            weight_decay: f64 = 0.0,
            /// First d.
            d0: f64 = 1e-6,
            /// Largest factor by which d grows in a step.
            growth_rate: f64 = f64::INFINITY,
        }
    }
    /// D-Adapt Lion.
    DAdaptLion {
        class: "dadaptation.dadapt_lion.DAdaptLion",
        adapts: true,
        state_bytes: |_| 8.0,
        unsupported: ["log_every", "fsdp_in_use"],
        settings: {
            /// Decoupled weight decay.
            weight_decay: f64 = 0.0,
            /// Decay rates in the step and in the momentum.
            betas: (f64, f64) = (0.9, 0.99),
            /// First d.
            d0: f64 = 1e-6,
        }
    }
    /// transformers' Adafactor.
    AdaFactor {
        class: "transformers.optimization.Adafactor",
        adapts: false,
        // Rows and columns only; a factor of a LoRA is long and thin, so its row or column is next to nothing.
        state_bytes: |own| if own.beta1.is_some() { 4.0 } else { 0.0 },
        unsupported: [],
        settings: {
            /// Sets its own rates, from the number of steps; `--learning_rate` and the scheduler are then ignored.
            relative_step: bool = true,
            /// Multiplies the rate by the size of the tensor that is trained.
            scale_parameter: bool = true,
            /// With `relative_step`: rates start at 1e-6 and grow with every step.
            warmup_init: bool = false,
            /// Least squared gradient, and least size of a tensor.
            eps: (f64, f64) = (1e-30, 1e-3),
            /// Largest root mean square of an update.
            clip_threshold: f64 = 1.0,
            /// Exponent by which the second moment forgets less and less.
            decay_rate: f64 = -0.8,
            /// Decay rate of the first moment; none = there is no first moment.
            beta1: Option<f64> = None,
            /// Decoupled weight decay.
            weight_decay: f64 = 0.0,
        }
    }
    /// prodigyopt's Prodigy.
    Prodigy {
        class: "prodigyopt.prodigy.Prodigy",
        adapts: true,
        state_bytes: |_| 16.0,
        unsupported: ["fsdp_in_use"],
        settings: {
            /// Decay decoupled from the gradient, as in AdamW.
            decouple: bool = true,
            /// Weight decay.
            weight_decay: f64 = 0.0,
            /// Factor on d: the way to make it learn more or less.
            d_coef: f64 = 1.0,
            /// Adam's bias correction.
            use_bias_correction: bool = false,
            /// Keeps the rate out of d's estimate, for schedules with a warmup.
            safeguard_warmup: bool = false,
            /// Decay rates of the two moments.
            betas: (f64, f64) = (0.9, 0.999),
            /// Decay rate of d's statistics; none = the root of the second beta.
            beta3: Option<f64> = None,
            /// Added to the root of the second moment.
            eps: f64 = 1e-8,
            /// First d.
            d0: f64 = 1e-6,
            /// Largest factor by which d grows in a step.
            growth_rate: f64 = f64::INFINITY,
            /// The statistics look at every so many-th value only, which saves memory.
            slice_p: u64 = 1,
        }
    }
}

impl Optimizer {
    /// Settings that a person would write down: those that differ from the default, and those that sd-scripts adds of
    /// its own accord.
    pub fn notable(&self) -> Vec<(&'static str, Setting)> {
        let defaults = Self::named(self.name()).map_or_else(Vec::new, |default| default.settings());
        let added: &[&str] = match self {
            Self::SGDNesterov(_) | Self::SGDNesterov8bit(_) => &["momentum"],
            Self::AdaFactor(_) => &["relative_step"],
            _ => &[],
        };
        self.settings().into_iter().filter(|pair| !defaults.contains(pair) || added.contains(&pair.0)).collect()
    }

    /// Whether it ignores the learning rates and the schedule that it is given.
    pub fn sets_own_rates(&self) -> bool {
        matches!(self, Self::AdaFactor(own) if own.relative_step)
    }

    /// What is wrong with the value of a setting, if it is one that the optimizer's author refuses.
    pub(crate) fn objection(&self, key: &str, value: &Setting) -> Option<&'static str> {
        let nesterov = matches!(self, Self::SGDNesterov(_) | Self::SGDNesterov8bit(_));
        let adam = matches!(self, Self::AdamW(_) | Self::AdamW8bit(_));
        let numbers = match value {
            Setting::Number(value) => vec![*value],
            Setting::Whole(value) => vec![*value as f64],
            Setting::Numbers(values) => values.clone(),
            Setting::Flag(_) | Setting::Nothing => return None,
        };
        let all = |fits: fn(f64) -> bool| numbers.iter().all(|value| fits(*value));
        match key {
            "betas" | "beta1" | "beta3" if !all(|v| (0.0..1.0).contains(&v)) => {
                Some("it must be 0 or more and below 1")
            }
            "momentum" if nesterov && !all(|v| v > 0.0 && v < 1.0) => Some("it must be between 0 and 1"),
            "momentum" if !all(|v| (0.0..1.0).contains(&v)) => Some("it must be 0 or more and below 1"),
            "decay_rate" if !all(|v| v.is_finite() && v < 0.0) => Some("it must be below 0"),
            "growth_rate" if !all(|v| v >= 1.0) => Some("it must be 1 or more"),
            "d0" | "d_coef" | "clip_threshold" | "slice_p" if !all(|v| v.is_finite() && v > 0.0) => {
                Some("it must be more than 0")
            }
            "eps" if !adam && !all(|v| v.is_finite() && v > 0.0) => Some("it must be more than 0"),
            "eps" | "weight_decay" if !all(|v| v.is_finite() && v >= 0.0) => Some("it must be 0 or more"),
            "d0" | "d_coef" | "clip_threshold" | "eps" | "weight_decay" | "decay_rate"
                if !all(|v| v.abs() <= LARGEST) =>
            {
                Some("it must be 1e9 or less")
            }
            _ => None,
        }
    }
}
