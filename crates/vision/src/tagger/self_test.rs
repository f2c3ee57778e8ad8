//! Whether a tagger's file works here: what is in it, what it gives for a picture that is drawn for it, how long that takes.

use std::path::Path;
use std::time::Instant;

use lorabake_pixels::Rgba;

use super::{Category, Scores, Tagger};
use crate::error::Error;

/// How many tags are told.
const TOLD: usize = 10;

/// What was found.
#[derive(Debug, Clone)]
pub struct SelfTest {
    /// What is told of the file, a line each.
    pub lines: Vec<String>,
}

impl SelfTest {
    /// Tries the tagger at `path` with a drawn picture.
    ///
    /// # Errors
    /// As for [`Tagger::open`] and [`Tagger::scores`].
    pub fn of(path: &Path) -> Result<Self, Error> {
        let began = Instant::now();
        let tagger = Tagger::open(path, None)?;
        let opened = began.elapsed().as_secs_f64();
        let mut lines = tagger.described();
        lines.push(format!("opened in {opened:.1} s"));
        let prepared = tagger.prepare(&sample_picture());
        let began = Instant::now();
        let values = tagger.scores(std::slice::from_ref(&prepared))?.remove(0);
        lines.push(format!("one picture in {:.2} s", began.elapsed().as_secs_f64()));
        let lowest = values.iter().copied().fold(f32::INFINITY, f32::min);
        let highest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        lines.push(format!("scores of a drawn picture: {lowest:.4} to {highest:.4}"));
        let mut scores = Scores::of(&tagger.contract().labels, &values);
        scores.tags.sort_by(|one, other| other.score.total_cmp(&one.score));
        for tag in scores.tags.iter().take(TOLD) {
            lines.push(format!("  {:.4}  {} ({})", tag.score, tag.name, tag.category.name()));
        }
        Ok(Self { lines })
    }
}

impl Tagger {
    /// What it is, for people, a line each.
    fn described(&self) -> Vec<String> {
        let contract = self.contract();
        let listing = self.network().listing();
        let mut lines =
            vec![format!("{}: {}, by {}", self.network().path().display(), contract.family, contract.by.display())];
        lines.push(format!("made by: {}", listing.producer.as_deref().unwrap_or("unknown")));
        let mut sets = Vec::new();
        for (name, version) in &listing.opsets {
            sets.push(if name.is_empty() { format!("opset {version}") } else { format!("{name} {version}") });
        }
        lines.push(format!("operators: {}", sets.join(", ")));
        let operators: Vec<String> = listing.operators.iter().map(|(name, count)| format!("{name} {count}")).collect();
        lines.push(format!("  {}", operators.join(", ")));
        lines.push(format!("weights: {:.1} million", self.network().weights() as f64 / 1e6));
        for (what, ports) in [("input", self.network().inputs()), ("output", self.network().outputs())] {
            for port in ports {
                lines.push(format!("{what}: {port}"));
            }
        }
        let output = &self.network().outputs()[contract.output].name;
        lines.push(format!("a picture as it is seen: {} × {}", contract.size.0, contract.size.1));
        for stage in &contract.stages {
            lines.push(format!("  {stage}"));
        }
        lines.push(format!("  {}", contract.numbers));
        lines.push(format!("scores: output `{output}`, {}", contract.activation));
        let mut kinds = Vec::new();
        for category in Category::ALL {
            let count = contract.labels.iter().filter(|label| label.category == category).count();
            if count > 0 {
                kinds.push(format!("{count} {}", category.name()));
            }
        }
        lines.push(format!("tags: {} ({})", contract.labels.len(), kinds.join(", ")));
        lines
    }
}

/// A drawn picture, the same everywhere: a sun over a hill.
pub fn sample_picture() -> Rgba {
    const SIDE: i64 = 256;
    let mut data = Vec::new();
    for y in 0..SIDE {
        for x in 0..SIDE {
            let is_sun = (x - 180).pow(2) + (y - 70).pow(2) < 40 * 40;
            let is_hill = y > 200 - (x - 100).abs() / 3;
            let sky = (150 + y / 4) as u8;
            let color = match (is_sun, is_hill) {
                (_, true) => [60, 140, 70, 255],
                (true, _) => [250, 210, 70, 255],
                _ => [110, sky, 240, 255],
            };
            data.extend_from_slice(&color);
        }
    }
    Rgba { width: SIDE as u32, height: SIDE as u32, data }
}
