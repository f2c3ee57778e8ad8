//! Noise as the AUTOMATIC1111 web UI draws it, number for number: a seed gives the same picture in both programs.
//!
//! Plain numbers in row-major (C, H, W); the caller puts them on a device. Each picture of a batch has generators of its
//! own, so that it equals the picture made alone. Not here: the noise that training draws (`diffusion`).

mod brownian_tree;
mod generator;
mod image_noise;
mod philox;
mod seed_sequence;
mod slerp;
mod torch_cpu;

pub use brownian_tree::BrownianTree;
pub use generator::{Generator, Source, UnknownSource};
pub use image_noise::{ImageNoise, NoiseSeeds, SeedResize, Variation};
pub use philox::Philox;
pub use seed_sequence::SeedSequence;
pub use slerp::slerp;
pub use torch_cpu::TorchCpu;
