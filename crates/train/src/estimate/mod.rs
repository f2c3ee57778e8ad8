//! What a run will be and need, before any of it.

pub(crate) mod block_plan;
pub(crate) mod disk;
mod dry_run;
pub(crate) mod memory;
pub mod memory_model;

pub(crate) use dry_run::plan_after;
pub use dry_run::{LoraSize, RunPlan, plan_run};
pub use memory::{MemoryReport, Saving};
