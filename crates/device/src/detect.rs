//! The devices of this machine: which there are, whether they work, and which one a run gets.

use anyhow::{Result, bail};
use burn::tensor::Device;
use lorabake_ops::is_host;
#[cfg(feature = "cube")]
use lorabake_ops::multiplies_matrices;
use lorabake_recipe::train::device::{Device as Wanted, Kind};

use crate::driver_panic::guarded;
use crate::free_memory::free_memory;
use crate::gpu_memory::{self, CardMemory};
use crate::launcher::local_rank;
use crate::subprocess::{Question, ask};
use crate::trial::check;

/// The kinds of GPUs in the order in which `auto` tries them: the makers' own ways first.
const KINDS: [Kind; 5] = [Kind::Cuda, Kind::Rocm, Kind::Metal, Kind::Vulkan, Kind::Wgpu];

/// A device of this machine.
#[derive(Debug, Clone)]
pub struct DetectedDevice {
    /// The device as `--device` takes it.
    pub wanted: Wanted,
    /// The name that the device gives itself.
    pub name: String,
    /// Whether it is a program that plays a GPU.
    pub software: bool,
    /// Whether it multiplies small matrices in one instruction (tensor cores and the like).
    pub cooperative: bool,
    /// Bytes of its own memory, where the system tells.
    pub memory: Option<u64>,
    /// Bytes of that which are free.
    pub free: Option<u64>,
    /// Where tensors go.
    pub device: Device,
}

/// Where a run computes, and what its user should know about that.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Where tensors go.
    pub device: Device,
    /// Lines to show: which device it is, or why it is not the one asked for.
    pub notes: Vec<String>,
}

/// The ways to GPUs that this program was built with.
pub fn built_in() -> Vec<Kind> {
    KINDS.into_iter().filter(|kind| enumerate(*kind).is_some()).collect()
}

/// All GPUs that can be reached in one way, whether they work or not; the error is what its driver says.
///
/// # Errors
/// When the driver fails, or the program was not built with this way.
pub fn list(kind: Kind) -> Result<Vec<DetectedDevice>, String> {
    let Some(enumerate) = enumerate(kind) else { return Err(missing(kind)) };
    guarded(|| {
        let devices = enumerate().into_iter().enumerate();
        devices.map(|(index, device)| describe(Wanted { kind, index: Some(index) }, device)).collect()
    })
}

/// Opens the device that is asked for. Where it is not there or does not work, the processor takes its place.
///
/// # Errors
/// When the program was not built with the way that is asked for, or has no device of that number.
pub fn open(wanted: Wanted) -> Result<Opened> {
    let host = |notes| Opened { device: Device::flex(), notes };
    match wanted.kind {
        Kind::Cpu => Ok(host(Vec::new())),
        Kind::Auto => Ok(automatic()),
        kind => {
            if enumerate(kind).is_none() {
                bail!("--device {}: {}", kind.name(), missing(kind));
            }
            let found = match list(kind) {
                Ok(found) => found,
                Err(broken) => return Ok(host(vec![instead(wanted, &broken)])),
            };
            let index = wanted.index.unwrap_or_else(|| own_place(found.len()));
            if index > 0 && index >= found.len() {
                bail!("--device {wanted}: there are {} such devices; `lorabake doctor` lists them", found.len());
            }
            let Some(found) = found.into_iter().nth(index) else {
                return Ok(host(vec![instead(wanted, "there is no such GPU, or no driver for it")]));
            };
            Ok(match works(&found) {
                Ok(()) => opened(found),
                Err(broken) => host(vec![instead(wanted, &broken)]),
            })
        }
    }
}

/// The first real GPU that works, or else the processor.
fn automatic() -> Opened {
    let mut notes = Vec::new();
    for kind in KINDS.into_iter().filter(|kind| enumerate(*kind).is_some()) {
        match list(kind) {
            Ok(mut found) => {
                found.retain(|found| !found.software);
                let first = own_place(found.len());
                found.rotate_left(first);
                for found in found {
                    match works(&found) {
                        Ok(()) => return opened(found),
                        Err(broken) => notes.push(format!("{} ({}): {broken}", found.wanted, found.name)),
                    }
                }
            }
            Err(broken) => notes.push(format!("{}: {broken}", kind.name())),
        }
    }
    Opened { device: Device::flex(), notes }
}

