//! Plain loops at the width of the machine's vectors: AVX-512, AVX2 or NEON, chosen at run time.
//!
//! Sums and maxima are kept in independent lanes, because the compiler may not reorder float additions by itself.

/// Numbers that are summed side by side: two AVX-512 registers.
const LANES: usize = 32;

/// Runs loops compiled for the widest vectors of this machine. What they call must be `#[inline(always)]`: what remains a
/// function of its own is compiled for the oldest processors. So it is with closures, hence a macro, which marks its own.
macro_rules! vectorized {
    ($work:expr) => {{
        let once = crate::lanes::Once;
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                let _moved = once;
                $work
            },
        )
    }};
}
pub(crate) use vectorized;

/// Makes the closure of [`vectorized!`] one that can be called but once, since it moves this. Without it the closure is
/// called through a function that the compiler makes and that nothing marks as `#[inline(always)]`.
pub(crate) struct Once;

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

/// Σ f(x): in f32 lanes over stretches of a few thousand, in f64 over these, so that long rows lose nothing.
#[inline(always)]
pub(crate) fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    sum_of_two(row, row, |x, _| f(x))
}

/// Σ f(a, b) over two rows of one length, in the same way.
#[inline(always)]
pub(crate) fn sum_of_two(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f64 {
    const STRETCH: usize = 128 * LANES;
    let mut total = 0.0f64;
    for (a, b) in a.chunks(STRETCH).zip(b.chunks(STRETCH)) {
        let mut lanes = [0.0f32; LANES];
        let ((a, rest_of_a), (b, rest_of_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                lanes[lane] += f(a[lane], b[lane]);
            }
        }
        for ((lane, a), b) in lanes.iter_mut().zip(rest_of_a).zip(rest_of_b) {
            *lane += f(*a, *b);
        }
        let mut stretch = 0.0f64;
        for lane in lanes {
            stretch += f64::from(lane);
        }
        total += stretch;
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
            assert_eq!(vectorized!(sum(&row, |x| x)), exact);
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(vectorized!(maximum(&row)), largest);
        }
    }
}
