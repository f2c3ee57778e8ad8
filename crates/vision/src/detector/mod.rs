//! Detectors: where in a picture are faces, hands, people, writing.
//!
//! ```text
//! network     .onnx file → Detector; picture → Found: boxes, and masks if the file tells outlines
//! letterbox   a picture with grey around it, as detectors see it; boxes back to their places
//! boxes       what cells say → boxes that stay
//! writing     PP-OCR's detector of text, which gives a map
//! masks       prototypes → the mask of a box
//! ```

mod boxes;
mod letterbox;
mod masks;
mod network;
mod writing;

pub use boxes::{Candidate, Detection, suppressed};
pub use letterbox::{Pixels, STRIDE, Shape, letterboxed, placed};
pub use network::{Detector, Found};
