//! Captions of a data set and their tags, and every change of its files, which goes through a journal and can be undone.
//!
//! ```text
//! text                what a tag is, when two are the same
//! caption_file        caption file   → its tags, byte for byte what it was where nothing is asked
//! activation          the tags that call what is trained: always first
//! journal             changes of files → done or not at all, undone and done again
//! ```
//!
//! Every program that writes captions does it so: load a [`CaptionFile`], change its tags, call [`CaptionFile::keep_first`],
//! and hand [`CaptionFile::edit`] to [`Journal::apply`]. Nothing here prints, decodes images or needs a tokenizer.

mod error;

pub mod text;

pub mod activation;
pub mod caption_file;

pub mod journal;

pub use activation::Activation;
pub use caption_file::{CaptionFile, Kind};
pub use error::Error;
pub use journal::{Edit, Journal};
