//! What of a picture is painted again by itself, as ADetailer does: which found faces or hands, their masks, their prompts.
//!
//! ```text
//! finder     picture        → what a detector finds in it
//! boxes      what is found  → what counts, in order
//! regions    masks          → masks moved, grown, merged
//! unit       settings of one detector → those of an area, and a picture's text
//! told       a picture's text → settings of its detectors
//! detail     a finished picture → the same with all areas painted again
//! ```
//!
//! Source: the behaviour of ADetailer 25.3.0. Unlike there a mask keeps its box, so that what depends on the box is right
//! after masks are dropped or merged.

mod area_mask;
mod boxes;
mod denoise;
mod detail;
mod finder;
mod prompts;
mod regions;
mod told;
mod unit;

pub use area_mask::AreaMask;
pub use boxes::{Choice, Detection, KeepBy, Order, choose};
pub use denoise::dynamic_denoise;
pub use detail::{Base, OpenUnit, Paints, Which, detail};
pub use finder::{Finder, FoundArea};
pub use prompts::prompts;
pub use regions::{MaskShape, Merge, Region, regions};
pub use told::{ToldUnits, told_units};
pub use unit::{DetailControl, Instead, OwnModel, Unit};
