//! Detectors: where in a picture are faces, hands, people.
//!
//! ```text
//! network     .onnx file → Detector; picture → Found: boxes, and masks if the file tells outlines
//! letterbox   a picture with grey around it, as detectors see it; boxes back to their places
//! boxes       what cells say → boxes that stay
//! masks       prototypes → the mask of a box
//! ```

mod boxes;
mod letterbox;
mod masks;
mod network;

pub use boxes::{Candidate, Detection, suppressed};
pub use letterbox::{Pixels, STRIDE, Shape, letterboxed, placed};
pub use network::{Detector, Found};
