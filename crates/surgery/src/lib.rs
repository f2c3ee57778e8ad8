//! Surgery on weights: nets (LoRAs and their relatives of every kind) and checkpoints are merged, resized, extracted,
//! converted and compared.
//!
//! In: files. Out: files, whole or absent, and reports as plain data. The maths of the kinds stands in [`kind`], of which
//! [`merge`] makes results; a model is never in memory whole ([`writer`]). Ours is right by the formulas; the numbers of
//! other tools come by name ([`like`]).

pub mod block;
mod bounded;
pub mod check;
pub mod compare;
pub mod convert;
pub mod edit;
pub mod error;
pub mod extract;
pub mod kind;
pub mod like;
pub mod lora_file;
pub mod lowered;
pub mod matrix;
pub mod merge;
pub mod metadata;
pub mod model;
pub mod net;
pub mod output;
pub mod rank;
pub mod resize;
pub mod spec;
pub mod spectrum;
pub mod target;
pub mod writer;

pub use error::{Error, Result};
