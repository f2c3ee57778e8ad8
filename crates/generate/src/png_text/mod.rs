//! The text that the AUTOMATIC1111 web UI keeps in a picture: prompt, negative prompt, and a line of settings.
//!
//! [`Fields`] → [`Fields::text`] → [`parse`] → [`Parsed`] → [`PictureSettings`]. Not here: the files that hold the text (`picture_file`). The
//! rules are those of the web UI's `create_infotext` and `parse_generation_parameters` (1.10), found by experiment.

mod entries;
mod fields;
mod python;
mod quote;
mod read;
mod settings;
mod version;

pub use entries::{Entries, Entry};
pub use fields::{Fields, OUR_VERSION, Variation};
pub use python::Value;
pub(crate) use python::float_text;
pub use quote::{quote, unquote};
pub use read::{Parsed, parse};
pub use settings::{HiresSettings, MaskSettings, NamedHash, PictureSettings, SamplingSettings};
