//! The processor, as it is shown beside GPUs.

use burn::tensor::Device;

use crate::free_memory::free_memory;

/// What is known of the processor.
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
    Processor {
        name: name().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        threads: rayon::current_num_threads(),
        instructions: lorabake_ops::instructions(),
        free: free_memory(),
        device: Device::flex(),
    }
}

#[cfg(target_os = "linux")]
fn name() -> Option<String> {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    let (_, name) = line.split_once(':')?;
    Some(name.trim().to_owned())
}

#[cfg(not(target_os = "linux"))]
fn name() -> Option<String> {
    let mut system = sysinfo::System::new();
    system.refresh_cpu_list(sysinfo::CpuRefreshKind::nothing());
    let name = system.cpus().first()?.brand().trim().to_owned();
    if name.is_empty() { None } else { Some(name) }
}
