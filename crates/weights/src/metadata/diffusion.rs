//! What the metadata says of noise and loss; what is off stands at sd-scripts' default.

use lorabake_recipe::diffusion::{Diffusion, HuberSchedule, HuberThreshold, LossKind};

use super::Entries;
use super::python::{boolean, float, optional};

pub(super) fn put(entries: &mut Entries, diffusion: &Diffusion) {
    entries.put("ss_min_snr_gamma", optional(diffusion.min_snr_gamma.map(float)));
    entries.put("ss_debiased_estimation", boolean(diffusion.debiased_estimation));
    entries.put("ss_zero_terminal_snr", boolean(diffusion.zero_terminal_snr));
    loss(entries, diffusion.loss);
    let offset = diffusion.noise_offset;
    entries.put("ss_noise_offset", optional(offset.map(|offset| float(offset.strength))));
    entries.put("ss_noise_offset_random_strength", boolean(offset.is_some_and(|offset| offset.random)));
    entries.put("ss_adaptive_noise_scale", optional(offset.and_then(|offset| offset.adaptive).map(float)));
    let multires = diffusion.multires;
    entries.put("ss_multires_noise_iterations", optional(multires.map(|multires| multires.iterations)));
    entries.put("ss_multires_noise_discount", float(multires.map_or(0.3, |multires| multires.discount)));
    let input = diffusion.input_noise;
    entries.put("ss_ip_noise_gamma", optional(input.map(|input| float(input.gamma))));
    entries.put("ss_ip_noise_gamma_random_strength", boolean(input.is_some_and(|input| input.random)));
}

fn loss(entries: &mut Entries, loss: LossKind) {
    let unused = HuberThreshold { schedule: HuberSchedule::Snr, c: 0.1, scale: 1.0 };
    let (kind, huber) = match loss {
        LossKind::L2 => ("l2", unused),
        LossKind::L1 => ("l1", unused),
        LossKind::Huber(huber) => ("huber", huber),
        LossKind::SmoothL1(huber) => ("smooth_l1", huber),
    };
    let schedule = match huber.schedule {
        HuberSchedule::Constant => "constant",
        HuberSchedule::Exponential => "exponential",
        HuberSchedule::Snr => "snr",
    };
    entries.put("ss_loss_type", kind);
    entries.put("ss_huber_schedule", schedule);
    entries.put("ss_huber_c", float(huber.c));
    entries.put("ss_huber_scale", float(huber.scale));
}
