//! Image folders and captions in, ordered batches of pixels and captions out; no tensors.
//!
//! ```text
//! scan::scan               folders            → Dataset (items, what is left out and why, warnings)
//! bucket::Layout           item sizes         → one Placement per item (bucket, resize, crop)
//! epoch_order::EpochOrder  uses, buckets      → the batches of an epoch, a function of (seed, epoch) only
//! image::view::Source      item + placement   → the View (pixels, mask) of one use
//! caption::draw            item caption       → the prompt of one use
//! caption::emphasis        prompt             → its parts with their weights
//! facts, report            all of the above   → metadata, the DatasetReport that a user reads before training
//! ```
//!
//! The rules are those of kohya's sd-scripts (`library/train_util.py`, `config_util.py`, commit 48d368fa), so that a
//! folder made for it gives the same pixels, buckets, repeats and steps. Where this crate differs, the file says so.

pub mod size;

pub mod error;
mod paths;
pub mod problem;

pub mod dataset;
pub mod scan;

pub mod bucket;
pub mod epoch_order;

pub mod caption;
pub mod image;

pub mod facts;
pub mod report;

pub use dataset::{Dataset, Folder, Item, LeftOut};
pub use error::{Error, Errors};
pub use paths::{comparable_path, full as full_path};
pub use problem::{Problem, Reason};
pub use report::DatasetReport;
pub use scan::scan;
pub use size::Size;
