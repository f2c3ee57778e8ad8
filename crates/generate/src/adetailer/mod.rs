//! What of a picture is painted again by itself, as ADetailer does: which found faces or hands, their masks, their prompts.
//!
//! Not here: the network that finds them (`model`), and the painting. Source: the behaviour of ADetailer 25.3.0. Unlike
//! there a mask keeps its box, so that what depends on the box is right after masks are dropped or merged.

mod area_mask;
mod boxes;
mod denoise;
mod prompts;
mod regions;

pub use area_mask::AreaMask;
pub use boxes::{Choice, Detection, KeepBy, Order, choose};
pub use denoise::dynamic_denoise;
pub use prompts::prompts;
pub use regions::{MaskShape, Merge, Region, regions};
