//! A picture as numbers that need no network: brightness, frequencies, edges.

mod luma;
mod spectrum;

pub use luma::Luma;
pub use spectrum::Spectrum;
