//! Recorded launches with their right results, replayed.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use cudarc::driver::{CudaSlice, CudaStream, DevicePtr, LaunchConfig, PushKernelArg};
use serde::Deserialize;

use crate::library::{Kernel, Library};

/// An argument as it was recorded.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Argument {
    Int { int: i32 },
    Number { number: f32 },
    Buffer(Buffer),
}

/// Numbers between two guards.
#[derive(Debug, Deserialize)]
struct Buffer {
    /// Where its bytes begin in the recording, guard first.
    at: usize,
    bytes: usize,
    /// Bytes of each of the two guards.
    guard: usize,
    /// For an output: where what is right (f32) begins.
    right: Option<usize>,
    /// For an output: `bf16`, `f16` or `f32`.
    r#type: Option<String>,
    /// For an output: how far a number may be off, over the root mean square of what is right.
    bound: Option<f64>,
}

/// One launch.
#[derive(Debug, Deserialize)]
pub struct Launch {
    name: String,
    sizes: String,
    grid: [u32; 3],
    arguments: Vec<Argument>,
}

/// What `kernels/record.py` wrote.
pub struct Recording {
    pub launches: Vec<Launch>,
    bytes: Vec<u8>,
}

impl Recording {
    /// Reads both files.
    ///
    /// # Errors
    /// If one is missing or not what `kernels/record.py` writes.
    pub fn read(folder: &Path) -> Result<Self> {
        let list = folder.join("launches.json");
        let text = fs::read(&list).with_context(|| list.display().to_string())?;
        let launches = serde_json::from_slice(&text).with_context(|| list.display().to_string())?;
        let data = folder.join("launches.bin");
        Ok(Self { launches, bytes: fs::read(&data).with_context(|| data.display().to_string())? })
    }

    /// Launches everything for which the library has a kernel; prints what is wrong, and whether nothing is.
    ///
    /// # Errors
    /// If the driver refuses a launch.
    pub fn replay(&self, stream: &Arc<CudaStream>, library: &Library) -> Result<bool> {
        let mut count = 0;
        let mut wrong = 0;
        for launch in &self.launches {
            let Some(kernel) = library.kernels.get(&launch.name) else { continue };
            count += 1;
            let findings = self.replay_one(stream, launch, kernel)?;
            for finding in &findings {
                println!("{} {}, {}: {finding}", library.target, launch.name, launch.sizes);
            }
            wrong += usize::from(!findings.is_empty());
        }
        println!("{}: {} of {count} launches right", library.target, count - wrong);
        Ok(wrong == 0 && count > 0)
    }

    fn replay_one(&self, stream: &Arc<CudaStream>, launch: &Launch, kernel: &Kernel) -> Result<Vec<String>> {
        let mut held: Vec<CudaSlice<u8>> = Vec::new();
        let mut pointers = Vec::new();
        for argument in &launch.arguments {
            let Argument::Buffer(buffer) = argument else { continue };
            let slice = stream.clone_htod(&self.bytes[buffer.at..buffer.at + buffer.bytes])?;
            pointers.push(slice.device_ptr(stream).0 + buffer.guard as u64);
            held.push(slice);
        }
        let null = 0u64;
        let mut builder = stream.launch_builder(&kernel.function);
        let mut pointer = pointers.iter();
        for argument in &launch.arguments {
            match argument {
                Argument::Int { int } => builder.arg(int),
                Argument::Number { number } => builder.arg(number),
                Argument::Buffer(_) => builder.arg(pointer.next().context("a pointer for each buffer")?),
            };
        }
        for _ in 0..kernel.entry.more_pointers {
            builder.arg(&null);
        }
        let [x, y, z] = launch.grid;
        let config = LaunchConfig {
            grid_dim: (x, y, z),
            block_dim: (32 * kernel.entry.warps, 1, 1),
            shared_mem_bytes: kernel.entry.shared,
        };
        // SAFETY: the arguments are those of the kernel, and buffers have guards for what it should not touch.
        unsafe { builder.launch(config) }.with_context(|| launch.name.clone())?;
        stream.synchronize().with_context(|| format!("{}, {}", launch.name, launch.sizes))?;
        let mut findings = Vec::new();
        let mut slices = held.iter();
        for (place, argument) in launch.arguments.iter().enumerate() {
            let Argument::Buffer(buffer) = argument else { continue };
            let after = stream.clone_dtoh(slices.next().context("a slice for each buffer")?)?;
            if let Some(finding) = self.compare(buffer, &after)? {
                findings.push(format!("argument {place} {finding}"));
            }
        }
        Ok(findings)
    }

    /// What is wrong with a buffer after the launch.
    fn compare(&self, buffer: &Buffer, after: &[u8]) -> Result<Option<String>> {
        let before = &self.bytes[buffer.at..buffer.at + buffer.bytes];
        let (Some(right), Some(kind), Some(bound)) = (buffer.right, &buffer.r#type, buffer.bound) else {
            if after == before {
                return Ok(None);
            }
            return Ok(Some("is an input and was changed".to_string()));
        };
        let end = buffer.bytes - buffer.guard;
        if after[..buffer.guard] != before[..buffer.guard] || after[end..] != before[end..] {
            return Ok(Some("was written outside".to_string()));
        }
        let found = widened(&after[buffer.guard..end], kind);
        let right = widened(&self.bytes[right..right + 4 * found.len()], "f32");
        ensure!(!right.is_empty() && right.iter().any(|x| *x != 0.0), "a recording without numbers");
        let typical = (right.iter().map(|x| x * x).sum::<f64>() / right.len() as f64).sqrt();
        let mut worst = 0.0;
        let mut place = 0;
        for (index, (found, right)) in found.iter().zip(&right).enumerate() {
            let apart = (found - right).abs() / (typical + right.abs() / 8.0);
            // NaN is worse than all.
            if !(apart <= worst) {
                worst = apart;
                place = index;
            }
        }
        if worst <= bound {
            return Ok(None);
        }
        Ok(Some(format!("number {place} is {:.5}, right is {:.5}", found[place], right[place])))
    }
}

/// Numbers of one of the three types.
fn widened(bytes: &[u8], kind: &str) -> Vec<f64> {
    if kind == "f32" {
        return bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect();
    }
    let bits = bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    if kind == "bf16" {
        return bits.map(|bits| f64::from(f32::from_bits(u32::from(bits) << 16))).collect();
    }
    bits.map(half).collect()
}

/// A 16-bit float of IEEE 754.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 31);
    let fraction = f64::from(bits & 1023) / 1024.0;
    match exponent {
        0 => sign * fraction * 2f64.powi(-14),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN,
        _ => sign * (1.0 + fraction) * 2f64.powi(exponent - 15),
    }
}
