//! Captions of a data set and their tags, and every change of its files, which goes through a journal and can be undone.
//!
//! ```text
//! text                what a tag is, when two are the same
//! caption_file        caption file   → its tags, byte for byte what it was where nothing is asked
//! activation          the tags that call what is trained: always first
//! set                 a folder        → its captions
//! filter              which of them
//! counts              how many have a tag
//! change              what is done to their tags
//! images              edits of images
//! journal             changes of files → done or not at all, undone and done again
//! ```
//!
//! Every program that writes captions does it so: load a [`CaptionFile`], change its tags, call [`CaptionFile::keep_first`],
//! and hand [`CaptionFile::edit`] to [`Journal::apply`]. Nothing here prints or needs a tokenizer.

mod error;

pub mod text;

pub mod activation;
pub mod caption_file;

pub mod set;

pub mod filter;

pub mod counts;

pub mod change;

pub mod journal;

pub mod images;

pub use activation::Activation;
pub use caption_file::{CaptionFile, Kind};
pub use change::Change;
pub use counts::Counts;
pub use error::Error;
pub use filter::Filter;
pub use journal::{Edit, Journal};
pub use set::{CaptionSet, Reading};
