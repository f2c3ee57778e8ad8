//! The measures of a run as a table for the terminal.

use lorabake_judge::measure::{Measures, SnapshotMeasures};
use lorabake_judge::pictures::PictureMeasures;
use lorabake_judge::strength::Response;
use lorabake_judge::verdict::{Judged, Judgement};

use super::words;

/// One line a snapshot.
pub fn text(measures: &Measures, pictures: &[(usize, PictureMeasures)], judgement: &Judgement) -> String {
    aligned(&rows(measures, pictures, judgement))
}

/// Cells below each other.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let mut widths = vec![0; rows.first().map_or(0, Vec::len)];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut lines = Vec::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        lines.push(cells.join("  ").trim_end().to_owned());
    }
    lines.join("\n")
}

/// The cells of the table, the names of the columns first.
pub fn rows(measures: &Measures, pictures: &[(usize, PictureMeasures)], judgement: &Judgement) -> Vec<Vec<String>> {
    let mut head = vec!["snapshot", "verdict", "held out", "gap", "s*", "s* UNet", "s* TE", "plain", "trigger"];
    if !pictures.is_empty() {
        head.extend(["like", "copies", "variety", "bleed"]);
    }
    let mut rows = vec![head.into_iter().map(str::to_owned).collect()];
    for (index, (snapshot, judged)) in measures.snapshots.iter().zip(&judgement.snapshots).enumerate() {
        let mut row = row(snapshot, judged);
        if let Some((_, painted)) = pictures.iter().find(|(number, _)| *number == index) {
            row.extend(of_pictures(painted));
        }
        rows.push(row);
    }
    rows
}

fn row(snapshot: &SnapshotMeasures, judged: &Judged) -> Vec<String> {
    let score = snapshot.score();
    let held_out = if snapshot.held_out.is_empty() {
        "-".to_owned()
    } else {
        let error = if score.error.is_finite() { format!(" ± {:.0}", score.error * 100.0) } else { String::new() };
        format!("{:+.0} %{error}", percent(score.mean))
    };
    vec![
        words::moment(snapshot.saved),
        words::verdict(judged.verdict).to_owned(),
        held_out,
        format!("{:+.0} %", percent(snapshot.gap())),
        response(snapshot.whole.as_ref()),
        response(snapshot.unet.as_ref()),
        response(snapshot.te.as_ref()),
        format!("{:.2} %", snapshot.drift.plain * 100.0),
        format!("{:.2} %", snapshot.drift.trigger * 100.0),
    ]
}

fn of_pictures(painted: &PictureMeasures) -> [String; 4] {
    [share(painted.likeness), share(Some(painted.copies)), share(painted.diversity), share(painted.bleed)]
}

/// A number that may be unknown.
pub fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

/// A difference of logarithms as a share in percent.
pub fn percent(score: f64) -> f64 {
    (score.exp() - 1.0) * 100.0
}

/// The best strength and its range.
pub fn response(response: Option<&Response>) -> String {
    let Some(Response { best, interval: [low, high], still_falling, .. }) = response else { return "-".to_owned() };
    let more = if *still_falling { "+" } else { "" };
    format!("{best:.2}{more} ({low:.2}-{high:.2})")
}
