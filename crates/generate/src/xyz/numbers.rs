//! Numbers as Python reads them.

/// A whole number with an optional sign directly before it; spaces around.
pub(super) fn whole(text: &str) -> Option<i64> {
    text.trim().parse().ok()
}

/// A finite number in any spelling that Python takes, except words such as `inf`.
pub(super) fn float(text: &str) -> Option<f64> {
    let number: f64 = text.trim().parse().ok()?;
    if number.is_finite() { Some(number) } else { None }
}
