//! The heavy operations of a frozen diffusion model, with their own backward passes.
//!
//! Burn is the tape; what costs time or memory goes through here. A frozen layer needs only y = f(x) and dL/dx, so its
//! weights live outside Burn's tensors ([`FrozenMatrix`]) and nothing is kept for the backward pass that it does not read.
//! Every operation has a plain body in Burn primitives beside it (`plain_…`), which is its oracle in the tests and the
//! body for devices without a kernel of ours. This crate knows no model.

#[cfg(test)]
mod agreement;
mod allocation;
mod attention;
mod attention_head;
mod bands;
#[cfg(target_arch = "x86_64")]
mod bf16;
mod busy_pool;
mod conv;
mod conv_shape;
mod device;
mod edges;
mod elementary;
mod frozen;
mod frozen_op;
mod geglu;
mod group_norm;
mod heads;
mod image;
mod instructions;
mod int8;
mod lanes;
mod layer_norm;
mod linear;
mod low_rank;
mod planes;
mod product;
mod quick_gelu;
mod rounding;
mod shared_output;
mod transpose;

pub use allocation::{give_memory_back, keep_memory};
pub use attention::{attention, plain_attention};
pub use attention_head::Mask;
pub use bands::Before;
pub use busy_pool::with_busy_pool;
pub use conv::FrozenConv;
pub use conv_shape::ConvShape;
pub use device::cuda;
pub use device::{half_of, is_host, multiplies_matrices};
pub use edges::{Edges, wrapped};
pub use frozen::{FrozenMatrix, LazyMatrix, LostSource, MatrixReader, WeightDtype};
pub use geglu::{geglu, plain_geglu};
pub use group_norm::{Activation, GroupNorm};
pub use image::Image;
pub use instructions::instructions;
pub use layer_norm::LayerNorm;
pub use linear::FrozenLinear;
pub use low_rank::plain_low_rank;
pub use quick_gelu::{plain_quick_gelu, quick_gelu};
pub use transpose::transpose;
