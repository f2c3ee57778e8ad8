//! Weights of places on the vectors that a text encoder gives.

use burn::tensor::{Tensor, TensorData};

use crate::prompt::emphasis::Emphasis;

/// Multiplies each place's vector by its weight. [`Emphasis::Original`] then brings the mean of all values back to what it
/// was before, over all texts of the call together; with SDXL, whose mean is near 0, that can blow up, which
/// [`mean_ratio`] tells.
///
/// # Shapes
/// - states and output: [N, 77, D]
/// - weights: N·77
pub fn weigh(states: Tensor<3>, weights: &[f32], emphasis: Emphasis) -> Tensor<3> {
    if weights.iter().all(|weight| *weight == 1.0) {
        return states;
    }
    let weighted = multiplied(states.clone(), weights);
    match emphasis {
        Emphasis::Original => {
            let ratio = mean(states) / mean(weighted.clone());
            weighted.mul_scalar(ratio as f32)
        }
        Emphasis::NoNorm => weighted,
        Emphasis::Ignore | Emphasis::None => states,
    }
}

/// By what [`Emphasis::Original`] multiplies all values.
///
/// # Shapes
/// - states: [N, 77, D]
/// - weights: N·77
pub fn mean_ratio(states: Tensor<3>, weights: &[f32]) -> f64 {
    mean(states.clone()) / mean(multiplied(states, weights))
}

fn multiplied(states: Tensor<3>, weights: &[f32]) -> Tensor<3> {
    let [texts, places, _] = states.dims();
    let weights = TensorData::new(weights.to_vec(), [texts, places, 1]);
    let weights = Tensor::<3>::from_data(weights, &states.device());
    states * weights
}

/// The mean of all values, summed in f64 since it may be near 0.
fn mean(states: Tensor<3>) -> f64 {
    let values: Vec<f32> = states.into_data().try_into_vec().expect("text encoders compute in f32");
    values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64
}
