//! Networks in ONNX files, which users bring: opened, described, computed on the processor.
//!
//! ```text
//! network   .onnx file → Network: its inputs and outputs; values in → values out
//! listing   what a file says of itself: operators, their versions, the program that made it
//! error     what may be wrong with a file, one line each
//! ```
//!
//! The runtime is rten (MIT or Apache, Rust alone). No type of it is seen outside, so that another may take its place.
//! Not here: what values mean (pictures, tags), which the crate knows that asks.

mod error;
mod listing;
mod network;

pub use error::Error;
pub use listing::Listing;
pub use network::{Network, Port, Side, Values};
