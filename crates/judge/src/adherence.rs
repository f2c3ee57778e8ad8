//! M10: whether the base still sees a tag of the prompt in a picture that was painted with the LoRA.
//!
//! Definition: PA = mean of L(x, c₋) − L(x, c), where L(x, c) is the base's denoising loss on picture x told c, c is the
//! prompt without the trigger, and c₋ the same without one tag; both with the same noise and timesteps. It is divided by
//! the same for the base's own pictures. 1 = the tag shows as it does in the base's, 0 = the LoRA is deaf to it. From
//! diffusion models as classifiers (Li et al. 2023, arXiv 2303.16203).
//! Misleads: a tag that the base does not know is seen in no picture; there is no measure then. The trigger is unknown to
//! the base, so it must be in neither text.

use crate::bootstrap::{Bootstrap, Interval, mean};
use crate::paired::paired;

/// How sure it must be that the base sees the tag in its own pictures.
const LEVEL: f64 = 0.95;

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
    let seen = paired(base.without, base.with, LEVEL)?;
    if lora.with.is_empty() || seen.interval.low <= 0.0 {
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
