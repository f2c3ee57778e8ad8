//! What is asked of the numbers of a state before a run goes on from it. Checksums find what was damaged; this finds what
//! nobody can go on from, whoever wrote it.

use std::collections::{BTreeMap, BTreeSet};

use lorabake_optim::State;

use super::state_sums::HEADER_SUM;

/// The key of the count of tensors of which the optimizer remembers something.
const REMEMBERED: &str = "optimizer_tensors";
/// The key of the count of losses.
const LOSSES: &str = "losses";

/// How much a state holds, as its metadata tell it or as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// Tensors of which the optimizer remembers something; those that never had a gradient are not among them.
    remembered: Option<usize>,
    /// Losses and their total.
    losses: Option<usize>,
    /// Whether a checksum over all names is there.
    has_sum: bool,
}

impl Told {
    /// What is there.
    pub fn of(optimizer: &State, losses: &[f64]) -> Self {
        let State { tensors, bytes, scalars } = optimizer;
        let mut remembered = BTreeSet::new();
        for name in tensors.keys().chain(bytes.keys()).chain(scalars.keys()) {
            if let Some((_, index)) = name.rsplit_once('.') {
                remembered.insert(index);
            }
        }
        Self { remembered: Some(remembered.len()), losses: Some(losses.len()), has_sum: false }
    }

    /// What a file says of itself; earlier versions said nothing.
    pub fn by(metadata: &BTreeMap<String, String>) -> Self {
        let count = |key: &str| metadata.get(key).and_then(|text| text.parse().ok());
        Self { remembered: count(REMEMBERED), losses: count(LOSSES), has_sum: metadata.contains_key(HEADER_SUM) }
    }

    /// The metadata that say so.
    pub fn to_metadata(&self) -> Vec<(String, String)> {
        let counts = [(REMEMBERED, self.remembered), (LOSSES, self.losses)];
        let counts = counts.into_iter().filter_map(|(key, count)| Some((key.to_owned(), count?.to_string())));
        counts.collect()
    }

    /// What is not `found` as it is told here, if anything.
    pub fn differs_from(&self, found: &Self) -> Option<String> {
        if self.remembered.is_some() && self.remembered != found.remembered {
            let has = if found.remembered == Some(0) {
                "it has nothing of the optimizer"
            } else {
                "the optimizer's entries are not all that it had"
            };
            return Some(has.to_owned());
        }
        if self.losses.is_some() && self.losses != found.losses {
            return Some("its losses are not all that it had".to_owned());
        }
        None
    }

    /// What is not there of a file that says neither by counts nor by a checksum that it is whole: of each of `trained`
    /// tensors the optimizer's entries, and a loss for every batch of the last epoch.
    pub fn lacking(&self, found: &Self, trained: usize, step: u64, batches_per_epoch: u64) -> Option<String> {
        if self.has_sum || step == 0 {
            return None;
        }
        let remembered = found.remembered.unwrap_or_default();
        if self.remembered.is_none() && remembered != trained {
            return Some(format!("it has the optimizer's entries of {remembered} of {trained} tensors"));
        }
        let losses = found.losses.unwrap_or_default().saturating_sub(1) as u64;
        if self.losses.is_none() && !(step.min(batches_per_epoch)..=batches_per_epoch).contains(&losses) {
            return Some(format!("it has {losses} losses after {step} steps of epochs of {batches_per_epoch} batches"));
        }
        None
    }
}

/// What no run can go on from, if there is any of it: `weights` and their averages, what the optimizer remembers after so
/// many steps.
pub(super) fn unusable<'s>(
    weights: impl Iterator<Item = (&'s String, &'s Vec<f32>)>,
    optimizer: &State,
    step: u64,
) -> Option<String> {
    for (key, values) in weights {
        if values.iter().any(|value| !value.is_finite()) {
            return Some(format!("its weights are not finite (first: {key})"));
        }
    }
    for (key, values) in &optimizer.tensors {
        if values.iter().any(|value| value.is_nan()) {
            return Some(format!("what it has of the optimizer is no number (first: {key})"));
        }
    }
    for (key, value) in &optimizer.scalars {
        if value.is_nan() {
            return Some(format!("what it has of the optimizer is no number (first: {key})"));
        }
        if key.starts_with("step.") && *value > step as f64 {
            return Some(format!("the optimizer has made more steps than the run ({key}: {value})"));
        }
    }
    None
}

/// The same for the losses with their total; they are there from the first step on.
pub(super) fn unusable_losses(numbers: &[f64], step: u64) -> Option<String> {
    let Some((total, losses)) = numbers.split_last() else {
        return if step == 0 { None } else { Some("it has no losses".to_owned()) };
    };
    let sum: f64 = losses.iter().sum();
    // The total has been added to and taken from for the whole run.
    let agrees = (total - sum).abs() <= 1e-3 * sum.abs();
    if agrees && !(losses.is_empty() && step > 0) { None } else { Some("its losses are not those of a run".to_owned()) }
}
