//! Tests of what turns gradients into new values. Where a test belongs:
//!
//! - `adamw`: AdamW and gradient clipping against torch, saved states.
//! - `golden`: every other optimizer against its author's package, and what a saved state has to do.
//! - `lr`: learning-rate schedules against rates recorded from sd-scripts.
//! - `new_optimizer`: in how few places an optimizer is added.

mod adamw;
mod golden;
mod lr;
mod new_optimizer;
