//! Image folders and captions in, ordered batches of pixels and captions out; no tensors.
//!
//! ```text
//! scan::scan         folders            → Dataset (items, what is left out and why, warnings)
//! bucket::Layout     item sizes         → one Placement per item (bucket, resize, crop)
//! plan::Plan         uses, buckets      → the batches of an epoch, a function of (seed, epoch) only
//! view::Source       item + placement   → the View (pixels, mask) of one use
//! caption::draw      item caption       → the prompt of one use
//! emphasis::parse    prompt             → its parts with their weights
//! facts, report      all of the above   → metadata, text for the terminal
//! ```
//!
//! The rules are those of kohya's sd-scripts (`library/train_util.py`, `config_util.py`, commit 48d368fa), so that a
//! folder made for it gives the same pixels, buckets, repeats and steps. Where this crate differs, the file says so.

pub mod bucket;
pub mod caption;
mod caption_files;
pub mod color;
pub mod emphasis;
pub mod face;
pub mod facts;
mod hold_out;
pub mod image;
pub mod mask;
mod misplaced;
pub mod plan;
pub mod probe;
pub mod problem;
mod reg;
pub mod report;
mod resize;
pub mod scan;
pub mod view;

pub use problem::{Error, Errors, Fault, Problem, Reason};
pub use scan::{Dataset, Folder, Item, scan};
