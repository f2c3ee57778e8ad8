//! A detector in an ONNX file, of the form that YOLOv8 and its relatives are exported to.
//!
//! The form is told by the shapes of what it gives, and by what ultralytics writes into the file (`names`). Understood are
//! [1, 4 + classes (+ masks), boxes] as exported, the same the other way round, YOLOv5's with a score of its own for each box,
//! and [1, boxes, 6 (+ masks)] of files that choose among their boxes themselves.

use std::path::Path;

use lorabake_onnx::{Network, Side, Values};
use lorabake_pixels::{Gray, Rgb};

use super::boxes::{Candidate, Detection, Kept, kept};
use super::letterbox::{Pixels, Shape, letterboxed, placed};
use super::masks::Prototypes;
use super::writing;
use crate::error::{Error, Name};

/// The side of the input if the file takes any.
const USUAL_SIDE: usize = 640;
/// Of two boxes of one class that overlap by more, the likelier stays (ultralytics' default).
const IOU: f32 = 0.7;
/// Sides and a score, and its class.
const CHOSEN: usize = 6;
/// Files that choose among their boxes give no more; cells are more.
const MOST_CHOSEN: usize = 1000;
const SIDES: usize = 4;

/// A detector that can be asked.
#[derive(Debug)]
pub struct Detector {
    network: Network,
    names: Vec<String>,
    form: Form,
}

/// What a network gives.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// Boxes.
    Boxes(Boxes),
    /// A map of writing.
    Writing,
}

/// A network that gives boxes.
#[derive(Debug, Clone, Copy)]
struct Boxes {
    /// The side of its input.
    side: usize,
    /// The output with the boxes.
    output: usize,
    /// That with the prototypes of outlines.
    prototypes: Option<usize>,
}

/// Something that was found, with its outline if the detector tells outlines.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its box, in pixels of the picture.
    pub detection: Detection,
    /// 255 where it is, at the picture's size.
    pub mask: Option<Gray>,
}

/// What a network gave for one picture, before it is understood.
struct Given<'a> {
    boxes: &'a Values,
    prototypes: Option<&'a Values>,
    image: &'a Pixels,
    boxed: &'a Pixels,
}

