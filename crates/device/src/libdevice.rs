//! NVIDIA's library of mathematical functions, libdevice, which the compiler of GPU kernels links: the program has it with
//! it, so that a user needs the driver alone.
//!
//! The file is that of CUDA 12.9 (PyPI: nvidia-cuda-nvcc-cu12 12.9.86); NVIDIA's terms, which allow to pass it on, lie
//! beside it in `kernels/libdevice`.

use std::fs;
use std::path::{Path, PathBuf};

/// LLVM bitcode.
static BITCODE: &[u8] = include_bytes!("../../../kernels/libdevice/libdevice.10.bc");
/// Its place in a CUDA toolkit.
const PLACE: &str = "nvvm/libdevice/libdevice.10.bc";
/// Where Linux systems have the toolkit; CubeCL looks there.
const TOOLKITS: [&str; 4] = ["/usr/local/cuda", "/opt/cuda", "/usr/lib/cuda", "/usr"];

/// The folder that has to stand in the environment variable `CUDA_PATH` for libdevice to be found: the file is written into
/// the user's cache, unless it is there. `None` if a toolkit has it, or `CUDA_PATH` is set.
///
/// # Errors
/// If it cannot be written: which file, and why.
pub fn libdevice_folder() -> Result<Option<PathBuf>, String> {
    let has_toolkit = TOOLKITS.iter().any(|folder| Path::new(folder).join(PLACE).is_file());
    if std::env::var_os("CUDA_PATH").is_some() || has_toolkit {
        return Ok(None);
    }
    let cache = dirs::cache_dir().unwrap_or_else(std::env::temp_dir);
    written_into(&cache.join("lorabake").join("cuda")).map(Some)
}

/// Writes the file below `folder`, unless it is there.
fn written_into(folder: &Path) -> Result<PathBuf, String> {
    let path = folder.join(PLACE);
    let told = |error: std::io::Error| {
        format!(
            "{}: {error}; NVIDIA cards need this file, set CUDA_PATH to a folder of CUDA that has it",
            path.display()
        )
    };
    if fs::read(&path).is_ok_and(|bytes| bytes == BITCODE) {
        return Ok(folder.to_owned());
    }
    fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(told)?;
    // Another process may read it meanwhile.
    let part = path.with_extension(format!("{}.part", std::process::id()));
    fs::write(&part, BITCODE).map_err(told)?;
    fs::rename(&part, &path).map_err(told)?;
    Ok(folder.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_once_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PLACE);
        for found in [None, Some("half a file")] {
            if let Some(text) = found {
                fs::write(&path, text).unwrap();
            }
            assert_eq!(written_into(folder.path()).unwrap(), folder.path());
            assert!(fs::read(&path).unwrap() == BITCODE);
        }
        let files = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(files, 1);
        fs::write(folder.path().join("file"), "").unwrap();
        let error = written_into(&folder.path().join("file")).unwrap_err();
        assert!(error.contains("set CUDA_PATH"), "{error}");
    }
}
