//! Truth and verdict of all bakes as a table, with what the proof asks for.

use std::collections::BTreeMap;

use lorabake_judge::Report;
use lorabake_judge::advice::Reason;
use lorabake_judge::verdict::{Finding, Judgement, Verdict};
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
    false_notes: usize,
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
            false_notes: 0,
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
        self.judged += 1;
        self.right += usize::from(is_right(bake.kind, report));
        match bake.kind.truth() {
            Truth::Note => {
                self.notes += 1;
                self.noted += usize::from(is_right(bake.kind, report));
            }
            Truth::Fine => {
                self.good += 1;
                let is_spoilt = matches!(verdict, Verdict::Undercooked | Verdict::Overcooked | Verdict::Broken);
                self.wronged += usize::from(is_spoilt);
                self.false_notes += usize::from(CAPTION_NOTES.into_iter().any(|kind| is_right(kind, report)));
            }
            Truth::Under => self.opposite += usize::from(matches!(verdict, Verdict::Overcooked | Verdict::Broken)),
            Truth::Over => self.opposite += usize::from(verdict == Verdict::Undercooked),
        }
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
        lines.push(share(
            "captions, trigger or noise offset are named where they are at fault",
            self.noted,
            self.notes,
        ));
        lines.push(share("good bakes whose captions or trigger are named", self.false_notes, self.good));
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

/// Kinds that notes on captions tell.
const CAPTION_NOTES: [Kind; 2] = [Kind::BadTags, Kind::NoTrigger];

/// Whether the verdict is right, or what is wrong beside the verdict is named.
pub fn is_right(kind: Kind, report: &Report) -> bool {
    let Judgement { keep, verdict, snapshots, .. } = &report.judgement;
    let findings = keep.map_or(&[][..], |keep| snapshots[keep].findings.as_slice());
    match (kind.truth(), kind) {
        (Truth::Fine, _) => *verdict == Verdict::Fine,
        (Truth::Under, _) => *verdict == Verdict::Undercooked,
        (Truth::Over, _) => matches!(verdict, Verdict::Overcooked | Verdict::Broken),
        (Truth::Note, Kind::NoTrigger) => findings.iter().any(|finding| matches!(finding, Finding::NoTrigger)),
        (Truth::Note, Kind::Noise) => report.advice.iter().any(|advice| advice.reason == Reason::NoiseOffset),
        (Truth::Note, _) => findings.iter().any(|finding| matches!(finding, Finding::CaptionsDoNotFit(_))),
    }
}

/// A share in words, with its interval.
pub fn share(what: &str, part: usize, all: usize) -> String {
    let interval = wilson(part, all, 0.95);
    format!(
        "{what}: {part} of {all}, {:.0} % (95 % interval {:.0} to {:.0} %)",
        100.0 * part as f64 / all.max(1) as f64,
        100.0 * interval.low,
        100.0 * interval.high
    )
}
