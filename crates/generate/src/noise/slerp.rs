//! Between two noises on a sphere, as the web UI varies a seed's noise by that of another.

/// Mean similarity from which two noises are mixed linearly.
const ALIKE: f64 = 0.9995;

/// The noise `share` of the way from `low` to `high`, tensors of `shape` (C, H, W), row-major.
///
/// As in the web UI, the vectors whose angle counts are the columns of each channel, and noises that are alike are mixed
/// the other way round. A column whose two vectors lie in one line, where the web UI divides by 0, is mixed linearly.
///
/// # Panics
/// If a tensor is not of `shape`.
pub fn slerp(share: f64, low: &[f32], high: &[f32], shape: [usize; 3]) -> Vec<f32> {
    let [channels, height, width] = shape;
    assert_eq!([low.len(), high.len()], [channels * height * width; 2], "noises of one shape");
    let mut cosines = Vec::with_capacity(channels * width);
    for channel in 0..channels {
        for column in 0..width {
            let start = channel * height * width + column;
            cosines.push(cosine(low[start..].iter().step_by(width), high[start..].iter().step_by(width), height));
        }
    }
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
    if mean > ALIKE {
        return mixed(low, high, share as f32);
    }
    let weights: Vec<Weights> = cosines.into_iter().map(|cosine| Weights::new(cosine, share)).collect();
    let mut values = Vec::with_capacity(low.len());
    for (index, (first, second)) in low.iter().zip(high).enumerate() {
        let channel = index / (height * width);
        let weights = &weights[channel * width + index % width];
        values.push((weights.low * f64::from(*first) + weights.high * f64::from(*second)) as f32);
    }
    values
}

/// `share` of `low` and the rest of `high`.
fn mixed(low: &[f32], high: &[f32], share: f32) -> Vec<f32> {
    low.iter().zip(high).map(|(low, high)| low * share + high * (1.0 - share)).collect()
}

/// The cosine of the angle between the first `length` values of two columns.
fn cosine<'a>(low: impl Iterator<Item = &'a f32>, high: impl Iterator<Item = &'a f32>, length: usize) -> f64 {
    let mut product = 0.0;
    let mut low_square = 0.0;
    let mut high_square = 0.0;
    for (low, high) in low.zip(high).take(length) {
        let low = f64::from(*low);
        let high = f64::from(*high);
        product += low * high;
        low_square += low * low;
        high_square += high * high;
    }
    product / (low_square * high_square).sqrt()
}

/// How much of each noise a column takes.
struct Weights {
    low: f64,
    high: f64,
}

impl Weights {
    fn new(cosine: f64, share: f64) -> Self {
        let angle = cosine.clamp(-1.0, 1.0).acos();
        let sine = angle.sin();
        // Also a column of zeros, which has no angle.
        if sine.is_nan() || sine < 1e-7 {
            return Self { low: 1.0 - share, high: share };
        }
        Self { low: ((1.0 - share) * angle).sin() / sine, high: (share * angle).sin() / sine }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noises_in_one_line_are_mixed_linearly() {
        // The web UI gives no numbers here: vectors of a single row have angles of 0 or 180 degrees.
        let mixed = slerp(0.25, &[1.0, -2.0, 0.0], &[3.0, 2.0, 1.0], [1, 1, 3]);
        assert_eq!(mixed, [1.5, -1.0, 0.25]);
    }

    #[test]
    fn noises_that_are_alike_are_mixed_the_other_way_round() {
        assert_eq!(slerp(0.25, &[1.0, 2.0], &[2.0, 4.0], [1, 2, 1]), [1.75, 3.5]);
    }
}
