//! `--scale_weight_norms`: after each update the change of weight of every layer is brought back to a largest L2 norm.
//! Rules: `apply_max_norm_regularization` of sd-scripts' `networks/lora.py`; sd-scripts does nothing for other kinds than
//! LoRA. (IA)^3, whose change is a share of the frozen weight, is left alone here too.

use burn::tensor::Device;
use lorabake_adapter::{LoraKind, Method};

use lorabake_lora::{LoraNetwork, NetworkModule};

/// What bringing back the norms did, and how large they are afterwards.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Norms {
    /// Modules that had grown too large.
    pub keys_scaled: usize,
    /// Mean of the modules' norms.
    pub average: f64,
    /// Largest of the modules' norms.
    pub max: f64,
}

/// Scales all factors of every module whose norm is above `limit` by the same number, so that it is `limit`.
pub fn limit_norms(network: &mut LoraNetwork, limit: f64) -> Norms {
    let mut norms = Norms { keys_scaled: 0, average: 0.0, max: 0.0 };
    let count = network.modules.len().max(1) as f64;
    for module in &mut network.modules {
        let mut norm = norm(module);
        if norm > limit {
            norms.keys_scaled += 1;
            // The change is a product of so many factors.
            let factors = match module.spec.method {
                Method::DyLora(_) => 2,
                _ => module.spec.parameters.len() - usize::from(module.spec.dora.is_some()),
            };
            let factor = (limit / norm).powf(1.0 / factors as f64) as f32;
            let scaled = module.values.iter_mut().zip(&module.spec.parameters);
            let scaled = scaled.filter(|(_, parameter)| parameter.name != "dora_scale");
            scaled.for_each(|(values, _)| values.iter_mut().for_each(|value| *value *= factor));
            norm = limit;
        }
        norms.average += norm / count;
        norms.max = norms.max.max(norm);
    }
    norms
}

/// ‖ΔW‖, before any weight decomposition.
fn norm(module: &NetworkModule) -> f64 {
    match module.spec.method {
        Method::Lora(LoraKind { tucker: false, .. }) | Method::DyLora(_) => {
            let tensors = module.spec.to_file(&module.values);
            let of = |leaf: &str| {
                tensors.iter().find(|tensor| tensor.leaf == leaf).map_or(&[][..], |tensor| &tensor.values[..])
            };
            let rank = module.spec.method.size().map_or(1, |size| size.rank);
            product_norm(of("lora_down.weight"), of("lora_up.weight"), rank) * module.spec.method.scale()
        }
        _ => module.change(&Device::flex()).map_or(0.0, |change| {
            let values: Vec<f32> = change.into_data().try_into_vec().expect("f32 tensor");
            values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
        }),
    }
}

/// ‖up·down‖ without forming the product: its square is the sum of (upᵀ·up) ∘ (down·downᵀ).
fn product_norm(down: &[f32], up: &[f32], rank: usize) -> f64 {
    let width = down.len() / rank;
    let row = |i: usize| &down[i * width..(i + 1) * width];
    let column = |i: usize| up.iter().skip(i).step_by(rank);
    let mut square: f64 = 0.0;
    for i in 0..rank {
        for j in 0..=i {
            let down: f64 = row(i).iter().zip(row(j)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let up: f64 = column(i).zip(column(j)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            square += if i == j { down * up } else { 2.0 * down * up };
        }
    }
    // Rounding may leave a tiny negative number where the exact one is zero.
    square.max(0.0).sqrt()
}
