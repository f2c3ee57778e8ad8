//! `--scale_weight_norms`: after each update the change of weight of every layer is brought back to a largest L2 norm.
//! Rules: `apply_max_norm_regularization` of sd-scripts' `networks/lora.py`.

use crate::network::{Module, Network};

/// What bringing back the norms did, and how large they are afterwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norms {
    /// Modules that had grown too large.
    pub keys_scaled: usize,
    /// Mean of the modules' norms.
    pub average: f64,
    /// Largest of the modules' norms.
    pub max: f64,
}

/// Scales both factors of every module whose norm is above `limit` by the same number, so that it is `limit`.
pub fn limit_norms(network: &mut Network, limit: f64) -> Norms {
    let mut norms = Norms { keys_scaled: 0, average: 0.0, max: 0.0 };
    let count = network.modules.len().max(1) as f64;
    for module in &mut network.modules {
        let mut norm = norm(module);
        if norm > limit {
            norms.keys_scaled += 1;
            let factor = (limit / norm).sqrt() as f32;
            module.down.iter_mut().chain(&mut module.up).for_each(|value| *value *= factor);
            norm = limit;
        }
        norms.average += norm / count;
        norms.max = norms.max.max(norm);
    }
    norms
}

/// ‖up·down·alpha/rank‖ without forming the product: its square is the sum of (upᵀ·up) ∘ (down·downᵀ).
fn norm(module: &Module) -> f64 {
    let rank = module.plan.size.rank;
    let width = module.down.len() / rank;
    let row = |i: usize| &module.down[i * width..(i + 1) * width];
    let column = |i: usize| module.up.iter().skip(i).step_by(rank);
    let mut square = 0.0;
    for i in 0..rank {
        for j in 0..=i {
            let down: f64 = row(i).iter().zip(row(j)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let up: f64 = column(i).zip(column(j)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            square += if i == j { down * up } else { 2.0 * down * up };
        }
    }
    // Rounding may leave a tiny negative number where the exact one is zero.
    square.max(0.0).sqrt() * module.plan.size.alpha / rank as f64
}
