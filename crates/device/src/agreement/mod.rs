//! What a device computes, beside what the processor computes: more than a trial, for whoever wants to know whether a card
//! and its driver can be relied on.

mod operations;
mod weights;

use burn::tensor::{Device, Tensor};

use crate::driver_panic::guarded;
use crate::trial::{apart, tensor};

/// One thing that was computed in both places.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// What it is.
    pub what: String,
    /// How far the device is from the processor, relative to the processor's result; NaN if there is nothing to compare.
    pub distance: f64,
    /// What rounding explains.
    pub bound: f64,
}

impl Agreement {
    /// ‖theirs − ours‖ / ‖ours‖.
    pub fn of(what: impl Into<String>, results: [&[f32]; 2], bound: f64) -> Self {
        let [theirs, ours] = results;
        Self { what: what.into(), distance: apart(theirs, ours), bound }
    }

    /// Whether rounding explains how far they are apart.
    pub fn holds(&self) -> bool {
        self.distance < self.bound
    }
}

/// Every operation of the networks, forward and backward, in each way in which weights are held; and what weights take of
/// the device's memory.
///
/// # Errors
/// One line: the driver fails.
pub fn compare(device: &Device) -> Result<Vec<Agreement>, String> {
    let mut found = guarded(|| operations::agree(device))?;
    found.extend(guarded(|| weights::agree(device))?);
    Ok(found)
}

/// Numbers of mean 0 and variance 1 for comparisons, the same on every device.
///
/// # Shapes
/// - output: as given
pub fn made_up(shape: [usize; 4], salt: u64, device: &Device) -> Tensor<4> {
    tensor(shape, salt, device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_agrees_with_itself() {
        let found = compare(&Device::flex()).unwrap();
        assert!(found.len() > 25 && found.iter().all(Agreement::holds), "{found:?}");
        assert!(found.iter().all(|one| one.distance == 0.0), "{found:?}");
    }

    #[test]
    fn what_is_wrong_or_missing_does_not_hold() {
        assert!(Agreement::of("near", [&[1.0, 2.0], &[1.0, 2.00001]], 1e-4).holds());
        assert!(!Agreement::of("far", [&[1.0, 2.2], &[1.0, 2.0]], 1e-4).holds());
        assert!(!Agreement::of("missing", [&[], &[1.0]], 1e-4).holds());
        assert!(!Agreement::of("not a number", [&[f32::NAN], &[1.0]], 1e-4).holds());
    }
}
