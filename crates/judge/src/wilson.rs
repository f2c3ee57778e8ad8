//! How sure a share is: Wilson's interval (Wilson 1927; `scipy.stats.binomtest(…).proportion_ci(method="wilson")`). It stays
//! between 0 and 1, and says something where the share is 0 or 1.

use statrs::distribution::{ContinuousCDF, Normal};

use crate::bootstrap::Interval;

/// The interval that holds the true share with the probability `level`, if `hits` of `count` were seen.
pub fn wilson(hits: usize, count: usize, level: f64) -> Interval {
    if count == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let z = Normal::standard().inverse_cdf(0.5 + level / 2.0);
    let [share, count] = [hits as f64 / count as f64, count as f64];
    let middle = share + z * z / (2.0 * count);
    let reach = z * (share * (1.0 - share) / count + z * z / (4.0 * count * count)).sqrt();
    let scale = 1.0 + z * z / count;
    Interval { low: ((middle - reach) / scale).max(0.0), high: ((middle + reach) / scale).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17.
    const SCIPY: [(usize, usize, f64, f64); 5] = [
        (0, 10, 0.0, 0.277_532_799_862_889_26),
        (7, 10, 0.396_778_147_461_145_26, 0.892_208_732_593_699),
        (55, 60, 0.819_310_579_816_655_8, 0.963_879_543_398_269_2),
        (60, 60, 0.939_828_147_857_910_1, 1.0),
        (1, 3, 0.061_491_944_720_396_26, 0.792_340_399_197_952_3),
    ];

    #[test]
    fn shares_are_those_of_scipy() {
        for (hits, count, low, high) in SCIPY {
            let found = wilson(hits, count, 0.95);
            assert!((found.low - low).abs() < 1e-9, "{hits} of {count}: {found:?}");
            assert!((found.high - high).abs() < 1e-9, "{hits} of {count}: {found:?}");
        }
        assert_eq!(wilson(0, 0, 0.95), Interval { low: 0.0, high: 1.0 });
    }
}
