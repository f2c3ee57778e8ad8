//! What models see in the images that are checked: detectors that the user names, and the scores that a tagger has left.

use std::path::Path;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, anyhow};
use lorabake_check::sight::scores::ScoreOf;
use lorabake_check::{Detector, Set, TagScores, look};
use lorabake_vision::tagger::{Category, Kept};
use sha2::{Digest, Sha256};

use super::Args;
use crate::detector::Eyes;
use crate::progress::Counter;
use crate::stop;

/// A detector, and what tells it from others.
pub struct Named {
    eyes: Eyes,
    key: String,
}

/// The detectors that are asked for.
///
/// # Errors
/// When one is missing, or none.
pub fn detectors(args: &Args) -> Result<Vec<Named>> {
    let mut all = Vec::new();
    for path in &args.detector {
        let eyes = Eyes::open(path, args.confidence, &[])?;
        let bytes = std::fs::read(path).with_context(|| format!("--detector {}", path.display()))?;
        all.push(Named { eyes, key: format!("{:x}", Sha256::digest(bytes)) });
    }
    Ok(all)
}

/// Has all detectors look at a set; whether they came to its end.
///
/// # Errors
/// When one cannot be computed.
pub fn see(set: &mut Set<'_>, detectors: &[Named]) -> Result<bool> {
    let wished = stop::wished()?;
    for Named { eyes, key } in detectors {
        let find = |picture: &lorabake_pixels::Rgb, least: f64| {
            let found = eyes.areas_surer_than(picture, least).map_err(|why| format!("{why:#}"))?;
            Ok(found.iter().map(|area| eyes.seen(area)).collect())
        };
        let detector = Detector { key: key.clone(), kinds: eyes.kinds(), confidence: eyes.confidence(), find: &find };
        let counter = std::cell::RefCell::new(Counter::new("looking for figures", set.images.len() as u64));
        let tell = |progress: lorabake_check::Progress| counter.borrow_mut().set(progress.done as u64, String::new());
        let done = look(set, &detector, &tell, &|| wished.load(Ordering::Relaxed));
        counter.into_inner().clear();
        if done.map_err(|why| anyhow!("--detector: {why}"))?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The scores in a file that `lorabake tag --scores` has written: of what is seen, of characters and of works.
///
/// # Errors
/// When it cannot be read.
pub fn scores(path: &Path) -> Result<TagScores> {
    let mut scores = TagScores::default();
    for row in Kept::rows_in(path).context("--scores")? {
        let is_seen = |category| matches!(category, Category::General | Category::Character | Category::Copyright);
        let tags = row.scores.tags.iter().filter(|tag| is_seen(tag.category));
        scores.add(&row.key, tags.map(|tag| ScoreOf { tag: &tag.name, score: f64::from(tag.score) }));
    }
    Ok(scores)
}
