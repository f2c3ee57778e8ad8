//! The `key=value` lists of `--network_args` and `--optimizer_args`.

use super::names;
use crate::report::Report;

/// What a list of `key=value` belongs to.
pub(crate) struct Pairs<'a> {
    /// Name of the option.
    pub(crate) option: &'a str,
    /// Who takes the keys, as in "AdamW takes betas, eps, weight_decay".
    pub(crate) owner: &'a str,
    /// Keys that have a meaning here.
    pub(crate) known: &'a [&'a str],
    /// Keys that sd-scripts gives a meaning, and lorabake does not.
    pub(crate) unsupported: &'a [&'a str],
}

impl Pairs<'_> {
    /// The pairs with a known key, values trimmed. Everything else becomes a problem.
    pub(crate) fn read<'g>(&self, given: Option<&'g Vec<String>>, report: &mut Report) -> Vec<(&'g str, &'g str)> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for text in given.into_iter().flatten() {
            let Some((key, value)) = text.split_once('=') else {
                report.problem(self.option, format!("`{text}` is not of the form name=value"), self.takes());
                continue;
            };
            let key = key.trim();
            let value = value.trim();
            if self.unsupported.contains(&key) {
                let what = format!("`{key}` is known to sd-scripts, but lorabake does not support it yet");
                report.problem(self.option, what, "leave it out");
            } else if !self.known.contains(&key) {
                let what = match names::nearest_in(key, self.known.iter().copied()) {
                    Some(name) => format!("there is no `{key}`; did you mean {name}?"),
                    None => format!("there is no `{key}`"),
                };
                report.problem(self.option, what, self.takes());
            } else if pairs.iter().any(|(earlier, _)| *earlier == key) {
                report.problem(self.option, format!("`{key}` is given twice"), "leave one of them out");
            } else {
                pairs.push((key, value));
            }
        }
        pairs
    }

    fn takes(&self) -> String {
        format!("{} takes {}", self.owner, self.known.join(", "))
    }
}

/// The value of a key among the pairs of an option.
pub(crate) fn value_of<'a>(pairs: &[(&str, &'a str)], key: &str) -> Option<&'a str> {
    pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
}
