//! The story of a bake, in order: session → steps → saves.
//!
//! The only library that sees the data set, the networks and the optimizer together. It emits [`event::Event`]s, polls
//! [`event::Command`]s and prints nothing.

pub mod session;

mod consulted;
pub mod event;
pub mod onlooker;
mod run;
pub mod stages;

pub mod cache;
pub mod noise_draws;
pub mod objective;
pub mod step;
pub mod update;

pub mod output;
mod watch;

pub mod agreement;
mod caught;
pub mod distributed;
pub mod estimate;
mod precision;
mod swap;

pub use run::{bake, bake_before};
pub use watch::Milestone;
