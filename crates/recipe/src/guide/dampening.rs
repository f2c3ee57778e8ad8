//! Which settings of a recipe slow its learning down, and by how much: exactly where arithmetic says it, else in the
//! arrows of the guide's table "Learn dampening".
//!
//! One arrow is one "noticeable small decrease" there. Adaptive optimizers make up for most of it.

use serde::{Deserialize, Serialize};

use crate::recipe::Recipe;

/// One setting's effect on learning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dampening {
    /// The setting with its value.
    pub setting: String,
    /// Arrows of the guide: more is slower, less than 0 is faster; `None` where it has no number.
    pub arrows: Option<f64>,
    /// What it does, in one line.
    pub effect: String,
}

/// Every setting of the guide's table that `recipe` turns away from its base, and alpha over rank in any case.
pub fn dampening(recipe: &Recipe) -> Vec<Dampening> {
    let mut rows = vec![alpha(recipe)];
    let rank = recipe.network.linear.rank as f64;
    if rank != 64.0 {
        let effect = format!("rank {rank} beside the guide's 64: ↑ every 16 below it");
        rows.push(row("network_dim", rank, Some((64.0 - rank) / 16.0), effect));
    }
    let side = f64::from(recipe.data.resolution.0.max(recipe.data.resolution.1));
    if side > 512.0 {
        let effect = "↑↑↑ every 64 pixels above 512".to_owned();
        rows.push(row("resolution", side, Some(3.0 * (side - 512.0) / 64.0), effect));
    }
    if let Some(offset) = recipe.diffusion.noise_offset {
        let effect = "↑↑↑ every 0.1; 1 or 2 more epochs make up for 0.1".to_owned();
        rows.push(row("noise_offset", offset.strength, Some(3.0 * offset.strength / 0.1), effect));
    }
    if let Some(gamma) = recipe.diffusion.min_snr_gamma {
        let share = min_snr_weight(gamma, recipe.diffusion.v_parameterization);
        let effect = format!(
            "the loss counts {share:.2} times on average, less only where there is little noise; the guide's ↑ every 1"
        );
        rows.push(row("min_snr_gamma", gamma, Some(gamma), effect));
    }
    rows
}

fn row(option: &str, value: f64, arrows: Option<f64>, effect: String) -> Dampening {
    Dampening { setting: format!("{option} {value}"), arrows, effect }
}

fn alpha(recipe: &Recipe) -> Dampening {
    let size = recipe.network.linear;
    let rank = size.rank as f64;
    let alpha = size.alpha;
    let scale = alpha / rank;
    let effect = match scale {
        1.0 => "the LoRA's effect is not scaled: no brake".to_owned(),
        _ => format!(
            "the LoRA's effect is scaled by {alpha} ÷ {rank} = {scale:.4}; the guide's ↑↑ every 16 below the rank"
        ),
    };
    row("network_alpha", alpha, Some(2.0 * (rank - alpha) / 16.0), effect)
}

/// Mean over all timesteps of what Min-SNR (Hang et al. 2023) multiplies the loss with, for SD1.x's noise levels.
fn min_snr_weight(gamma: f64, v_prediction: bool) -> f64 {
    let first = 0.00085_f64.sqrt();
    let last = 0.012_f64.sqrt();
    let mut kept = 1.0;
    let mut sum = 0.0;
    for step in 0..1000 {
        kept *= 1.0 - (first + (last - first) * f64::from(step) / 999.0).powi(2);
        let snr = kept / (1.0 - kept);
        sum += snr.min(gamma) / if v_prediction { snr + 1.0 } else { snr };
    }
    sum / 1000.0
}
