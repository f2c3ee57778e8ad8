//! LoRA files: read as [`LoraFile`], written by [`fn@save`]. Layers are called by kohya's names; files with diffusers' or
//! PEFT's names are renamed when they are opened.

mod file;
mod net_file;
pub(crate) mod peft;
mod save;

pub use file::{LoraFile, LoraModule, ModuleTensor, Problem, note, tensors};
pub use net_file::{NetFile, NetFileModule};
pub(crate) use save::header_bytes;
pub use save::{RawTensor, Saved, TensorHashes, save, save_raw};
