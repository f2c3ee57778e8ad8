//! Has detectors look at the images of a set, each once.

use lorabake_pixels::decode;

use crate::gather::{Progress, Set};
use crate::sight::Detector;
use crate::sight::cache::SeenBefore;

/// What is kept of a detector's finds: all that is surer than this, so that `--confidence` can be moved.
const LEAST: f64 = 0.1;

/// Has `detector` look at all images, one after the other; `tell` is told after each, and `stop` asked before each: once it
/// says so, `None` is returned. What was seen is kept where measures are kept.
///
/// # Errors
/// When the detector cannot be computed.
pub fn look(
    set: &mut Set<'_>,
    detector: &Detector<'_>,
    tell: &dyn Fn(Progress),
    stop: &dyn Fn() -> bool,
) -> Result<Option<()>, String> {
    let mut before = SeenBefore::open(set.wanted.cache.as_deref(), &detector.key);
    let least = LEAST.min(detector.confidence);
    let all = set.images.len();
    for index in 0..all {
        if stop() {
            return Ok(None);
        }
        let image = &mut set.images[index];
        // Without a hash it could not be decoded.
        if let Some(content) = image.content.clone() {
            let seen = match before.of(&content, least) {
                Some(seen) => seen.to_vec(),
                None => {
                    let Ok(decoded) = decode(&image.item.path) else { continue };
                    let seen = (detector.find)(&decoded.image, least)?;
                    before.add(&content, least, seen.clone());
                    seen
                }
            };
            image.seen.extend(seen.into_iter().filter(|one| one.score > detector.confidence));
        }
        tell(Progress { done: index + 1, all });
    }
    set.looked_for.extend(detector.kinds.iter().copied());
    Ok(Some(()))
}
