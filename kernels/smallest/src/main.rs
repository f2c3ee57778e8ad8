//! Loads the PTX of `kernels/ptx` by the driver alone, without CUDA's toolkit, CubeCL or Python: replays recorded
//! launches with their right results, and measures the linear layers.
//!
//! Usage: smallest PTX_FOLDER LAUNCHES_FOLDER (of `kernels/record.py`). Without a driver it says so and is content.

mod launches;
mod library;
mod measure;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use cudarc::driver::{CudaContext, sys};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("smallest: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether every launch gave what is right.
fn run() -> Result<bool> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [ptx, recorded] = arguments.as_slice() else { bail!("give the folder of PTX and that of recorded launches") };
    let entries = library::entries(Path::new(ptx))?;
    let recording = launches::Recording::read(Path::new(recorded))?;
    println!("{} kernels, {} launches", entries.len(), recording.launches.len());
    // SAFETY: it only looks whether the driver's library can be loaded.
    if !unsafe { sys::is_culib_present() } {
        println!("no NVIDIA driver (libcuda) here");
        return Ok(true);
    }
    let context = CudaContext::new(0).context("the driver opens no card")?;
    let stream = context.default_stream();
    let (major, minor) = context.compute_capability()?;
    println!("{}, compute capability {major}.{minor}", context.name()?);
    let mut targets = vec!["sm_80"];
    if (major, minor) == (9, 0) {
        targets.push("sm_90a");
    }
    let mut right = true;
    for target in targets {
        let library = library::Library::load(&context, Path::new(ptx), &entries, target)?;
        right &= recording.replay(&stream, &library)?;
        measure::linear(&stream, &library)?;
    }
    Ok(right)
}
