//! File ↔ named tensors: the only crate that knows tensor names and file formats, at both ends of the pipe.
//!
//! In: [`checkpoint::Checkpoint`] opens a Stable Diffusion model, [`loader::Loader`] hands its tensors out
//! by diffusers name, [`lora::LoraFile`] opens a LoRA. Out: [`fn@lora::save`] writes one, with the metadata of
//! [`metadata`] under the file names of [`file_names`]. All name maps are in [`keys`]. No tensor
//! arithmetic happens here, but for the norms that [`inspect`] measures.

pub mod checkpoint;
pub mod disk_room;
pub mod embedding;
pub mod error;
pub mod faults;
pub mod file_kind;
pub mod file_names;
pub mod formats;
pub mod hypernetwork;
pub mod inspect;
pub mod keys;
pub mod loader;
pub mod lock_file;
pub mod lora;
pub mod lora_size;
pub mod metadata;
pub mod network_file;
pub mod part_file;
pub mod stream;
pub mod tensors;
pub mod whole_file;

pub use checkpoint::Checkpoint;
pub use error::Error;
pub use keys::Part;
pub use loader::Loader;
pub use lorabake_recipe::model::Family;
pub use network_file::NetworkFile;
pub use tensors::NamedTensor;
