//! M10: whether the base still sees a tag of the prompt in a picture that was painted with the LoRA.
//!
//! Definition: PA = mean of L(x, c₋) − L(x, c), where L(x, c) is the base's denoising loss on picture x told c, c is the
//! prompt without the trigger, and c₋ the same without one tag; both with the same noise and timesteps. It is divided by
//! the same for the base's own pictures. 1 = the tag shows as it does in the base's, 0 = the LoRA is deaf to it. From
//! diffusion models as classifiers (Li et al. 2023, arXiv 2303.16203).
//! Misleads: a tag that the base does not know is seen in no picture; there is no measure then. The trigger is unknown to
//! the base, so it must be in neither text.

use std::collections::BTreeMap;

use anyhow::Result;
use burn::tensor::Tensor;
use lorabake_lora::Attached;

use crate::bootstrap::{Bootstrap, Interval, mean};
use crate::losses::{Job, LossMeter};
use crate::measure::Mean;
use crate::pictures::TagHeed;
use crate::told::Caption;

/// Standard errors by which the base must see the tag in its own pictures.
const SURE: f64 = 2.0;
/// Pictures that a tag must have been asked for in.
const FEWEST: usize = 4;

/// Losses of pictures told the prompt with and without a tag, picture by picture.
#[derive(Debug, Clone, Copy)]
pub struct TagLosses<'a> {
    /// Told the whole prompt.
    pub with: &'a [f64],
    /// Told the prompt without the tag.
    pub without: &'a [f64],
}

/// How well a tag is heeded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adherence {
    /// What the tag explains of the LoRA's pictures, divided by what it explains of the base's.
    pub ratio: f64,
    /// Where the ratio lies, by resampling pictures.
    pub interval: Option<Interval>,
}

/// How well a tag is heeded. `None` where the base does not see it in its own pictures, or there are fewer than two of them.
///
/// # Panics
/// If there are not as many losses with as without the tag.
pub fn adherence(lora: &TagLosses<'_>, base: &TagLosses<'_>, bootstrap: &Bootstrap) -> Option<Adherence> {
    assert_eq!(base.with.len(), base.without.len(), "pairs");
    let seen = Mean::of_differences(base.without, base.with);
    if lora.with.is_empty() || seen.mean.is_nan() || seen.mean <= SURE * seen.error {
        return None;
    }
    let [ours, theirs] = [gains(lora), gains(base)];
    let interval = bootstrap.interval(&[&ours, &theirs], |drawn| mean(&drawn[0]) / mean(&drawn[1]));
    Some(Adherence { ratio: mean(&ours) / mean(&theirs), interval })
}

fn gains(losses: &TagLosses<'_>) -> Vec<f64> {
    assert_eq!(losses.with.len(), losses.without.len(), "pairs");
    losses.without.iter().zip(losses.with).map(|(without, with)| without - with).collect()
}

/// A picture with what it was asked to show.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The prompt without the trigger.
    pub prompt: &'a str,
    /// Its latents in the UNet's scale, [1, 4, H, W].
    pub latents: &'a Tensor<4>,
    /// The number by which its noise is drawn.
    pub key: u64,
}

/// How well each tag that only some prompts have is heeded, of those that the base shows; the least heeded first. `lora`
/// and `base` are pictures of the same prompts.
///
/// # Errors
/// When a prompt is much too long.
pub fn heeded(meter: &LossMeter<'_>, lora: &[Asked<'_>], base: &[Asked<'_>]) -> Result<Vec<TagHeed>> {
    let mut all = Vec::new();
    for tag in some_tags(base) {
        let [own, theirs] = [tag_losses(meter, &tag, lora)?, tag_losses(meter, &tag, base)?];
        let own = TagLosses { with: &own.with, without: &own.without };
        let theirs = TagLosses { with: &theirs.with, without: &theirs.without };
        if let Some(found) = adherence(&own, &theirs, &Bootstrap::default()) {
            // Where the interval reaches up to what is usual, nothing is known.
            let share = found.interval.map_or(found.ratio, |interval| interval.high.min(1.0));
            all.push(TagHeed { tag, share });
        }
    }
    all.sort_by(|one, other| one.share.total_cmp(&other.share));
    Ok(all)
}

/// Tags of some prompts, but not of all.
fn some_tags(asked: &[Asked<'_>]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for picture in asked {
        for tag in tags(picture.prompt) {
            *counts.entry(tag).or_default() += 1;
        }
    }
    let is_some = |count: usize| count >= FEWEST && count < asked.len();
    counts.into_iter().filter(|(_, count)| is_some(*count)).map(|(tag, _)| tag.to_owned()).collect()
}

fn tags(prompt: &str) -> impl Iterator<Item = &str> {
    prompt.split(',').map(str::trim).filter(|tag| !tag.is_empty())
}

/// Losses of all pictures whose prompts have a tag.
struct OfTag {
    with: Vec<f64>,
    without: Vec<f64>,
}

fn tag_losses(meter: &LossMeter<'_>, tag: &str, asked: &[Asked<'_>]) -> Result<OfTag> {
    let none = Attached::default();
    let [mut with, mut without] = [Vec::new(), Vec::new()];
    for Asked { prompt, latents, key } in asked.iter().filter(|picture| tags(picture.prompt).any(|own| own == tag)) {
        let rest: Vec<&str> = tags(prompt).filter(|own| *own != tag).collect();
        for (jobs, text) in [(&mut with, (*prompt).to_owned()), (&mut without, rest.join(", "))] {
            let [_, _, rows, columns] = latents.dims();
            let told = Caption { text: &text, size: [columns * 8, rows * 8] };
            let condition = meter.told(&[told], &none)?.remove(0);
            jobs.push(Job { latents, key: *key, condition });
        }
    }
    Ok(OfTag { with: meter.log_losses(&with), without: meter.log_losses(&without) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: TagLosses<'_> = TagLosses { with: &[0.10, 0.12, 0.09, 0.11], without: &[0.14, 0.15, 0.13, 0.15] };

    #[test]
    fn a_deaf_lora_shows_nothing_of_the_tag() {
        let deaf = TagLosses { with: &[0.10, 0.12, 0.09], without: &[0.10, 0.119, 0.091] };
        let found = adherence(&deaf, &BASE, &Bootstrap::default()).unwrap();
        assert!(found.ratio.abs() < 1e-9, "{found:?}");
        let same = adherence(&BASE, &BASE, &Bootstrap::default()).unwrap();
        assert!((same.ratio - 1.0).abs() < 1e-9 && same.interval.unwrap().holds(1.0), "{same:?}");
    }

    #[test]
    fn a_tag_that_the_base_does_not_know_has_no_measure() {
        let unknown = TagLosses { with: &[0.10, 0.12, 0.09], without: &[0.10, 0.119, 0.091] };
        assert_eq!(adherence(&BASE, &unknown, &Bootstrap::default()), None);
    }
}
