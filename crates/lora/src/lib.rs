//! A LoRA as trainer, painter and tools hold it: named modules with their values, read from a file or made fresh, and
//! attached to the layers of a checkpoint's networks.
//!
//! Not here: what an adapter computes (`adapter`), how its file is spelt (`weights`).

mod adapter_draws;
mod attach;
mod hypernetwork;
mod net;
mod network;
mod open;

pub use adapter_draws::AdapterDraws;
pub use attach::{Attached, Strength, Tracked};
pub use hypernetwork::HyperNet;
pub use net::{Net, NetChange, NetLayer, NetStrength};
pub use network::{LoraNetwork, NetworkModule};
