//! Checks of caption files and whole captions.

pub mod empty;
pub mod encoding;
pub mod length;
pub mod missing;
pub mod mixed;
pub mod orphan;
pub mod same;
pub mod split;
pub mod tokens;
