//! Trainable deltas on frozen layers: what they are, where they attach, how they act. Knows no model and no file.
//!
//! A network numbers its adaptable layers ([`Sites`]); a set of adapters ([`Adapters`]) is an argument of its forward pass.
//! So the frozen network never changes, the same network serves training and preview with different adapters, and no
//! layer knows an algorithm.

mod adapters;
mod block;
mod lora;
mod plan;
mod site;

pub use adapters::Adapters;
pub use block::{block_of, size_blocks};
pub use lora::Lora;
pub use plan::{PlannedLora, plan_lora};
pub use site::{Kind, Role, Site, SiteId, Sites};
