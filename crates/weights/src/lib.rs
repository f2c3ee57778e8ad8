//! File ↔ named tensors: the only crate that knows tensor names and file formats, at both ends of the pipe.
//!
//! In: [`checkpoint::Checkpoint`] opens a Stable Diffusion model, [`loader::Loader`] hands its tensors out
//! by diffusers name, [`lora_file::LoraFile`] opens a LoRA. Out: [`lora_save::save`] writes one, with the metadata of
//! [`metadata`] under the file names of [`names`]. All name maps are in [`keys`]. No tensor
//! arithmetic happens here, but for the norms that [`inspect`] tells.

pub mod checkpoint;
mod diffusers_folder;
pub mod error;
pub mod family;
pub mod inspect;
pub mod keys;
pub mod loader;
pub mod lora_file;
pub mod lora_save;
pub mod lora_size;
pub mod metadata;
pub mod names;
pub mod npz;
mod peft_file;
mod pickle;
pub mod tensor_file;
pub mod tensors;
mod torch_file;
mod vae_file;
pub mod whole_file;

pub use checkpoint::Checkpoint;
pub use error::Error;
pub use keys::Part;
pub use loader::Loader;
pub use lorabake_recipe::model::Family;
