//! Names of pictures' files: patterns such as `[seed]-[prompt_spaces]`, what a file system does not take, numbers.
//!
//! Source: the behaviour of the web UI's `FilenameGenerator`, `sanitize_filename_part` and `get_next_sequence_number`.

mod facts;
mod numbers;
mod pattern;
mod sanitize;
mod words;

pub use facts::Facts;
pub use numbers::next_number;
pub use pattern::Pattern;
pub use sanitize::{Spaces, sanitize};
