//! What is seen in pictures, by networks that users bring as ONNX files: tags, and where faces are.
//!
//! ```text
//! tagger     picture → a score for each tag → words of a caption
//! detector   picture → boxes and masks of what was found
//! ```
//!
//! Not here: the runtime (`onnx`), captions as files (`tags`), what is painted over a face (`generate`). Nothing is written
//! but scores, and nothing printed.

pub mod detector;
pub mod error;
mod read_text;
pub mod tagger;

pub use error::Error;
