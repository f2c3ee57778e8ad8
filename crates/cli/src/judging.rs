//! Judging while a LoRA trains: what was found, on the terminal and in the logs.

use std::sync::mpsc::Sender;

use lorabake_judge::verdict::Verdict;
use lorabake_judge::while_training::{Examined, Examiner, Told};
use lorabake_recipe::Recipe;

use crate::cmd::judge::words;

/// One who judges the run of `recipe`, if it asks for that; what is found goes to `found`.
pub fn examiner(recipe: &Recipe, found: Sender<Told>) -> Option<Examiner> {
    let settings = recipe.judging?;
    // Nobody listening is no reason to stop.
    let tell = move |told| found.send(told).unwrap_or_default();
    Some(Examiner::new(settings, Box::new(tell)))
}

/// What was found, in a line.
pub fn line(examined: &Examined) -> String {
    let Examined { epoch, measures, judged, best, ends_run, seconds, .. } = examined;
    let mut parts = Vec::new();
    if let Some(problem) = &measures.problem {
        parts.push(problem.clone());
    }
    let shown = if measures.held_out.is_empty() { &measures.training } else { &measures.held_out };
    let score = lorabake_judge::measure::Mean::of(shown).mean;
    parts.push(format!("errors {:+.0} %", (score.exp() - 1.0) * 100.0));
    if let Some(response) = &measures.whole {
        let [from, to] = response.interval;
        parts.push(format!("best at strength {:.2} ({from:.2} to {to:.2})", response.best));
    }
    let verdict = words::verdict(judged.verdict);
    let which = if best == epoch { "the best so far".to_owned() } else { format!("the best is epoch {best}") };
    let end = if *ends_run { "; overcooked too often, so the run ends here" } else { "" };
    format!("judged: epoch {epoch} is {verdict}, {}; {which}{end} ({seconds:.0} s)", parts.join(", "))
}

/// What was found, as named numbers for charts.
pub fn numbers(examined: &Examined) -> Vec<(&'static str, f64)> {
    let measures = &examined.measures;
    let mut numbers = Vec::new();
    if !measures.held_out.is_empty() {
        let score = measures.score();
        numbers.push(("held_out", score.mean));
        if score.error.is_finite() {
            numbers.push(("held_out_error", score.error));
        }
        numbers.push(("gap", measures.gap()));
    }
    numbers.push(("training", lorabake_judge::measure::Mean::of(&measures.training).mean));
    numbers.push(("drift_plain", measures.drift.plain));
    numbers.push(("drift_trigger", measures.drift.trigger));
    if let Some(text) = measures.text_drift {
        numbers.push(("text_drift_plain", text.plain));
        numbers.push(("text_drift_trigger", text.trigger));
    }
    if let Some(response) = &measures.whole {
        numbers.push(("best_strength", response.best));
        numbers.push(("best_strength_low", response.interval[0]));
        numbers.push(("best_strength_high", response.interval[1]));
    }
    numbers.push(("verdict", level(examined.judged.verdict)));
    numbers
}

/// A verdict as a height in a chart.
fn level(verdict: Verdict) -> f64 {
    match verdict {
        Verdict::Undercooked => -1.0,
        Verdict::Fine | Verdict::CannotTell => 0.0,
        Verdict::Overcooked => 1.0,
        Verdict::Broken => 2.0,
    }
}
