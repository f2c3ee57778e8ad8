//! Networks in ONNX files, which users bring: opened, described, computed on the processor.
//!
//! ```text
//! network   .onnx file → Network: its inputs and outputs; values in → values out
//! bounds    what a file would make the runtime do, bounded before it does it
//! listing   what a file says of itself: operators, their versions, the program that made it
//! error     what may be wrong with a file, one line each
//! ```
//!
//! The runtime is rten (MIT or Apache, Rust alone). No type of it is seen outside, so that another may take its place.
//! Not here: what values mean (pictures, tags), which the crate knows that asks.

mod bounds;
mod error;
mod listing;
mod network;
mod own_thread;

pub use error::Error;
pub use listing::Listing;
pub use network::{Network, Port, Side, Values};
