//! M5: how much of the way from the base to the training set the pictures of a LoRA have gone.
//!
//! Definition: fidelity = (d_B − d_L) / (d_B − d_R), each d the median over pictures of the distance to the nearest training
//! image: d_B of base pictures whose prompt has the class word in place of the trigger, d_L of the LoRA's for the same
//! prompts with the trigger, d_R of images held out of training, or of each training image to the nearest other one. 0 =
//! nothing learned, 1 = as alike as the set itself. After DreamBooth's DINO and CLIP-I scores (Ruiz et al. 2022, arXiv
//! 2208.12242), in units of the set.
//! Misleads: learning by heart raises it, and so do background, pose and style; read it beside copies, diversity and
//! adherence. Prompts are to ask for scenes that are not in the set.

use crate::bootstrap::{Bootstrap, Interval};
use crate::quantile::median;

/// Fidelity is cut to this range.
const RANGE: [f64; 2] = [-0.5, 1.5];

/// Distances to the nearest training image.
#[derive(Debug, Clone, Copy)]
pub struct ToTraining<'a> {
    /// Of base pictures.
    pub base: &'a [f64],
    /// Of pictures with the LoRA.
    pub lora: &'a [f64],
    /// Of real ones.
    pub real: &'a [f64],
}

/// How alike the pictures are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    /// Median distances of base pictures, pictures with the LoRA, and real ones.
    pub medians: [f64; 3],
    /// The share of the way.
    pub fidelity: Fidelity,
}

/// The share of the way from the base to the set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fidelity {
    /// −0.5 to 1.5, with its interval where there are pictures enough.
    Of(f64, Option<Interval>),
    /// The base's pictures are about as near as real ones: it knows the subject, or the features don't.
    NoWay,
    /// There are no pictures of one kind.
    NoPictures,
}

/// Fidelity of pictures by their distances to the training set.
pub fn likeness(distances: &ToTraining<'_>, bootstrap: &Bootstrap) -> Likeness {
    let medians = [distances.base, distances.lora, distances.real].map(median);
    Likeness { medians, fidelity: fidelity(distances, medians, bootstrap) }
}

fn fidelity(distances: &ToTraining<'_>, [base, lora, real]: [f64; 3], bootstrap: &Bootstrap) -> Fidelity {
    if [base, lora, real].iter().any(|median| median.is_nan()) {
        return Fidelity::NoPictures;
    }
    let way = bootstrap.interval(&[distances.base, distances.real], |drawn| median(&drawn[0]) - median(&drawn[1]));
    let is_way_unsure = match way {
        Some(way) => way.low <= 0.0,
        None => base <= real,
    };
    if is_way_unsure {
        return Fidelity::NoWay;
    }
    let groups = [distances.base, distances.lora, distances.real];
    let interval =
        bootstrap.interval(&groups, |drawn| share([median(&drawn[0]), median(&drawn[1]), median(&drawn[2])]));
    Fidelity::Of(share([base, lora, real]), interval)
}

/// The share of the way, cut to its range; no number where there is no way.
fn share([base, lora, real]: [f64; 3]) -> f64 {
    if base <= real {
        return f64::NAN;
    }
    ((base - lora) / (base - real)).clamp(RANGE[0], RANGE[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(middle: f64) -> Vec<f64> {
        (0..9).map(|index| middle + 0.01 * (f64::from(index) - 4.0)).collect()
    }

    fn found(base: f64, lora: f64, real: f64) -> Fidelity {
        let [base, lora, real] = [base, lora, real].map(around);
        let distances = ToTraining { base: &base, lora: &lora, real: &real };
        likeness(&distances, &Bootstrap::default()).fidelity
    }

    #[test]
    fn nothing_all_and_half_the_way() {
        for (lora, expected) in [(0.9, 0.0), (0.3, 1.0), (0.6, 0.5), (2.0, -0.5), (-1.0, 1.5)] {
            let Fidelity::Of(share, Some(interval)) = found(0.9, lora, 0.3) else { panic!("no fidelity at {lora}") };
            assert!((share - expected).abs() < 1e-9, "{lora}: {share}");
            assert!(interval.holds(share), "{interval:?}");
            assert!(interval.high - interval.low < 0.2, "{interval:?}");
        }
    }

    #[test]
    fn a_base_that_knows_the_subject_leaves_no_way() {
        assert_eq!(found(0.31, 0.3, 0.3), Fidelity::NoWay);
        assert_eq!(found(0.2, 0.3, 0.3), Fidelity::NoWay);
        let none = ToTraining { base: &[], lora: &[0.1], real: &[0.1] };
        assert_eq!(likeness(&none, &Bootstrap::default()).fidelity, Fidelity::NoPictures);
    }

    #[test]
    fn few_pictures_have_no_interval() {
        let one = ToTraining { base: &[0.9], lora: &[0.6], real: &[0.3] };
        assert!(matches!(likeness(&one, &Bootstrap::default()).fidelity, Fidelity::Of(_, None)));
    }
}
