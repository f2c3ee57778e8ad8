//! LoRA files: read as [`LoraFile`], written by [`fn@save`]. Layers are called by kohya's names; files with diffusers' or
//! PEFT's names are renamed when they are opened.

mod file;
mod net_file;
mod net_tensors;
pub(crate) mod peft;
mod save;

pub use file::{LoraFile, LoraModule, ModuleTensor, Problem, note, tensors};
pub use net_file::{NetFile, NetFileModule};
pub use net_tensors::NetTensors;
pub(crate) use save::{Place, header_bytes, header_of};
pub use save::{RawTensor, Saved, TensorHashes, save, save_raw};
