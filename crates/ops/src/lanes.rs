//! Plain loops at the width of the machine's vectors: AVX-512, AVX2 or NEON, chosen at run time.
//!
//! Sums and maxima are kept in independent lanes, because the compiler may not reorder float additions by itself.

/// Numbers that are summed side by side: two AVX-512 registers.
const LANES: usize = 32;

/// Runs a loop compiled for the widest vectors of this machine. What it calls must be `#[inline(always)]`.
#[inline(always)]
pub(crate) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// Largest number of a row; −∞ for an empty one.
#[inline(always)]
pub(crate) fn maximum(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = if *x > *lane { *x } else { *lane };
        }
    }
    rest.iter().chain(&lanes).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// Σ f(i) over 0..count: in f32 lanes over stretches of a few thousand, in f64 over these, so that long rows lose nothing.
#[inline(always)]
pub(crate) fn sum(count: usize, f: impl Fn(usize) -> f32) -> f64 {
    const STRETCH: usize = 128 * LANES;
    let mut total = 0.0f64;
    let mut start = 0;
    while start < count {
        let end = (start + STRETCH).min(count);
        let mut lanes = [0.0f32; LANES];
        let whole = start + (end - start) / LANES * LANES;
        for at in (start..whole).step_by(LANES) {
            for (lane, sum) in lanes.iter_mut().enumerate() {
                *sum += f(at + lane);
            }
        }
        for (lane, at) in (whole..end).enumerate() {
            lanes[lane] += f(at);
        }
        total += lanes.iter().map(|x| f64::from(*x)).sum::<f64>();
        start = end;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_maxima_of_any_length() {
        for count in [0, 1, 31, 32, 33, 4096, 4097, 10_000] {
            let row: Vec<f32> = (0..count).map(|i| ((i * 37) % 101) as f32 - 50.0).collect();
            let exact: f64 = row.iter().map(|x| f64::from(*x)).sum();
            assert_eq!(vectorized(|| sum(count, |i| row[i])), exact);
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(vectorized(|| maximum(&row)), largest);
        }
    }
}
