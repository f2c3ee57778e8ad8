//! The difference of two snapshots on the same pictures and noise: the mean of the differences, with Student's t
//! distribution for how sure it is (Student 1908; `scipy.stats.ttest_rel`).
//!
//! Misleads: pictures that are near copies of each other count as if they were independent.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::bootstrap::{Interval, mean};

/// A mean difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The mean of `first − second`.
    pub mean: f64,
    /// Its standard error.
    pub error: f64,
    /// Where the mean lies with the probability that was asked for.
    pub interval: Interval,
    /// The probability of a mean as far from 0 where there is no difference, 0 to 1.
    pub p: f64,
    /// How many pairs there are.
    pub count: usize,
}

/// The mean of `first − second`, pair by pair, with the interval that holds it with the probability `level`. `None` for
/// fewer than two pairs.
///
/// # Panics
/// If they are not as many.
pub fn paired(first: &[f64], second: &[f64], level: f64) -> Option<Difference> {
    assert_eq!(first.len(), second.len(), "pairs");
    let count = first.len();
    if count < 2 {
        return None;
    }
    let differences: Vec<f64> = first.iter().zip(second).map(|(one, other)| one - other).collect();
    let middle = mean(&differences);
    let squares: f64 = differences.iter().map(|difference| (difference - middle).powi(2)).sum();
    let error = (squares / (count - 1) as f64 / count as f64).sqrt();
    let t = StudentsT::new(0.0, 1.0, (count - 1) as f64).expect("one degree of freedom or more");
    let reach = error * t.inverse_cdf(0.5 + level / 2.0);
    let p = if error > 0.0 {
        2.0 * t.cdf(-(middle / error).abs())
    } else if middle == 0.0 {
        1.0
    } else {
        0.0
    };
    Some(Difference { mean: middle, error, interval: Interval { low: middle - reach, high: middle + reach }, p, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.ttest_rel(first, second)` and its `confidence_interval(0.95)`, 1.17.
    #[test]
    fn differences_are_those_of_scipy() {
        let first = [0.91, 0.84, 1.02, 0.77, 0.95];
        let second = [0.99, 0.86, 1.10, 0.80, 0.93];
        let found = paired(&first, &second, 0.95).unwrap();
        for (name, ours, scipy) in [
            ("mean", found.mean, -0.038),
            ("p", found.p, 0.117_217_168_881_341_76),
            ("low", found.interval.low, -0.090_971_196_528_607_41),
            ("high", found.interval.high, 0.014_971_196_528_607_351),
        ] {
            assert!((ours - scipy).abs() < 1e-9, "{name}: {ours} for {scipy}");
        }
        let two = paired(&first[..2], &second[..2], 0.95).unwrap();
        assert!((two.interval.high - 0.331_186_142_085_240_44).abs() < 1e-9, "{two:?}");
    }

    #[test]
    fn equal_pairs_do_not_differ() {
        let same = paired(&[1.0, 2.0], &[1.0, 2.0], 0.95).unwrap();
        assert_eq!((same.mean, same.p), (0.0, 1.0));
        assert_eq!(paired(&[2.0, 3.0], &[1.0, 2.0], 0.95).unwrap().p, 0.0);
        assert_eq!(paired(&[1.0], &[2.0], 0.95), None);
    }
}
