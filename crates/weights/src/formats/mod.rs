//! Containers: what bytes of a file are which tensor. Nothing here knows what a tensor is for.
//!
//! [`tensor_file`] opens safetensors and PyTorch's files, the latter by `torch_file` and the `pickle` inside;
//! [`npz`] reads and writes NumPy's archives.

mod f8;
mod foreign;
mod mapped_file;
mod module_tree;
pub mod npz;
mod pickle;
mod stored_tensor;
mod strides;
pub mod tensor_file;
mod torch_file;
mod torch_hypernetwork;
mod torch_storages;
