//! How fast the linear layers are, launched by the driver alone.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use cudarc::driver::{CudaStream, LaunchConfig, PushKernelArg};

use crate::library::{Kernel, Library};

/// Rows, outputs and inputs: the text, SD1.5's widest and narrowest level at 512², SDXL's at 1024², a large square.
const SIZES: [[usize; 3]; 6] =
    [[77, 320, 768], [4096, 320, 320], [4096, 2560, 320], [1024, 5120, 640], [4096, 5120, 640], [8192, 8192, 8192]];
const TIMES: u32 = 20;

/// Prints milliseconds and TFLOP/s of each linear kernel that takes any number of rows.
///
/// # Errors
/// If the driver refuses something.
pub fn linear(stream: &Arc<CudaStream>, library: &Library) -> Result<()> {
    let mut names: Vec<&String> = library.kernels.keys().filter(|name| name.starts_with("linear_bf16")).collect();
    names.sort();
    for name in names {
        for [m, n, k] in SIZES {
            let seconds = one(stream, &library.kernels[name], m, n, k)?;
            let rate = 2e-12 * (m * n * k) as f64 / seconds;
            println!("{} {name} {m} x {n} x {k}: {:.3} ms, {rate:.1} TFLOP/s", library.target, seconds * 1e3);
        }
    }
    Ok(())
}

/// Seconds of one launch.
fn one(stream: &Arc<CudaStream>, kernel: &Kernel, m: usize, n: usize, k: usize) -> Result<f64> {
    let x = stream.clone_htod(&numbers(m * k, 1))?;
    let w = stream.clone_htod(&numbers(n * k, 2))?;
    let bias = stream.alloc_zeros::<f32>(n)?;
    let mut y = stream.alloc_zeros::<u16>(m * n)?;
    let sizes = [m as i32, n as i32, k as i32, 0];
    let null = 0u64;
    let tile = &kernel.entry.tile;
    let config = LaunchConfig {
        grid_dim: ((n as u32).div_ceil(tile["BN"]), (m as u32).div_ceil(tile["BM"]), 1),
        block_dim: (32 * kernel.entry.warps, 1, 1),
        shared_mem_bytes: kernel.entry.shared,
    };
    let mut launch = || -> Result<()> {
        let mut builder = stream.launch_builder(&kernel.function);
        builder.arg(&x).arg(&w).arg(&null).arg(&bias).arg(&null).arg(&null).arg(&mut y);
        for size in &sizes {
            builder.arg(size);
        }
        for _ in 0..kernel.entry.more_pointers {
            builder.arg(&null);
        }
        // SAFETY: the arguments are those of `linear` in linear.py, without a product of low rank.
        unsafe { builder.launch(config)? };
        Ok(())
    };
    launch()?;
    stream.synchronize()?;
    let started = Instant::now();
    for _ in 0..TIMES {
        launch()?;
    }
    stream.synchronize()?;
    Ok(started.elapsed().as_secs_f64() / f64::from(TIMES))
}

/// Numbers between -2 and 2 in bf16, as bits.
fn numbers(count: usize, mut seed: u64) -> Vec<u16> {
    let mut found = Vec::with_capacity(count);
    for _ in 0..count {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = ((seed >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * 2.0;
        found.push((number.to_bits() >> 16) as u16);
    }
    found
}
