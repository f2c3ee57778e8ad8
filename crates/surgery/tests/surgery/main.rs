//! Tests of surgery on weights: laws that must hold whatever the numbers are, and refusals.
//!
//! | file | about |
//! |---|---|
//! | `nets` | LoRAs into a checkpoint, with each other, resized, cut |
//! | `models` | checkpoints with each other |
//! | `distilled` | the difference of two checkpoints as a LoRA |
//! | `kinds` | every kind of adapter by its formula, number by number |
//! | `refusals` | what cannot be done, in one line, with nothing written |
//! | `made` | nets and checkpoints that the tests make |
//!
//! What other programs' tools wrote is replayed by `cargo xtask conformance-tools`.

mod distilled;
mod kinds;
mod made;
mod models;
mod nets;
mod refusals;
