//! Is this LoRA good, which snapshot is the best, and what should the next bake change?
//!
//! ```text
//! features       a picture → what the base sees in it, and distances between pictures
//! runs           a folder and a name → the snapshots of a run, in the order in which they were saved
//! ```
//!
//! What is found out is plain data; words for a screen are made in `cli`. Not here: painting (`generate`), training.

pub mod features;
pub mod runs;
