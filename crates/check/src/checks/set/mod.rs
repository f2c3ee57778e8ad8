//! Checks of the images together.

pub mod balance;
pub mod buckets;
pub mod closeups;
pub mod count;
pub mod exact;
pub mod held_out;
pub mod near;
pub mod reg;
pub mod repeats;
pub mod resolution;
pub mod scenes;
pub mod steps;
pub mod variety;
