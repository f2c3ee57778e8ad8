//! Where a run computes: which devices there are, whether they work, in what precision, on which threads, in how much
//! memory.
//!
//! Not here: the operations themselves, which are `ops`'. A program that wants a device asks [`open`].

pub mod agreement;
mod detect;
mod driver_panic;
mod free_memory;
mod gpu_memory;
mod launcher;
#[cfg(feature = "cuda")]
mod libdevice;
mod precision;
mod processor;
mod subprocess;
mod thread_groups;
mod trial;
mod what_fits;

pub use detect::{DetectedDevice, Opened, built_in, free_memory_of, list, open};
pub use free_memory::free_memory;
pub use launcher::{launched, local_rank};
#[cfg(feature = "cuda")]
pub use libdevice::libdevice_folder;
pub use lorabake_ops::{is_host, keep_memory};
pub use precision::{vae_dtype, weight_dtype};
pub use processor::{Processor, processor};
pub use subprocess::{Question, ask, tried_by};
pub use thread_groups::ThreadGroups;
pub use trial::{Trial, check, try_out};
pub use what_fits::what_fits;
