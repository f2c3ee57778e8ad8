//! The story of a bake, in order: session → latents → steps → saves; and pictures from what was baked.
//!
//! The only library that sees all stages. It emits [`event::Event`]s, polls [`event::Command`]s and prints nothing.

pub mod average;
pub mod block_plan;
pub mod chances;
pub mod devices;
pub mod draws;
pub mod ema;
pub mod embedded;
pub mod encode;
pub mod event;
pub mod foresee;
mod free_memory;
pub mod generate;
pub mod groups;
mod latent_file;
mod loss_scale;
pub mod max_norm;
pub mod memory;
pub mod network;
pub mod objective;
mod prior;
pub mod prompt;
mod prune;
pub mod ranks;
mod run;
mod sample;
pub mod sample_file;
mod save;
pub mod session;
pub mod shards;
pub mod state;
pub mod step;
pub mod storage;
mod swap;
mod text_cache;
pub mod update;
mod validate;

pub use lorabake_ops::keep_memory;
pub use lorabake_weights::whole_file;
pub use run::bake;
