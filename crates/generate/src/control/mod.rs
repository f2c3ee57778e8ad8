//! Images that steer a picture (ControlNet): what is done to their pixels before the network sees them.
//!
//! ```text
//! preprocess    image    → map: edges, lines, a blur …
//! fit           map      → map of the painted size
//! ```
//!
//! Source: Mikubill's sd-webui-controlnet 1.1.455. No tensors here.

pub mod fit;
pub mod preprocess;
mod thin;

pub use fit::{ControlResize, fitted};
pub use preprocess::Preprocessor;
