//! The operations on other devices than the processor: bodies of Burn's primitives with backward passes of our own.
//!
//! They keep for the backward pass what the kernels on the processor keep, and no more; Burn's tape would keep the scores
//! of an attention and the input of every frozen convolution. Each body is tested against the processor's kernels, on the
//! processor itself and, by `cargo xtask gpu-check`, on a software GPU.

#[cfg(test)]
mod agreement;
#[cfg(any(test, feature = "cube"))]
mod attention;
mod bands;
#[cfg(any(test, feature = "cube"))]
mod conv_gradient;
#[cfg(feature = "cube")]
mod cube;
pub mod cuda;
mod eighths;
mod norm;
mod precision;
mod vector;

pub(crate) use bands::{BAND, convolved_on_device};
#[cfg(any(test, feature = "cube"))]
pub(crate) use conv_gradient::input_gradient;
pub(crate) use eighths::EighthsThere;
pub(crate) use norm::normalize;
#[cfg(any(test, feature = "cube"))]
pub(crate) use norm::normalize_backward;
pub(crate) use precision::{for_convolution, in_precision_of};
pub use precision::{half_of, is_host, multiplies_matrices};
pub(crate) use vector::FrozenVector;
