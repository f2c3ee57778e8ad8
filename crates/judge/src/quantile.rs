//! Quantiles with linear interpolation between values, as numpy's `quantile` has by default.

/// The value below which the share `at`, 0 to 1, of `values` lies; no number if there are none.
pub fn quantile(values: &[f64], at: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = at * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

/// The middle of `values`; no number if there are none.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_numpy() {
        // numpy.quantile([3, 1, 4, 1, 5, 9, 2, 6], …)
        let values = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0];
        for (at, expected) in [(0.0, 1.0), (0.025, 1.0), (0.5, 3.5), (0.9, 6.9), (0.99, 8.79), (1.0, 9.0)] {
            assert!((quantile(&values, at) - expected).abs() < 1e-12, "{at}");
        }
        assert_eq!(median(&[7.0]), 7.0);
        assert!(median(&[]).is_nan());
    }
}