impl Detector {
    /// Opens the detector in the ONNX file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or is no detector of this form.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let network = Network::open(path)?;
        if writing::is_writing(&network) {
            return Ok(Self { network, names: vec![writing::CLASS.to_owned()], form: Form::Writing });
        }
        let refused = |what: &str| {
            let what = format!("{what}; name a YOLOv8 detector, such as face_yolov8n.onnx");
            Err(Error::of(path, what))
        };
        let [input] = network.inputs() else {
            return refused("it has several inputs, and detectors have one, a picture");
        };
        let side = match input.shape.as_deref() {
            None => USUAL_SIDE,
            Some([_, Side::Fixed(3) | Side::Free, Side::Fixed(height), Side::Fixed(width)]) if height == width => {
                *width
            }
            Some([_, Side::Fixed(3) | Side::Free, Side::Free, Side::Free]) => imgsz(&network),
            Some([_, Side::Fixed(3), Side::Fixed(height), Side::Fixed(width)]) => {
                let what = format!("its input is {width} × {height} pixels; export it with a square one (imgsz=640)");
                return Err(Error::of(path, what));
            }
            Some(_) => return refused("its input is no picture"),
        };
        if !(32..=2048).contains(&side) {
            return refused("its input has sides that make no sense");
        }
        if let Some(task) = network.metadata("task").filter(|task| !["detect", "segment", "pose"].contains(task)) {
            return refused(&format!("it was made to `{}`, not to detect", Name(task)));
        }
        let (mut boxes, mut prototypes) = (None, None);
        for (index, output) in network.outputs().iter().enumerate() {
            match output.shape.as_ref().map(Vec::len) {
                Some(3) => boxes = boxes.or(Some(index)),
                Some(4) => prototypes = prototypes.or(Some(index)),
                _ => {}
            }
        }
        let Some(output) = boxes else { return refused("it gives no list of boxes") };
        let names = network.metadata("names").map(class_names).unwrap_or_default();
        Ok(Self { network, names, form: Form::Boxes(Boxes { side, output, prototypes }) })
    }

    /// What its classes are called, by number; empty if the file does not say.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What is found in a picture with more than this score (0 to 1), the likeliest first.
    ///
    /// # Errors
    /// When it cannot be computed, or what it gives is not understood.
    pub fn detect(&self, picture: &Rgb, confidence: f32) -> Result<Vec<Found>, Error> {
        let image =
            Pixels { width: picture.width as usize, height: picture.height as usize, rgb: picture.data.clone() };
        if image.width == 0 || image.height == 0 {
            return Ok(Vec::new());
        }
        let Form::Boxes(Boxes { side, output, prototypes }) = self.form else {
            let found = writing::detect(&self.network, picture, confidence)?;
            return Ok(found.into_iter().map(|detection| Found { detection, mask: None }).collect());
        };
        let boxed = letterboxed(&image, side, Shape::Square);
        let mut values = Vec::with_capacity(boxed.rgb.len());
        for color in 0..3 {
            values.extend(boxed.rgb.iter().skip(color).step_by(3).map(|byte| f32::from(*byte) / 255.0));
        }
        let values = Values { shape: vec![1, 3, boxed.height, boxed.width], values };
        let mut outputs = vec![output];
        outputs.extend(prototypes);
        let all = self.network.run_all(values, &outputs)?;
        let given = Given { boxes: &all[0], prototypes: all.get(1), image: &image, boxed: &boxed };
        self.understood(&given, confidence)
    }

    fn understood(&self, given: &Given<'_>, confidence: f32) -> Result<Vec<Found>, Error> {
        let strange = || {
            let shape: Vec<String> = given.boxes.shape.iter().map(usize::to_string).collect();
            let what = format!(
                "it gives boxes as {}, which is not understood; export it again by ultralytics",
                shape.join(" × ")
            );
            Error::of(self.network.path(), what)
        };
        let [1, rows, columns] = given.boxes.shape[..] else { return Err(strange()) };
        let prototypes = given.prototypes.and_then(prototypes_of);
        let masks = prototypes.map_or(0, |prototypes| prototypes.count);
        if columns == CHOSEN + masks && rows <= MOST_CHOSEN {
            return Ok(self.chosen(given, prototypes, confidence));
        }
        let cells = Cells::of(given.boxes, [rows, columns], self.names.len(), masks).ok_or_else(strange)?;
        let mut found = Vec::new();
        for Kept { detection, candidate } in kept(&cells.candidates, confidence, IOU) {
            let coefficients = &cells.coefficients[candidate * masks..][..masks];
            found.push(one(given, prototypes, detection, coefficients));
        }
        Ok(found)
    }

    /// Boxes that the file has chosen itself: sides, score, class.
    fn chosen(&self, given: &Given<'_>, prototypes: Option<Prototypes<'_>>, confidence: f32) -> Vec<Found> {
        let masks = prototypes.map_or(0, |prototypes| prototypes.count);
        let mut found = Vec::new();
        for row in given.boxes.values.chunks_exact(CHOSEN + masks) {
            let detection =
                Detection { sides: [row[0], row[1], row[2], row[3]], score: row[4], class: row[5].max(0.0) as usize };
            if detection.score > confidence {
                found.push(one(given, prototypes, detection, &row[CHOSEN..]));
            }
        }
        found.sort_by(|one, other| other.detection.score.total_cmp(&one.detection.score));
        found
    }
}

/// One box at its place in the picture, with its mask.
fn one(given: &Given<'_>, prototypes: Option<Prototypes<'_>>, detection: Detection, coefficients: &[f32]) -> Found {
    let mask = prototypes.map(|all| all.mask(coefficients, detection.sides, given.image, given.boxed));
    let sides = placed(detection.sides, given.image, given.boxed);
    Found { detection: Detection { sides, ..detection }, mask }
}

