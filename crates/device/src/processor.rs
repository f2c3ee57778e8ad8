//! The processor, as it is shown beside GPUs.

use burn::tensor::Device;

use crate::free_memory::free_memory;

/// What is known of it.
#[derive(Debug, Clone)]
pub struct Processor {
    /// The processor's own name, where the system tells.
    pub name: String,
    /// Threads that are worked with.
    pub threads: usize,
    /// The vector instructions that are used.
    pub instructions: &'static str,
    /// Bytes of memory that may still be taken, where the system tells.
    pub free: Option<u64>,
    /// Where tensors go.
    pub device: Device,
}

/// The processor of this machine.
pub fn processor() -> Processor {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpuinfo.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':'));
    Processor {
        name: name.map_or(std::env::consts::ARCH, |(_, name)| name.trim()).to_owned(),
        threads: rayon::current_num_threads(),
        instructions: lorabake_ops::instructions(),
        free: free_memory(),
        device: Device::flex(),
    }
}
