//! The story of a bake, in order: session → latents → steps → saves; and pictures from what was baked.
//!
//! The only library that sees all stages. It emits [`event::Event`]s, polls [`event::Command`]s and prints nothing.

pub mod average;
pub mod chances;
pub mod draws;
pub mod embedded;
pub mod encode;
pub mod event;
pub mod generate;
pub mod network;
pub mod objective;
pub mod prompt;
mod run;
mod save;
pub mod session;
pub mod state;
pub mod step;
pub mod update;

pub use lorabake_weights::whole_file;
pub use run::bake;
