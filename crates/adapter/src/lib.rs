//! Trainable deltas on frozen layers: what they are, where they attach, how they act. Knows no model and no file.
//!
//! A network numbers its adaptable layers ([`Sites`]); a set of adapters ([`Adapters`]) is an argument of its forward pass.
//! So the frozen network never changes, the same network serves training and preview with different adapters, and no
//! layer knows an algorithm.

mod adapters;
mod block;
mod dense;
mod dora;
mod draw;
mod dropout;
mod dylora;
mod hypernetwork;
mod ia3;
mod kind;
mod loha;
mod lokr;
mod lora;
mod method;
mod net;
mod norm;
mod parameter;
mod site;
mod spec;
mod tucker;

pub use adapters::{Adapter, Adapters};
pub use block::block_of;
pub use draw::AdapterDraw;
pub use dropout::Masks;
pub use dylora::DyLoraKind;
pub use hypernetwork::{HyperActivation, HyperLayer, HyperPair, Hypernetwork, Sources};
pub use ia3::Ia3Kind;
pub use loha::LohaKind;
pub use lokr::{Factorization, LokrKind, factors};
pub use lora::{Lora, LoraKind};
pub use method::Method;
pub use net::{LayerChange, NetModule, NetTensor, NetUse};
pub use norm::NormChange;
pub use parameter::{AdapterTensor, NamedShapes, Parameter, Start};
pub use site::{LayerShape, NormId, NormSite, Role, Site, SiteId, Sites};
pub use spec::{AdapterSpec, adapter_specs, dialect_of};
