//! Trainable deltas on frozen layers: what they are, where they attach, how they act. Knows no model and no file.
//!
//! A network numbers its adaptable layers ([`Sites`]); a set of adapters ([`Adapters`]) is an argument of its forward pass.
//! So the frozen network never changes, the same network serves training and preview with different adapters, and no
//! layer knows an algorithm.

mod adapters;
mod block;
mod dora;
mod dropout;
mod dylora;
mod ia3;
mod loha;
mod lokr;
mod lora;
mod method;
mod plan;
mod site;
mod tucker;

pub use adapters::{Adapter, Adapters};
pub use block::block_of;
pub use dropout::Masks;
pub use lokr::{Form, Kronecker, factors};
pub use lora::Lora;
pub use method::{Method, Named, Parameter, Start};
pub use plan::{Chance, Planned, dialect_of, plan};
pub use site::{Kind, Role, Site, SiteId, Sites};
