//! Image folders and captions in, ordered batches of pixels and captions out; no tensors.
//!
//! ```text
//! scan::scan         folders            → Dataset (items, what is left out and why, warnings)
//! bucket::Layout     item sizes         → one Placement per item (bucket, resize, crop)
//! plan::Plan         uses, buckets      → the batches of an epoch, a function of (seed, epoch) only
//! image::load        item + placement   → Pixels in [-1, 1]
//! caption::draw      item caption       → the prompt of one use
//! facts, report      all of the above   → metadata, text for the terminal
//! ```
//!
//! The rules are those of kohya's sd-scripts (`library/train_util.py`, `config_util.py`, commit 48d368fa), so that a
//! folder made for it gives the same pixels, buckets, repeats and steps. Where this crate differs, the file says so.

pub mod bucket;
pub mod caption;
pub mod facts;
pub mod image;
mod misplaced;
pub mod plan;
pub mod probe;
pub mod problem;
pub mod report;
mod resize;
pub mod scan;

pub use problem::{Error, Errors, Fault, Problem, Reason};
pub use scan::{Dataset, Folder, Item, scan};