/// What each cell says, and its shares of the prototypes.
struct Cells {
    candidates: Vec<Candidate>,
    coefficients: Vec<f32>,
}

impl Cells {
    /// Of values of the shape [rows, columns]; the longer side are the cells. `None` if there is no class in it.
    fn of(values: &Values, shape: [usize; 2], names: usize, masks: usize) -> Option<Self> {
        let [rows, columns] = shape;
        let is_turned = rows > columns;
        let [cells, parts] = if is_turned { [rows, columns] } else { [columns, rows] };
        let at = |cell: usize, part: usize| {
            if is_turned { values.values[cell * columns + part] } else { values.values[part * columns + cell] }
        };
        let beside = parts.checked_sub(SIDES + masks)?;
        // YOLOv5 has a score for the box itself before those of its classes.
        let has_own_score = names > 0 && beside == names + 1;
        let first = if has_own_score { SIDES + 1 } else { SIDES };
        let classes = if names > 0 { names } else { beside };
        if classes == 0 || first + classes + masks > parts {
            return None;
        }
        let mut candidates = Vec::with_capacity(cells);
        let mut coefficients = Vec::with_capacity(cells * masks);
        for cell in 0..cells {
            let own = if has_own_score { at(cell, SIDES) } else { 1.0 };
            candidates.push(Candidate {
                center: [at(cell, 0), at(cell, 1)],
                size: [at(cell, 2), at(cell, 3)],
                scores: (first..first + classes).map(|part| own * at(cell, part)).collect(),
            });
            coefficients.extend((first + classes..first + classes + masks).map(|part| at(cell, part)));
        }
        Some(Self { candidates, coefficients })
    }
}

fn prototypes_of(values: &Values) -> Option<Prototypes<'_>> {
    let [1, count, height, width] = values.shape[..] else { return None };
    if count == 0 || height == 0 || width == 0 {
        return None;
    }
    Some(Prototypes { values: &values.values, count, height, width })
}

/// The side that ultralytics wrote into the file, as `[640, 640]`.
fn imgsz(network: &Network) -> usize {
    let text = network.metadata("imgsz").unwrap_or_default();
    let first = text.trim_start_matches('[').split([',', ']']).next().unwrap_or_default();
    first.trim().parse().unwrap_or(USUAL_SIDE)
}

/// The names of classes by number, from a dict of Python, `{0: 'face', 1: "a 'b'"}`.
fn class_names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(['\'', '"']) {
        let quote = if rest[start..].starts_with('"') { '"' } else { '\'' };
        let inner = &rest[start + 1..];
        let Some(end) = inner.find(quote) else { break };
        names.push(Name(&inner[..end]).to_string());
        rest = &inner[end + 1..];
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_a_dict_of_python() {
        assert_eq!(class_names("{0: 'face', 1: \"dog's\"}"), ["face", "dog's"]);
        assert!(class_names("{0: 'fa").is_empty());
    }

    #[test]
    fn cells_are_read_in_either_order_and_with_a_score_of_their_own() {
        let values = |shape: Vec<usize>, values: Vec<f32>| Values { shape, values };
        let upright = values(vec![1, 5, 6], (0..30).map(|number| number as f32).collect());
        let cells = Cells::of(&upright, [5, 6], 1, 0).unwrap();
        assert_eq!(cells.candidates[1].center, [1.0, 7.0]);
        assert_eq!(cells.candidates[1].scores, [25.0]);
        let turned = values(vec![1, 7, 6], (0..42).map(|number| number as f32 / 10.0).collect());
        let cells = Cells::of(&turned, [7, 6], 1, 0).unwrap();
        assert_eq!(cells.candidates[1].scores, [1.0 * 1.1]);
        // Points of a pose follow the classes and are passed over.
        assert_eq!(Cells::of(&turned, [7, 6], 0, 0).unwrap().candidates[0].scores.len(), 2);
        assert!(Cells::of(&turned, [7, 6], 3, 0).is_none());
        assert!(Cells::of(&values(vec![1, 4, 6], vec![0.0; 24]), [4, 6], 0, 0).is_none());
    }
}
