//! What shows how a run goes: the loss over held-out images, and pictures.

mod milestone;
pub(crate) mod sample_pictures;
pub(crate) mod validate;

pub use milestone::Milestone;
