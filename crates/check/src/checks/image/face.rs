//! `img.face`: faces that are too small to be learnt, or cut off. Needs a detector of faces.

use lorabake_tags::images::Kind;

use crate::about::{About, Threshold};
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::measure::Frame;
use crate::sight::{largest, trained};
use crate::tables::words::CLOSE;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "img.face",
        scope: Scope::Image,
        what: "faces that are too small to be learnt, or that the border of the picture or the trainer's crop cuts; by \
               --detector",
        thresholds: &[
            Threshold::new(
                "small",
                48.0,
                "a hint if the largest face is lower than so many pixels, as trained: 6 of a latent",
            ),
            Threshold::new("cut", 0.9, "a warning if less of the largest face is left by the trainer's crop"),
            Threshold::new(
                "edge",
                0.005,
                "a hint if it ends within this share of the image's side at the border, and no tag says so",
            ),
        ],
    },
    run,
};

/// Tags that tell of a face that is cut.
const CUT: &[&str] = &["out of frame", "head out of frame", "face out of frame", "cropped", "partially visible"];

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for index in set.learnt() {
        let image = &set.images[index];
        let (Some(placement), Some(face)) = (&image.placement, largest(&image.seen, Kind::Face)) else { continue };
        let size = image.item.size;
        let trained = trained(face, size, Frame::from(placement));
        let height = trained.sides[3] - trained.sides[1];
        let edge = edge_of(face.sides, size);
        let mut told = Told::default();
        if trained.inside < found.limit("cut") {
            told.level = Level::Warning;
            told.number = trained.inside;
            told.threshold = found.limit("cut");
            told.sentence = format!("the trainer's crop leaves {:.0} % of the face", 100.0 * trained.inside);
            told.remedy = "crop it yourself: lorabake images crop --detector keeps faces in the middle".to_owned();
        } else if height < found.limit("small") {
            told.number = height.round();
            told.threshold = found.limit("small");
            told.sentence =
                format!("the face is {height:.0} pixels high as it is trained, which is too few to learn it");
            told.remedy = "cut it out as an image of its own: lorabake images closeups".to_owned();
        } else if edge < found.limit("edge") && !image.caption.has_any(CLOSE) && !image.caption.has_any(CUT) {
            told.number = edge;
            told.threshold = found.limit("edge");
            told.sentence = "the face ends at the border of the image".to_owned();
            told.remedy = "a version that is not cut, or a tag that says so (close-up, out of frame)".to_owned();
        } else {
            continue;
        }
        found.image(index, told);
    }
}

/// How far from the border a box is, as a share of the image's side: the nearest of its four sides.
fn edge_of(sides: [f64; 4], size: (u32, u32)) -> f64 {
    let [width, height] = [f64::from(size.0.max(1)), f64::from(size.1.max(1))];
    let [left, top, right, bottom] = sides;
    (left / width).min(top / height).min(1.0 - right / width).min(1.0 - bottom / height)
}
