//! The host's side of the kernels in `kernels/`: which of them a card launches for an operation, with what.
//!
//! A family's file ([`linear`], [`conv3x3`], …) has two layers: functions that plan one [`Launch`] as plain data (kernel
//! with its tile, grid, arguments in the kernel's order), and the operation whole, forward and backward, on any
//! [`Launcher`]. Nothing here needs CUDA, so that it is built and tested everywhere. One launcher is [`Recording`], which
//! writes down what Triton's interpreter then runs (`kernels/replay.py`).
//!
//! **No card has run a launch from here, and no device of the program uses them.** What is not served ([`NotServed`])
//! would go to the bodies of Burn's primitives, as everything does now.

pub mod activations;
mod array;
pub mod attention;
mod card;
pub mod conv3x3;
mod frozen_weight;
pub mod group_norm;
mod launch;
mod launcher;
pub mod layer_norm;
pub mod linear;
pub mod low_rank;
mod manifest;
mod padding;
mod recording;
#[cfg(test)]
mod served;
mod target;

pub use array::{Array, Buffer, Kind};
pub use card::Card;
pub use frozen_weight::FrozenWeight;
pub use launch::{Argument, Bound, Launch};
pub use launcher::{Contents, Launcher};
pub use manifest::Compiled;
pub use padding::{LEAST, NotServed, PARTS_OF_EIGHTHS, padded, padded_inner};
pub use recording::Recording;
pub use target::Target;
