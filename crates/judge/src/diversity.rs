//! M7: how much pictures of one prompt still differ between seeds.
//!
//! Definition: V = the mean distance of two pictures of one prompt with the LoRA, divided by the same without it for the
//! prompt with the class word in place of the trigger. 1 = as varied as the base; below 0.5 it has collapsed. After
//! DreamBooth's DIV (Ruiz et al. 2022, arXiv 2208.12242), which takes LPIPS and no base.
//! Misleads: a character should lower it. Where the base's pictures hardly differ by seed (the embedded model), it says
//! nothing; vary the prompt's free tags then.

use crate::bootstrap::{Bootstrap, Interval, mean};

/// Mean distances between the seeds of one prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BetweenSeeds {
    /// Of pictures with the LoRA.
    pub lora: f64,
    /// Of the base's.
    pub base: f64,
}

/// How varied the pictures are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Diversity {
    /// The variety with the LoRA, divided by that of the base.
    pub ratio: f64,
    /// Where the ratio lies, by resampling prompts.
    pub interval: Option<Interval>,
    /// The means over prompts.
    pub means: BetweenSeeds,
}

/// Variety over prompts. `None` without prompts, or where the base's pictures do not differ.
pub fn diversity(prompts: &[BetweenSeeds], bootstrap: &Bootstrap) -> Option<Diversity> {
    let lora: Vec<f64> = prompts.iter().map(|prompt| prompt.lora).collect();
    let base: Vec<f64> = prompts.iter().map(|prompt| prompt.base).collect();
    let means = BetweenSeeds { lora: mean(&lora), base: mean(&base) };
    // Without prompts it is no number.
    if means.base.is_nan() || means.base <= 0.0 {
        return None;
    }
    let interval = bootstrap.interval_of_indices(&[prompts.len()], |drawn| {
        let sum = |values: &[f64]| drawn[0].iter().map(|index| values[*index]).sum::<f64>();
        sum(&lora) / sum(&base)
    });
    Some(Diversity { ratio: means.lora / means.base, interval, means })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variety_is_relative_to_the_base() {
        let prompts = [[0.1, 0.4], [0.2, 0.4], [0.15, 0.3], [0.1, 0.2]].map(|[lora, base]| BetweenSeeds { lora, base });
        let found = diversity(&prompts, &Bootstrap::default()).unwrap();
        assert!((found.ratio - 0.55 / 1.3).abs() < 1e-12);
        let interval = found.interval.unwrap();
        assert!(interval.low >= 0.25 && interval.high <= 0.5 && interval.holds(found.ratio), "{interval:?}");
    }

    #[test]
    fn a_base_whose_seeds_change_nothing_is_no_measure() {
        assert_eq!(diversity(&[BetweenSeeds { lora: 0.1, base: 0.0 }], &Bootstrap::default()), None);
        assert_eq!(diversity(&[], &Bootstrap::default()), None);
    }
}
