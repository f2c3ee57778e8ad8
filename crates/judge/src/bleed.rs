//! M4b: how far the LoRA moves pictures whose prompt has neither its trigger nor its class.
//!
//! Definition: the mean distance between a plain picture without and with the LoRA (same prompt, seed and noise), divided
//! by that between two seeds of the base. 0 = it does not act, 1 = as far as another seed would. After the comparison that
//! people make by eye (A without the LoRA, B with it and no trigger, C with the trigger: is B like A?).
//! Misleads: a style is meant to act everywhere, unless it was trained with a trigger. Where the base's seeds hardly
//! differ (the embedded model), the ratio is large for little.

use crate::bootstrap::{Bootstrap, Interval, mean};

/// Distances of one plain prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlainPrompt {
    /// Between the pictures of one seed without and with the LoRA.
    pub moved: f64,
    /// Between two seeds without it.
    pub seeds: f64,
}

/// How far plain pictures move.
#[derive(Debug, Clone, PartialEq)]
pub struct Bleed {
    /// In units of the distance between seeds.
    pub ratio: f64,
    /// Where the ratio lies, by resampling prompts.
    pub interval: Option<Interval>,
    /// The prompts by how far they move, the farthest first.
    pub worst: Vec<usize>,
}

/// How far plain pictures move. `None` without prompts, or where the base's seeds do not differ.
pub fn bleed(prompts: &[PlainPrompt], bootstrap: &Bootstrap) -> Option<Bleed> {
    let moved: Vec<f64> = prompts.iter().map(|prompt| prompt.moved).collect();
    let seeds: Vec<f64> = prompts.iter().map(|prompt| prompt.seeds).collect();
    let unit = mean(&seeds);
    // Without prompts it is no number.
    if unit.is_nan() || unit <= 0.0 {
        return None;
    }
    let interval = bootstrap.interval_of_indices(&[prompts.len()], |drawn| {
        let sum = |values: &[f64]| drawn[0].iter().map(|index| values[*index]).sum::<f64>();
        sum(&moved) / sum(&seeds)
    });
    let mut worst: Vec<usize> = (0..prompts.len()).collect();
    worst.sort_by(|one, other| moved[*other].total_cmp(&moved[*one]));
    Some(Bleed { ratio: mean(&moved) / unit, interval, worst })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn movement_is_in_units_of_seeds_and_the_worst_come_first() {
        let prompts = [[0.1, 0.5], [0.4, 0.4], [0.1, 0.6]].map(|[moved, seeds]| PlainPrompt { moved, seeds });
        let found = bleed(&prompts, &Bootstrap::default()).unwrap();
        assert!((found.ratio - 0.4).abs() < 1e-12);
        assert!(found.interval.unwrap().holds(0.4));
        assert_eq!(found.worst, [1, 0, 2]);
    }

    #[test]
    fn without_a_unit_there_is_no_measure() {
        assert_eq!(bleed(&[PlainPrompt { moved: 0.1, seeds: 0.0 }], &Bootstrap::default()), None);
        assert_eq!(bleed(&[], &Bootstrap::default()), None);
    }
}
