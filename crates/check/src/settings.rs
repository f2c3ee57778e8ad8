//! `lorabake-check.toml`: thresholds of the user's own, what is meant as it is, and which tags should come and go.
//!
//! ```toml
//! off = ["tag.body"]              # checks that are not asked
//! controlled = ["hat", "scarf"]   # tags that a prompt should be able to call and to leave out
//!
//! [thresholds]
//! img.small.warning = 1.5
//!
//! [[intended]]
//! check = "tag.onoff"
//! subject = "blonde hair"         # without it: all that the check finds
//! reason = "she is always blonde"
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Value;

use crate::about::About;
use crate::caption::folded;

/// What a user has settled.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Thresholds by check and name, as `img.small.warning`.
    pub thresholds: BTreeMap<String, f64>,
    /// Findings that are meant so.
    pub intended: Vec<Intended>,
    /// Checks that are not asked.
    pub off: Vec<String>,
    /// Tags that a prompt should be able to call and to leave out, as they are compared.
    pub controlled: Vec<String>,
}

/// A finding that is meant so.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intended {
    /// The check.
    pub check: String,
    /// The subject of the finding; all of them if it is missing.
    pub subject: Option<String>,
    /// Why.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    thresholds: toml::Table,
    #[serde(default)]
    intended: Vec<Intended>,
    #[serde(default)]
    off: Vec<String>,
    #[serde(default)]
    controlled: Vec<String>,
}

impl Settings {
    /// Reads the text of a `lorabake-check.toml` about these checks.
    ///
    /// # Errors
    /// All that is wrong with it, each as what is wrong and what to do.
    pub fn parse(text: &str, checks: &[About]) -> Result<Self, Vec<String>> {
        let file: File = match toml::from_str(text) {
            Ok(file) => file,
            Err(error) => {
                let message = error.to_string();
                let what = message.lines().collect::<Vec<&str>>().join(" ");
                return Err(vec![format!("it cannot be read ({}); see docs/check.md", what.trim())]);
            }
        };
        let mut problems = Vec::new();
        let mut thresholds = BTreeMap::new();
        flatten(&mut thresholds, &mut problems, String::new(), &file.thresholds);
        let mut ids = Vec::new();
        let mut names = Vec::new();
        for about in checks {
            ids.push(about.id.to_owned());
            names.extend(about.thresholds.iter().map(|own| format!("{}.{}", about.id, own.name)));
        }
        for name in thresholds.keys() {
            if !names.contains(name) {
                problems.push(format!("thresholds.{name}: there is no such threshold{}", meant(name, &names)));
            }
        }
        for id in file.off.iter().chain(file.intended.iter().map(|intended| &intended.check)) {
            if !ids.contains(id) {
                problems.push(format!("{id}: there is no such check{}", meant(id, &ids)));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let controlled = file.controlled.iter().map(|tag| folded(tag)).collect();
        Ok(Self { thresholds, intended: file.intended, off: file.off, controlled })
    }

    /// Why a finding is meant so, if it is.
    pub(crate) fn reason(&self, id: &str, subject: &str) -> Option<&str> {
        for intended in &self.intended {
            let is_it = intended.subject.as_deref().is_none_or(|own| own == subject || folded(own) == folded(subject));
            if intended.check == id && is_it {
                return Some(&intended.reason);
            }
        }
        None
    }
}

/// What was probably meant.
pub fn meant(name: &str, known: &[String]) -> String {
    let mut nearest: Option<(f64, &String)> = None;
    for candidate in known {
        let likeness = strsim::jaro_winkler(name, candidate);
        if nearest.as_ref().is_none_or(|(best, _)| likeness > *best) {
            nearest = Some((likeness, candidate));
        }
    }
    match nearest {
        Some((likeness, candidate)) if likeness > 0.8 => format!("; {candidate}?"),
        _ => "; docs/check.md lists them all".to_owned(),
    }
}

/// Tables within tables as names with dots.
fn flatten(into: &mut BTreeMap<String, f64>, problems: &mut Vec<String>, prefix: String, table: &toml::Table) {
    for (key, value) in table {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let number = match value {
            Value::Table(inner) => {
                flatten(into, problems, name, inner);
                continue;
            }
            Value::Float(number) => *number,
            Value::Integer(number) => *number as f64,
            _ => f64::NAN,
        };
        if number.is_finite() {
            into.insert(name, number);
        } else {
            problems.push(format!("thresholds.{name}: {value} is not a number; write a number"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::about::Threshold;
    use crate::finding::Scope;

    const CHECKS: [About; 3] = [
        About { id: "img.small", scope: Scope::Image, what: "", thresholds: &[Threshold::new("warning", 1.25, "")] },
        About { id: "tag.body", scope: Scope::Tag, what: "", thresholds: &[] },
        About { id: "tag.onoff", scope: Scope::Tag, what: "", thresholds: &[] },
    ];

    #[test]
    fn what_is_settled_is_read() {
        let text = "off = ['tag.body']\ncontrolled = ['Red_Hat']\n[thresholds]\nimg.small.warning = 2\n\
                    [[intended]]\ncheck = 'tag.onoff'\nsubject = 'Blonde_Hair'\nreason = 'always'\n";
        let settings = Settings::parse(text, &CHECKS).unwrap();
        assert_eq!(settings.thresholds["img.small.warning"], 2.0);
        assert_eq!(settings.reason("tag.onoff", "blonde hair"), Some("always"));
        assert_eq!(settings.reason("tag.onoff", "hat"), None);
        assert_eq!(settings.controlled, ["red hat"]);
    }

    #[test]
    fn what_is_wrong_is_told_all_at_once() {
        let text = "off = ['tag.bodie']\n[thresholds]\nimg.small.warnin = 2\nimg.jpeg.quality = 'x'\n";
        let problems = Settings::parse(text, &CHECKS).unwrap_err();
        assert_eq!(
            problems,
            [
                "thresholds.img.jpeg.quality: \"x\" is not a number; write a number",
                "thresholds.img.small.warnin: there is no such threshold; img.small.warning?",
                "tag.bodie: there is no such check; tag.body?",
            ]
        );
        assert!(Settings::parse("of = 1", &CHECKS).unwrap_err()[0].starts_with("it cannot be read (TOML parse error"));
    }
}
