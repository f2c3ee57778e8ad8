//! How checks say what they find.

use std::collections::BTreeMap;

use crate::about::About;
use crate::finding::{Finding, Level, Repair};
use crate::gather::Set;

/// A check: what it is called, and how it is asked.
#[derive(Clone, Copy)]
pub struct Check {
    /// What it is called.
    pub about: About,
    /// Looks at a set.
    pub run: fn(&Set<'_>, &mut Found<'_>),
}

/// The numbers of a check, and where it says what it finds.
pub struct Found<'a> {
    about: &'a About,
    set: &'a Set<'a>,
    thresholds: BTreeMap<&'static str, f64>,
    findings: Vec<Finding>,
}

/// Something that a check says; the rest of a finding is known.
#[derive(Debug, Clone)]
pub struct Told {
    /// How grave it is.
    pub level: Level,
    /// What it is about.
    pub subject: String,
    /// What was measured.
    pub number: f64,
    /// From where on that is told.
    pub threshold: f64,
    /// Where the number lies among those of all images.
    pub percentile: Option<f64>,
    /// What is the matter.
    pub sentence: String,
    /// What to do.
    pub remedy: String,
    /// The images concerned.
    pub images: Vec<usize>,
    /// What `--fix` does about it.
    pub fix: Option<Repair>,
}

impl Default for Told {
    /// A hint about nothing.
    fn default() -> Self {
        Self {
            level: Level::Hint,
            subject: String::new(),
            number: 0.0,
            threshold: 0.0,
            percentile: None,
            sentence: String::new(),
            remedy: String::new(),
            images: Vec::new(),
            fix: None,
        }
    }
}

impl<'a> Found<'a> {
    /// Nothing was found yet.
    pub fn new(about: &'a About, set: &'a Set<'a>) -> Self {
        let mut thresholds = BTreeMap::new();
        for threshold in about.thresholds {
            let name = format!("{}.{}", about.id, threshold.name);
            let own = set.wanted.settings.thresholds.get(&name);
            thresholds.insert(threshold.name, *own.unwrap_or(&threshold.value));
        }
        Self { about, set, thresholds, findings: Vec::new() }
    }

    /// One of the check's numbers.
    ///
    /// # Panics
    /// If the check has no such number.
    pub fn limit(&self, name: &str) -> f64 {
        self.thresholds[name]
    }

    /// Adds what is told.
    pub fn add(&mut self, told: Told) {
        let settings = self.set.wanted.settings;
        let mut reason = settings.reason(self.about.id, &told.subject).map(str::to_owned);
        let level = if reason.is_some() { Level::Intended } else { told.level };
        if reason.is_none() && level == Level::Intended {
            reason = Some("as the guide asks for it".to_owned());
        }
        self.findings.push(Finding {
            id: self.about.id,
            level,
            scope: self.about.scope,
            subject: told.subject,
            number: told.number,
            threshold: told.threshold,
            percentile: told.percentile,
            sentence: told.sentence,
            remedy: told.remedy,
            images: told.images.iter().map(|image| self.set.images[*image].item.path.clone()).collect(),
            fix: told.fix,
            reason,
        });
    }

    /// Adds what is told of one image.
    pub fn image(&mut self, image: usize, told: Told) {
        self.add(Told { subject: self.set.name(image), images: vec![image], ..told });
    }

    /// What was found, the gravest first.
    pub fn into_findings(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|finding| finding.level);
        self.findings
    }
}

/// Where a number lies among all, 0 to 100.
pub fn percentile(all: &[f64], number: f64) -> Option<f64> {
    let below = all.iter().filter(|other| **other < number).count();
    let same = all.iter().filter(|other| **other == number).count();
    if all.is_empty() { None } else { Some((100.0 * (below as f64 + same as f64 / 2.0) / all.len() as f64).round()) }
}

/// The middle of numbers; NaN without any.
pub fn median(numbers: &[f64]) -> f64 {
    quantile(numbers, 0.5)
}

/// The number that `share` of all stay below, with straight lines between; NaN without any.
pub fn quantile(numbers: &[f64], share: f64) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share * sorted.len().saturating_sub(1) as f64;
    let below = place.floor() as usize;
    let Some(low) = sorted.get(below) else { return f64::NAN };
    let high = sorted.get(below + 1).unwrap_or(low);
    low + (high - low) * (place - below as f64)
}

/// Median of the distances from the median.
pub fn spread(numbers: &[f64]) -> f64 {
    let middle = median(numbers);
    median(&numbers.iter().map(|number| (number - middle).abs()).collect::<Vec<f64>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_and_middles() {
        let numbers = [4.0, 1.0, 3.0, 2.0];
        assert_eq!((median(&numbers), quantile(&numbers, 0.25), spread(&numbers)), (2.5, 1.75, 1.0));
        assert_eq!(percentile(&numbers, 4.0), Some(88.0));
        assert_eq!(percentile(&[], 4.0), None);
        assert!(median(&[]).is_nan());
    }
}
