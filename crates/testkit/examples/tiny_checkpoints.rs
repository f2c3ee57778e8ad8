//! Writes the tiny checkpoints of [`lorabake_testkit::tiny`] into the folder named, for the programs in `oracle/`.

use std::path::Path;

use lorabake_testkit::tiny;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    std::fs::write(Path::new(&folder).join("tiny_sd2.safetensors"), tiny::sd2())?;
    std::fs::write(Path::new(&folder).join("tiny_sdxl.safetensors"), tiny::sdxl())
}
