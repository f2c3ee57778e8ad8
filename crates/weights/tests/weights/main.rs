//! Tests of files of tensors: what other programs wrote is read, ours are as theirs, broken ones are refused by name.
//!
//! What belongs where:
//!
//! | file | about |
//! |---|---|
//! | `checkpoint` | single-file checkpoints: names of tensors, conversions of numbers, refusals |
//! | `torch_files` | PyTorch's `.ckpt`: pickles, archives, attacks |
//! | `folders` | SD1.x as a folder of diffusers, separate VAEs |
//! | `family_folders` | SD2.x and SDXL as folders of diffusers |
//! | `lora` | LoRA files of sd-scripts and LyCORIS, read and written |
//! | `lora_size` | how large a LoRA file will be, from keys and shapes alone |
//! | `peft` | LoRA files of diffusers and PEFT |
//! | `nets` | files of nets of every kind, for painting |
//! | `metadata` | what a saved LoRA says of its training |
//! | `npz` | NumPy's archives, as latents are kept |
//! | `inspect` | what `lorabake inspect` finds in all of these |
//! | `predictions` | what says that a model predicts v |
//! | `relatives` | models of other families and their kin, named |
//! | `network_files` | upscalers and detectors, recognised and named |
//! | `golden` | files of reference programs, and small files made from them |
//!
//! Reference files lie in `tests/golden`; the programs that wrote them, in `oracle/`.

mod checkpoint;
mod family_folders;
mod folders;
mod golden;
mod inspect;
mod lora;
mod lora_size;
mod metadata;
mod nets;
mod network_files;
mod npz;
mod peft;
mod predictions;
mod relatives;
mod torch_files;
