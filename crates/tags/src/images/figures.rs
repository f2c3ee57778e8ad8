//! What detectors find of figures, and the cuts that follow from it: portraits, upper bodies, whole figures.
//!
//! The three kinds of cuts are those of waifuc's `ThreeStageSplitAction` (person, half body, head, the latter 1.5 times as
//! large as its box). Detectors of faces alone are more common; the cuts around a face are ours, after where a face lies in
//! drawn figures, and were not measured on a set of its own.

use lorabake_data::Size;
use serde::{Deserialize, Serialize};

/// What a detector has found something to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A face, from the brows to the chin.
    Face,
    /// A head with its hair.
    Head,
    /// A figure down to its waist.
    HalfBody,
    /// A figure, as much of it as is in the picture.
    Person,
    /// A hand.
    Hand,
    /// Letters, a watermark, a signature.
    Writing,
    /// Something else.
    Other,
}

impl Kind {
    /// The kind that a class of this name is; detectors without names are taken for such of faces.
    pub fn of_class(name: &str) -> Self {
        let name = name.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        match name.as_str() {
            "" => Self::Face,
            _ if has(&["face"]) => Self::Face,
            _ if has(&["head"]) => Self::Head,
            _ if has(&["half", "upper"]) => Self::HalfBody,
            _ if has(&["watermark", "text", "signature", "logo", "writing"]) => Self::Writing,
            _ if has(&["person", "people", "human", "girl", "boy", "character", "body", "figure"]) => Self::Person,
            "man" | "woman" | "men" | "women" => Self::Person,
            _ if has(&["hand"]) => Self::Hand,
            _ => Self::Other,
        }
    }

    /// Whether one of it is one figure.
    pub fn is_figure(self) -> bool {
        matches!(self, Self::Face | Self::Head | Self::HalfBody | Self::Person)
    }
}

/// Something that was found in an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// What it is.
    pub kind: Kind,
    /// Left, top, right and bottom in pixels of the image, upright.
    pub sides: [f64; 4],
    /// How likely it is, 0 to 1.
    pub score: f64,
}

impl Seen {
    /// Width and height in pixels.
    pub fn extent(&self) -> [f64; 2] {
        let [left, top, right, bottom] = self.sides;
        [(right - left).max(0.0), (bottom - top).max(0.0)]
    }

    /// Column and row of the middle.
    pub fn middle(&self) -> [f64; 2] {
        let [left, top, right, bottom] = self.sides;
        [(left + right) / 2.0, (top + bottom) / 2.0]
    }
}

/// A near view of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    /// Head and shoulders.
    Portrait,
    /// Down to the waist.
    UpperBody,
    /// The figure by itself.
    FullBody,
}

/// Where a view lies around what was found.
struct Frame {
    /// Width and height, in longer sides of the box, or in its own sides.
    extent: [f64; 2],
    /// Whether the extent is that of the box's own sides.
    is_by_side: bool,
    /// The share of the view's height that is above the middle of the box.
    above: f64,
}

impl View {
    /// What the view is called in files' names and tags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portrait => "portrait",
            Self::UpperBody => "upper body",
            Self::FullBody => "full body",
        }
    }

    /// Whether the view can be cut around such a thing.
    pub fn is_around(self, kind: Kind) -> bool {
        self.frame(kind).is_some()
    }

    fn frame(self, kind: Kind) -> Option<Frame> {
        let around = |extent: [f64; 2], above: f64| Some(Frame { extent, is_by_side: false, above });
        // Around a whole box there is a little room.
        let whole = Some(Frame { extent: [1.1, 1.1], is_by_side: true, above: 0.5 });
        match (self, kind) {
            (Self::Portrait, Kind::Face) => around([2.6, 2.6], 0.46),
            (Self::Portrait, Kind::Head) => around([1.5, 1.5], 0.5),
            (Self::UpperBody, Kind::Face) => around([4.2, 5.0], 0.27),
            (Self::UpperBody, Kind::Head) => around([2.6, 3.1], 0.27),
            (Self::UpperBody, Kind::HalfBody) | (Self::FullBody, Kind::Person) => whole,
            _ => None,
        }
    }

    /// The cut of this view around `seen` in an image of `size`: moved into the image, and no larger than it. `None` if it
    /// cannot be cut around such a thing.
    pub fn cut(self, seen: &Seen, size: Size) -> Option<Cut> {
        let Frame { extent, is_by_side, above } = self.frame(seen.kind)?;
        let [width, height] = seen.extent();
        let longer = width.max(height);
        let wanted =
            if is_by_side { [width * extent[0], height * extent[1]] } else { extent.map(|side| side * longer) };
        let [x, y] = seen.middle();
        let across = span(x - wanted[0] / 2.0, wanted[0], size.0);
        let down = span(y - wanted[1] * above, wanted[1], size.1);
        Some(Cut { at: (across.start, down.start), size: (across.length, down.length) })
    }
}

/// A part of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Column and row at which it begins.
    pub at: (u32, u32),
    /// Its width and height.
    pub size: Size,
}

impl Cut {
    /// The share of an image of `size` that it is.
    pub fn share(&self, size: Size) -> f64 {
        let area = |size: Size| f64::from(size.0) * f64::from(size.1);
        area(self.size) / area(size).max(1.0)
    }
}

struct Span {
    start: u32,
    length: u32,
}

/// Pixels from `start` on along a side, moved so that all lie within it.
fn span(start: f64, length: f64, side: u32) -> Span {
    let length = (length.round().max(1.0) as u32).min(side.max(1));
    let start = (start.round().max(0.0) as u32).min(side.saturating_sub(length));
    Span { start, length }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(kind: Kind, sides: [f64; 4]) -> Seen {
        Seen { kind, sides, score: 0.9 }
    }

    #[test]
    fn views_lie_around_faces_and_within_the_image() {
        let face = seen(Kind::Face, [450.0, 200.0, 550.0, 300.0]);
        let cut = View::Portrait.cut(&face, (1000, 1500)).unwrap();
        assert_eq!(cut, Cut { at: (370, 130), size: (260, 260) });
        let cut = View::UpperBody.cut(&face, (1000, 1500)).unwrap();
        assert_eq!(cut, Cut { at: (290, 115), size: (420, 500) });
        // Moved in at the corner, and no larger than the image.
        let corner = seen(Kind::Face, [0.0, 0.0, 100.0, 100.0]);
        assert_eq!(View::Portrait.cut(&corner, (1000, 200)).unwrap(), Cut { at: (0, 0), size: (260, 200) });
        assert_eq!(View::FullBody.cut(&face, (1000, 1500)), None);
        let person = seen(Kind::Person, [100.0, 100.0, 200.0, 500.0]);
        assert_eq!(View::FullBody.cut(&person, (1000, 1500)).unwrap(), Cut { at: (95, 80), size: (110, 440) });
        let nothing = seen(Kind::Face, [f64::NAN; 4]);
        assert_eq!(View::Portrait.cut(&nothing, (10, 10)).unwrap().size, (1, 1));
    }

    #[test]
    fn classes_are_known_by_their_names() {
        for (name, kind) in [
            ("", Kind::Face),
            ("face", Kind::Face),
            ("anime_face", Kind::Face),
            ("head", Kind::Head),
            ("halfbody", Kind::HalfBody),
            ("person", Kind::Person),
            ("Woman", Kind::Person),
            ("hand", Kind::Hand),
            ("watermark", Kind::Writing),
            ("cat", Kind::Other),
        ] {
            assert_eq!(Kind::of_class(name), kind, "{name}");
        }
    }
}
