//! Truth and verdict of all bakes as a table, with what the proof asks for.

use std::collections::BTreeMap;

use lorabake_judge::verdict::{Finding, Verdict};
use lorabake_judge::wilson::wilson;

use super::spoil::{Kind, Truth};
use super::{Outcome, truth};

/// Verdicts as columns.
const VERDICTS: [Verdict; 5] =
    [Verdict::Undercooked, Verdict::Fine, Verdict::Overcooked, Verdict::Broken, Verdict::CannotTell];
/// Share of right verdicts that is asked for.
const RIGHT: f64 = 0.9;
/// Share of good bakes that may be called spoilt.
const WRONGED: f64 = 0.05;

/// What became of all bakes.
pub struct Matrix {
    /// Verdicts of each kind, in the order of [`VERDICTS`].
    rows: BTreeMap<Kind, [usize; VERDICTS.len()]>,
    right: usize,
    judged: usize,
    good: usize,
    wronged: usize,
    noted: usize,
    notes: usize,
    best: usize,
    with_best: usize,
    opposite: usize,
}

/// One line of a bake.
pub fn line(outcome: &Outcome) -> String {
    let Outcome { bake, report, shown } = outcome;
    let judgement = &report.judgement;
    let kept = judgement.keep.map_or(0, |keep| keep + 1);
    let mut more = String::new();
    if let Some(shown) = shown {
        let shown: Vec<String> = shown.iter().map(|value| format!("{value:.2}")).collect();
        more = format!("  shown {}", shown.join(" "));
    }
    let found: Vec<String> = judgement.keep.map_or_else(Vec::new, |keep| {
        judgement.snapshots[keep].findings.iter().map(|finding| format!("{finding:?}")).collect()
    });
    format!(
        "{:<18} truth {:<12} {:?}, keeps {kept} of {}{more}  {}",
        bake.name(),
        truth(bake.kind),
        judgement.verdict,
        judgement.snapshots.len(),
        found.join(" ")
    )
}

impl Matrix {
    /// Of all outcomes.
    pub fn of(outcomes: &[Outcome]) -> Self {
        let mut matrix = Self {
            rows: BTreeMap::new(),
            right: 0,
            judged: 0,
            good: 0,
            wronged: 0,
            noted: 0,
            notes: 0,
            best: 0,
            with_best: 0,
            opposite: 0,
        };
        for outcome in outcomes {
            matrix.add(outcome);
        }
        matrix
    }

    fn add(&mut self, outcome: &Outcome) {
        let Outcome { bake, report, shown } = outcome;
        let verdict = report.judgement.verdict;
        let column = VERDICTS.iter().position(|known| *known == verdict).unwrap_or(0);
        self.rows.entry(bake.kind).or_default()[column] += 1;
        let truth = bake.kind.truth();
        match truth {
            Truth::Note => {
                self.notes += 1;
                self.noted += usize::from(is_noted(outcome) || verdict != Verdict::Fine);
                return;
            }
            Truth::Fine => {
                self.good += 1;
                let is_spoilt = matches!(verdict, Verdict::Undercooked | Verdict::Overcooked | Verdict::Broken);
                self.wronged += usize::from(is_spoilt);
            }
            Truth::Under => self.opposite += usize::from(matches!(verdict, Verdict::Overcooked | Verdict::Broken)),
            Truth::Over => self.opposite += usize::from(verdict == Verdict::Undercooked),
        }
        self.judged += 1;
        self.right += usize::from(truth.agrees(verdict));
        if let (Some(shown), Some(keep)) = (shown, report.judgement.keep) {
            self.with_best += 1;
            let better = shown.iter().filter(|value| **value > shown[keep]).count();
            self.best += usize::from(better <= 1);
        }
    }

    /// The table, and the shares.
    pub fn text(&self) -> String {
        let mut lines = vec!["| bakes | truth | undercooked | fine | overcooked | broken | can't tell |".to_owned()];
        lines.push("|---|---|---|---|---|---|---|".to_owned());
        for (kind, counts) in &self.rows {
            let cells: Vec<String> = counts.iter().map(usize::to_string).collect();
            lines.push(format!("| {} | {} | {} |", kind.name(), truth(*kind), cells.join(" | ")));
        }
        lines.push(String::new());
        lines.push(share("right verdicts", self.right, self.judged));
        lines.push(share("good bakes called spoilt", self.wronged, self.good));
        lines.push(share("opposite verdicts", self.opposite, self.judged));
        lines.push(share("spoilt otherwise, with a note or not called fine", self.noted, self.notes));
        if self.with_best > 0 {
            lines.push(share("kept snapshot is the best or the second best", self.best, self.with_best));
        }
        lines.join("\n")
    }

    /// Whether the shares are those that the proof asks for.
    pub fn holds(&self) -> bool {
        let is_right = self.right as f64 >= RIGHT * self.judged as f64;
        is_right && self.wronged as f64 <= WRONGED * self.good as f64
    }
}

/// Whether something is found beside the verdict that names what is wrong.
fn is_noted(outcome: &Outcome) -> bool {
    let report = &outcome.report;
    let Some(keep) = report.judgement.keep else { return false };
    let findings = &report.judgement.snapshots[keep].findings;
    let is_told = |finding: &Finding| match outcome.bake.kind {
        Kind::NoTrigger => matches!(finding, Finding::Bleeds(_)),
        Kind::Noise => matches!(finding, Finding::Fried(..)),
        _ => matches!(finding, Finding::NotAlike(_) | Finding::Bleeds(_)),
    };
    findings.iter().any(is_told) || !report.advice.is_empty()
}

fn share(what: &str, part: usize, all: usize) -> String {
    let interval = wilson(part, all, 0.95);
    format!(
        "{what}: {part} of {all}, {:.0} % (95 % interval {:.0} to {:.0} %)",
        100.0 * part as f64 / all.max(1) as f64,
        100.0 * interval.low,
        100.0 * interval.high
    )
}
