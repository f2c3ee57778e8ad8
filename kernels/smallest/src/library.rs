//! What `kernels/compile.py` made: its list, and the kernels of one target, loaded by the driver.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use cudarc::driver::sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
use cudarc::driver::{CudaContext, CudaFunction};
use cudarc::nvrtc::Ptx;
use flate2::read::GzDecoder;
use serde::Deserialize;

/// One kernel of the list.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    pub name: String,
    pub kernel: String,
    pub target: String,
    pub half: String,
    /// The function inside the PTX.
    pub entry: String,
    /// Sides of its tile, by name.
    pub tile: HashMap<String, u32>,
    pub warps: u32,
    /// Bytes of shared memory of a block.
    pub shared: u32,
    /// Null pointers behind its parameters.
    pub more_pointers: usize,
    /// Its file.
    pub ptx: String,
}

/// A kernel that can be launched.
pub struct Kernel {
    pub entry: Entry,
    pub function: CudaFunction,
}

/// The kernels of one target, by name.
pub struct Library {
    pub target: String,
    pub kernels: HashMap<String, Kernel>,
}

/// The list of kernels.
///
/// # Errors
/// If it cannot be read.
pub fn entries(folder: &Path) -> Result<Vec<Entry>> {
    let path = folder.join("manifest.json");
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    serde_json::from_reader(file).with_context(|| path.display().to_string())
}

impl Library {
    /// Lets the driver compile all kernels of a target, and prints how long that takes.
    ///
    /// # Errors
    /// If a file cannot be read or the driver refuses it.
    pub fn load(context: &Arc<CudaContext>, folder: &Path, entries: &[Entry], target: &str) -> Result<Self> {
        let started = Instant::now();
        let mut kernels = HashMap::new();
        for entry in entries {
            if entry.target != target {
                continue;
            }
            let mut text = String::new();
            let file = File::open(folder.join(&entry.ptx)).with_context(|| entry.ptx.clone())?;
            GzDecoder::new(file).read_to_string(&mut text).with_context(|| entry.ptx.clone())?;
            let module = context.load_module(Ptx::from_src(text)).with_context(|| entry.ptx.clone())?;
            let function = module.load_function(&entry.entry).with_context(|| entry.ptx.clone())?;
            function.set_attribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, entry.shared as i32)?;
            kernels.insert(entry.name.clone(), Kernel { entry: entry.clone(), function });
        }
        println!("{target}: {} kernels compiled by the driver in {:.1?}", kernels.len(), started.elapsed());
        Ok(Self { target: target.to_string(), kernels })
    }
}
