//! How far our numbers are from a reference's, in the norms that tests use.
//!
//! All are relative to the reference, so that a tolerance says how many digits agree. None compares with nothing: a
//! reference of zeros only, or of another length, is a failure. A value of ours that is not a number makes the distance
//! not a number, which no tolerance admits.

/// ‖ours − reference‖ / ‖reference‖, by L2 norms.
///
/// # Panics
/// If the numbers are not as many, or the reference is all zeros.
#[track_caller]
pub fn relative_error<A, B>(ours: &[A], reference: &[B]) -> f64
where
    A: Copy + Into<f64>,
    B: Copy + Into<f64>,
{
    assert_eq!(ours.len(), reference.len(), "number of values");
    let mut error = 0.0;
    let mut size = 0.0;
    for (own, expected) in ours.iter().zip(reference) {
        let (own, expected): (f64, f64) = ((*own).into(), (*expected).into());
        error += (own - expected).powi(2);
        size += expected.powi(2);
    }
    assert!(size > 0.0, "the reference is zero");
    (error / size).sqrt()
}

/// The largest |ours − reference|, divided by the largest |reference|.
///
/// # Panics
/// If the numbers are not as many, or the reference is all zeros.
#[track_caller]
pub fn relative_max_error(ours: &[f32], reference: &[f32]) -> f64 {
    assert_eq!(ours.len(), reference.len(), "number of values");
    let mut error = 0.0;
    let mut size = 0.0;
    for (own, expected) in ours.iter().zip(reference) {
        error = larger(error, (f64::from(*own) - f64::from(*expected)).abs());
        size = larger(size, f64::from(*expected).abs());
    }
    assert!(size > 0.0, "the reference is zero");
    error / size
}

/// The largest |ours − reference|, divided by the largest change that the reference has made since `start`; 0 where one
/// rounding of a value explains the difference, since a value that hardly changes cannot be nearer than that.
///
/// # Panics
/// If the numbers are not as many.
#[track_caller]
pub fn relative_change_error(ours: &[f32], reference: &[f32], start: &[f32]) -> f64 {
    assert_eq!((ours.len(), start.len()), (reference.len(), reference.len()), "number of values");
    let mut error = 0.0;
    let mut change = 0.0;
    let mut size = 0.0;
    for ((own, expected), before) in ours.iter().zip(reference).zip(start) {
        let expected = f64::from(*expected);
        error = larger(error, (f64::from(*own) - expected).abs());
        change = larger(change, (expected - f64::from(*before)).abs());
        size = larger(size, expected.abs());
    }
    if error <= 2.0 * f64::from(f32::EPSILON) * size { 0.0 } else { error / change }
}

/// The larger of two numbers; not a number if one of them is none, where `f64::max` would drop it.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// Compares by [`relative_error`].
///
/// # Panics
/// If it is more than `tolerance`, showing the first five pairs.
#[track_caller]
pub fn assert_close(name: &str, ours: &[f32], reference: &[f32], tolerance: f64) {
    assert_eq!(ours.len(), reference.len(), "{name}: number of values");
    assert!(reference.iter().any(|value| *value != 0.0), "{name}: the reference is zero");
    let error = relative_error(ours, reference);
    let pairs: Vec<_> = ours.iter().zip(reference).take(5).collect();
    assert!(error <= tolerance, "{name}: relative error {error:e}; first pairs {pairs:?}");
}

/// Compares by [`relative_max_error`].
///
/// # Panics
/// If it is more than `tolerance`, showing the first five pairs.
#[track_caller]
pub fn assert_close_max(name: &str, ours: &[f32], reference: &[f32], tolerance: f64) {
    assert_eq!(ours.len(), reference.len(), "{name}: number of values");
    assert!(reference.iter().any(|value| *value != 0.0), "{name}: the reference is zero");
    let error = relative_max_error(ours, reference);
    let pairs: Vec<_> = ours.iter().zip(reference).take(5).collect();
    assert!(error <= tolerance, "{name}: largest error {error:e} of the largest value; first pairs {pairs:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_norms_are_relative_to_the_reference() {
        assert_eq!(relative_error(&[3.0_f32, 0.0], &[0.0_f32, 4.0]), 1.25);
        assert_eq!(relative_max_error(&[3.0, 0.0], &[0.0, 4.0]), 1.0);
        assert_eq!(relative_error(&[1.0_f32, 2.0], &[1.0_f64, 2.0]), 0.0);
    }

    #[test]
    fn what_is_not_a_number_is_never_close() {
        assert!(relative_error(&[f32::NAN, 1.0], &[1.0_f32, 1.0]).is_nan());
        assert!(relative_max_error(&[f32::NAN, 1.0], &[1.0, 1.0]).is_nan());
        assert!(relative_max_error(&[1.0, f32::NAN], &[1.0, 1.0]).is_nan());
    }

    #[test]
    #[should_panic(expected = "x: the reference is zero")]
    fn a_reference_of_zeros_is_refused() {
        assert_close("x", &[0.0], &[0.0], 1.0);
    }

    #[test]
    #[should_panic(expected = "x: number of values")]
    fn other_lengths_are_refused() {
        assert_close_max("x", &[0.0], &[1.0, 1.0], 1.0);
    }
}
