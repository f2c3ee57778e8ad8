//! Version numbers of the web UI, by which settings of old pictures are told.
//!
//! Source: PEP 440, in the forms that the web UI's tags have: `v1.6.0`, `v1.8.0-RC`, `v1.7.0-225-g1234567`.

use std::cmp::Ordering;

/// What stands behind the numbers of a version, in order of age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Alpha(u64),
    Beta(u64),
    Candidate(u64),
    Final,
    /// So many commits behind it.
    Post(u64),
}

/// A version that can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    numbers: Vec<u64>,
    stage: Stage,
}

impl Version {
    /// Reads `text`; `None` if it is no version, as those of other programs.
    pub fn parse(text: &str) -> Option<Self> {
        // `git describe` adds the commit, which is no part of the version.
        let mut parts = text.splitn(3, '-');
        let first = parts.next()?;
        let second = parts.next();
        let text = match (second, parts.next()) {
            (Some(second), Some(_)) if !first.is_empty() && !second.is_empty() => format!("{first}-{second}"),
            _ => text.to_owned(),
        };
        let text = text.trim().to_ascii_lowercase();
        let text = text.strip_prefix('v').unwrap_or(&text);
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let release = text[..end].trim_end_matches('.');
        let stage = Stage::parse(&text[release.len()..])?;
        let mut numbers = Vec::new();
        for number in release.split('.') {
            numbers.push(number.parse().ok()?);
        }
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        Some(Self { numbers, stage })
    }

    /// Whether it is older than the version `text`.
    pub fn is_before(&self, text: &str) -> bool {
        Self::parse(text).is_some_and(|other| self.compare(&other) == Ordering::Less)
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then(self.stage.cmp(&other.stage))
    }
}

impl Stage {
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::Final);
        }
        if let Some(number) = text.strip_prefix('-')
            && let Ok(commits) = number.parse()
        {
            return Some(Self::Post(commits));
        }
        let text = text.trim_start_matches(['-', '_', '.']);
        let end = text.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(text.len());
        let digits = text[end..].trim_start_matches(['-', '_', '.']);
        let number = if digits.is_empty() { 0 } else { digits.parse().ok()? };
        match &text[..end] {
            "a" | "alpha" => Some(Self::Alpha(number)),
            "b" | "beta" => Some(Self::Beta(number)),
            "c" | "rc" | "pre" | "preview" => Some(Self::Candidate(number)),
            "post" | "rev" | "r" => Some(Self::Post(number)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_order() {
        let order = ["v1.5.2", "v1.6.0-RC", "1.6", "v1.6.0-2-g4afaaf8a", "1.6.1", "v1.7.0-224", "v1.7.0-225", "1.10.1"];
        for pair in order.windows(2) {
            let older = Version::parse(pair[0]).expect(pair[0]);
            assert!(older.is_before(pair[1]), "{pair:?}");
            assert!(!Version::parse(pair[1]).expect(pair[1]).is_before(pair[0]), "{pair:?}");
        }
        assert!(!Version::parse("1.6").unwrap().is_before("1.6.0"));
    }

    #[test]
    fn what_is_no_version_is_none() {
        for text in ["lorabake-0.9", "ComfyUI", "", "v", "1..2", "f2.0.1v1.10.1-previous-1-gabc", "1.6x", "é"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
