//! Names of samplers and schedulers, and what was probably meant by one that is unknown.

/// A name that belongs to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no {kind} `{name}`; use {}", near.join(", "))]
pub struct UnknownName {
    /// What was to be named.
    kind: &'static str,
    /// The name that was typed.
    name: String,
    /// Names that look like it, nearest first.
    near: Vec<String>,
}

/// How many near names are told.
const TOLD: usize = 5;
/// Letters of a name that are looked at: no name is nearly as long.
const LONGEST: usize = 60;

/// The one of `all` that has the name `text`, in any case and with spaces, `_` and `-` alike.
pub(crate) fn named<T: Copy + ToString>(
    kind: &'static str,
    text: &str,
    all: &[T],
    names: impl Fn(T) -> Vec<&'static str>,
) -> Result<T, UnknownName> {
    let text: String = text.trim().chars().take(LONGEST).collect();
    let typed = plain(&text);
    let mut near = Vec::new();
    for one in all {
        let mut distance = usize::MAX;
        for name in names(*one) {
            let name = plain(name);
            if name == typed {
                return Ok(*one);
            }
            distance = distance.min(strsim::osa_distance(&name, &typed));
        }
        near.push((distance, one.to_string()));
    }
    near.sort_by_key(|(distance, _)| *distance);
    let near = near.into_iter().take(TOLD).map(|(_, name)| name).collect();
    Err(UnknownName { kind, name: text, near })
}

/// A name without what people type in different ways.
pub(crate) fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace(['_', '-'], " ")
}
