//! What became of a case, and how near is near enough.

/// One recorded case.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// File and number or name within its folder.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It came out as recorded.
    Passed,
    /// It did not; what was expected and what came.
    Failed(String),
    /// There is no such thing here yet, and why.
    Unsupported(String),
}

impl Case {
    /// A case with its outcome: `Ok` if it came out as recorded, else what differs.
    pub fn of(name: impl Into<String>, result: Result<(), String>) -> Self {
        let outcome = match result {
            Ok(()) => Outcome::Passed,
            Err(why) => Outcome::Failed(why),
        };
        Self { name: name.into(), outcome }
    }

    /// A case that cannot be replayed yet.
    pub fn unsupported(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Unsupported(why.into()) }
    }
}

/// `Ok` if `ours` is exactly `recorded`.
///
/// # Errors
/// Shows both.
pub fn same<T: PartialEq + std::fmt::Debug>(ours: &T, recorded: &T) -> Result<(), String> {
    if ours == recorded { Ok(()) } else { Err(format!("recorded {recorded:?}, ours {ours:?}")) }
}

/// `Ok` if no value of `ours` is further from `recorded` than `tolerance` times the largest recorded magnitude (1 if all
/// are zero). A value that is not a number passes only where a number that is none was recorded.
///
/// # Errors
/// Names the first value that is too far off.
pub fn close(ours: &[f32], recorded: &[f32], tolerance: f64) -> Result<(), String> {
    if ours.len() != recorded.len() {
        return Err(format!("{} values recorded, ours are {}", recorded.len(), ours.len()));
    }
    let mut largest = 0.0_f64;
    for value in recorded {
        if value.is_finite() {
            largest = largest.max(f64::from(value.abs()));
        }
    }
    let bound = tolerance * if largest > 0.0 { largest } else { 1.0 };
    for (index, (own, expected)) in ours.iter().zip(recorded).enumerate() {
        let apart = (f64::from(*own) - f64::from(*expected)).abs();
        let same = own.to_bits() == expected.to_bits() || (own.is_nan() && expected.is_nan());
        if !same && (apart > bound || apart.is_nan()) {
            return Err(format!("value {index}: recorded {expected}, ours {own}, {bound:.1e} allowed"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_relative_to_the_largest_and_no_number_is_not_near() {
        assert!(close(&[100.0, 1.001], &[100.0, 1.0], 1e-4).is_ok());
        assert!(close(&[100.0, 1.1], &[100.0, 1.0], 1e-4).is_err());
        assert!(close(&[f32::NAN], &[1.0], 1.0).is_err());
        assert!(close(&[1.0], &[f32::NAN], 1.0).is_err());
        assert!(close(&[f32::NAN], &[f32::NAN], 0.0).is_ok());
        assert!(close(&[0.0], &[0.0, 0.0], 1.0).is_err());
    }
}