/// Whether a GPU works; the error is one line.
fn works(found: &DetectedDevice) -> Result<(), String> {
    let apart = ask(found.wanted, Question::Works).map(|answer| answer.map(drop));
    apart.unwrap_or_else(|| check(&found.device).map(drop))
}

/// Where a process begins among `devices` of a kind: of several on a machine, each takes a GPU of its own.
fn own_place(devices: usize) -> usize {
    local_rank().map_or(0, |place| place % devices.max(1))
}

fn opened(found: DetectedDevice) -> Opened {
    let note = format!("computed on {} (--device {})", found.name, found.wanted);
    Opened { device: found.device, notes: vec![note] }
}

fn instead(wanted: Wanted, why: &str) -> String {
    format!("--device {wanted}: {why}; the processor computes instead (`lorabake doctor` tells more)")
}

fn missing(kind: Kind) -> String {
    let has = built_in().into_iter().map(Kind::name).collect::<Vec<_>>().join(", ");
    let has = if has.is_empty() { "it can use the processor only".to_owned() } else { format!("it has {has}") };
    format!(
        "this program was built without {}: {has}; take another release, or build with --features {}",
        kind.name(),
        kind.name()
    )
}

/// What lists the devices of a kind, if the program was built with it.
fn enumerate(kind: Kind) -> Option<fn() -> Vec<Device>> {
    #[cfg(feature = "cube")]
    use burn::tensor::DeviceType;
    match kind {
        #[cfg(feature = "cuda")]
        Kind::Cuda => Some(|| Device::enumerate(DeviceType::Cuda).into_vec()),
        #[cfg(feature = "rocm")]
        Kind::Rocm => Some(|| Device::enumerate(DeviceType::Rocm).into_vec()),
        #[cfg(feature = "metal")]
        Kind::Metal => Some(|| Device::enumerate(DeviceType::Metal).into_vec()),
        #[cfg(feature = "vulkan")]
        Kind::Vulkan => Some(|| Device::enumerate(DeviceType::Vulkan).into_vec()),
        #[cfg(feature = "wgpu")]
        Kind::Wgpu => Some(|| Device::enumerate(DeviceType::Wgpu).into_vec()),
        _ => None,
    }
}

#[cfg(feature = "cube")]
fn describe(wanted: Wanted, device: Device) -> DetectedDevice {
    let identity = device.identity();
    let software = identity.as_ref().is_none_or(|identity| identity.physical.is_none());
    let memory = card_memory(&device);
    DetectedDevice {
        wanted,
        name: identity.map_or_else(|| wanted.to_string(), |identity| identity.name),
        software,
        cooperative: multiplies_matrices(&device),
        memory: memory.map(|memory| memory.total),
        free: memory.map(|memory| memory.free),
        device,
    }
}

/// Bytes that are free for what is computed on `device`: of main memory, or of the card's own; `None` where the system does
/// not say.
pub fn free_memory_of(device: &Device) -> Option<u64> {
    if is_host(device) {
        return free_memory();
    }
    card_memory(device).map(|memory| memory.free)
}

#[cfg(feature = "cube")]
fn card_memory(device: &Device) -> Option<CardMemory> {
    let address = device.identity()?.physical?.pci_address?;
    gpu_memory::of_card(&address.to_string())
}

#[cfg(not(feature = "cube"))]
fn card_memory(_: &Device) -> Option<CardMemory> {
    gpu_memory::of_card("")
}

#[cfg(not(feature = "cube"))]
fn describe(wanted: Wanted, device: Device) -> DetectedDevice {
    let name = wanted.to_string();
    DetectedDevice { wanted, name, software: false, cooperative: false, memory: None, free: None, device }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_always_there() {
        assert!(is_host(&open(Wanted { kind: Kind::Cpu, index: None }).unwrap().device));
        let opened = open(Wanted::default()).unwrap();
        assert!(built_in().is_empty() <= (is_host(&opened.device) && opened.notes.is_empty()));
    }

    #[test]
    fn what_was_not_built_in_is_said() {
        for kind in KINDS.into_iter().filter(|kind| enumerate(*kind).is_none()) {
            let error = open(Wanted { kind, index: None }).unwrap_err().to_string();
            let expected = format!("--device {0}: this program was built without {0}: it ", kind.name());
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}
