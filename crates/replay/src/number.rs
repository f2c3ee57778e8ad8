//! Numbers of a pack, compared exactly.

/// `value` as the reader of the pack's files gives back its decimals, which may be the neighbour of what was written.
pub(crate) fn reread(value: f64) -> f64 {
    serde_json::from_str(&format!("{value:?}")).unwrap_or(value)
}
