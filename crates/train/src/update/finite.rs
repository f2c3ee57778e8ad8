//! Weights that are infinite or no number: where they are found, and the error of whoever was to save them.

use std::fmt;

use lorabake_lora::LoraNetwork;
use lorabake_weights::NamedTensor;

/// The first tensor of a network that has a value that is not finite.
pub(crate) fn first_not_finite(network: &LoraNetwork) -> Option<String> {
    let mut tensors = network.state();
    let found = tensors.find(|(_, values)| values.iter().any(|value| !value.is_finite()));
    found.map(|(name, _)| name)
}

/// Weights of which one is larger than this are those of no useful LoRA: usual ones are below 1, and the norms that DoRA
/// keeps below 100.
const ABSURD: f32 = 1e3;

/// The largest weight of a network, if it is so large that the network is most likely useless.
pub(crate) fn absurdly_large(network: &LoraNetwork) -> Option<f32> {
    let all = network.state().flat_map(|(_, values)| values);
    let largest = all.fold(0.0_f32, |largest, value| largest.max(value.abs()));
    if largest > ABSURD { Some(largest) } else { None }
}

/// Weights that were not saved since they are not finite.
#[derive(Debug)]
pub(crate) struct NotFinite {
    tensor: String,
}

impl NotFinite {
    /// Looks at what is to be saved.
    ///
    /// # Errors
    /// When a value is not finite.
    pub fn check(tensors: &[NamedTensor]) -> Result<(), Self> {
        for NamedTensor { name, values, .. } in tensors {
            if values.iter().any(|value| !value.is_finite()) {
                return Err(Self { tensor: name.clone() });
            }
        }
        Ok(())
    }
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the weights are not saved, they are not finite (first: {}); lower the learning rates", self.tensor)
    }
}

impl std::error::Error for NotFinite {}
