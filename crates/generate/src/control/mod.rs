//! Images that steer a picture (ControlNet): what is done to their pixels before the network sees them.
//!
//! ```text
//! preprocess    image    → map: edges, lines, a blur …
//! fit           map      → map of the painted size
//! unit          map, net → what is added to the UNet
//! unit_text     a unit's settings ↔ the text in a picture
//! ```
//!
//! Source: Mikubill's sd-webui-controlnet 1.1.455.

mod enlarged;
pub mod fit;
mod moment;
pub mod preprocess;
mod thin;
mod unit;
mod unit_text;

pub use fit::{ControlResize, cropped_as, fitted, pixel_perfect_resolution};
pub use moment::Moment;
pub use preprocess::Preprocessor;
pub use unit::{ActiveControl, ControlUnit, MapFor, PaintedPart};
pub use unit_text::UnitText;
