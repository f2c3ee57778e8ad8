//! A batch's images side by side: each group of threads takes whole images through the networks by itself, and the
//! gradients meet at the end.

use std::ops::Range;

use burn::tensor::Device;
use lorabake_device::ThreadGroups;
use lorabake_lora::LoraNetwork;
use lorabake_recipe::Recipe;

use super::{StepContext, StepInputs, StepOutput, step};
use crate::update::accumulate;

/// The groups for batches of up to `parts` images. A batch stays whole where dropout draws for all of it, and where
/// blocks come into memory for it.
pub(crate) fn thread_groups(recipe: &Recipe, device: &Device, parts: usize) -> ThreadGroups {
    let is_whole = !recipe.network.dropout.is_off() || recipe.train.swapped > 0;
    ThreadGroups::of(device, if is_whole { 1 } else { parts })
}

/// [`step`], with the batch shared among `groups`.
pub fn step_side_by_side(
    groups: &ThreadGroups,
    context: &StepContext<'_>,
    network: &LoraNetwork,
    inputs: &StepInputs,
) -> StepOutput {
    let batch = inputs.shape[0];
    let count = groups.count().min(batch);
    if count < 2 {
        return groups.whole(|| step(context, network, inputs));
    }
    let parts: Vec<StepInputs> = even_parts(batch, count).map(|range| inputs.part(range)).collect();
    joined(groups.each(&parts, |part| step(context, network, part)))
}

/// 0..`count` in `parts` ranges of nearly one length.
fn even_parts(count: usize, parts: usize) -> impl Iterator<Item = Range<usize>> {
    (0..parts).map(move |part| part * count / parts..(part + 1) * count / parts)
}

/// The output of the whole batch, from those of its parts.
fn joined(parts: Vec<StepOutput>) -> StepOutput {
    let total: usize = parts.iter().map(|part| part.per_sample.len()).sum();
    let mut loss = 0.0;
    let mut gradients = None;
    let mut per_sample = Vec::with_capacity(total);
    let mut prediction = Vec::new();
    for part in parts {
        let share = part.per_sample.len() as f64 / total as f64;
        loss += part.loss * share;
        accumulate(&mut gradients, part.gradients, share as f32);
        per_sample.extend(part.per_sample);
        prediction.extend(part.prediction);
    }
    StepOutput { loss, per_sample, prediction, gradients: gradients.unwrap_or_default() }
}
