//! The hashes by which web UIs know a model file.
//!
//! Definitions: sd-scripts `model_hash`, `calculate_sha256`, `addnet_hash_legacy`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::formats::tensor_file::TensorFile;

/// Where the bytes of the old hash begin, and how many there are.
const WINDOW: std::ops::Range<u64> = 0x100000..0x110000;

/// What sd-scripts says of folders.
const FOLDER: &str = "IsADirectory";

/// The hashes of a checkpoint, old and new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelHashes {
    /// `ss_sd_model_hash`: the first eight hex digits of the SHA-256 of 0x10000 bytes at 0x100000.
    pub legacy: String,
    /// `ss_new_sd_model_hash`: SHA-256 of the whole file, in hex.
    pub sha256: String,
}

impl ModelHashes {
    /// Hashes of a file in memory.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut window = LegacyWindow::new();
        window.update(bytes);
        Self { legacy: window.finish(), sha256: hex(&Sha256::digest(bytes)) }
    }

    /// Hashes of a file on disk, which is read once; for a folder, sd-scripts' word instead of a hash. Takes seconds for
    /// gigabytes: see [`ModelHashes::in_background`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        if path.is_dir() {
            return Ok(Self { legacy: FOLDER.into(), sha256: FOLDER.into() });
        }
        let mut file = File::open(path)?;
        let mut all = Sha256::new();
        let mut window = LegacyWindow::new();
        in_pieces(&mut file, |piece| {
            all.update(piece);
            window.update(piece);
        })?;
        Ok(Self { legacy: window.finish(), sha256: hex(&all.finalize()) })
    }

    /// The old hash alone, which needs little of the file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn legacy_of(path: &Path) -> io::Result<String> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(WINDOW.start))?;
        let mut window = Vec::new();
        file.take(WINDOW.end - WINDOW.start).read_to_end(&mut window)?;
        Ok(hex(&Sha256::digest(&window))[..8].to_string())
    }

    /// [`ModelHashes::of_file`] in a thread of its own; they are not needed before the first save.
    pub fn in_background(path: PathBuf) -> JoinHandle<io::Result<Self>> {
        thread::spawn(move || Self::of_file(&path))
    }
}

/// The hash by which the web UI knows a LoRA, in hex: what its metadata call `sshs_model_hash`, else the SHA-256 of the
/// bytes behind a safetensors header, else of the whole file.
///
/// # Errors
/// When the file cannot be read.
pub fn network_hash(path: &Path) -> Result<String, Error> {
    if let Ok(file) = TensorFile::open(path)
        && let Some(said) = file.metadata().get("sshs_model_hash")
        && said.len() == 64
        && said.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return Ok(said.to_ascii_lowercase());
    }
    let read = |source| Error::Read { file: path.display().to_string(), source };
    let hashes = FileHashes::of(path).map_err(read)?;
    Ok(hashes.tensors.unwrap_or(hashes.sha256))
}

/// Hashes that need the whole file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileHashes {
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// SHA-256 of a safetensors file's bytes after its header, which `sshs_model_hash` is.
    pub tensors: Option<String>,
}

impl FileHashes {
    /// Reads the file once.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut head = [0; 9];
        let short = file.read_exact(&mut head).is_err();
        let length = u64::from_le_bytes(head[..8].try_into().expect("eight bytes"));
        let start = if !short && head[8] == b'{' { Some(length.saturating_add(8)) } else { None };
        file.rewind()?;
        let mut all = Sha256::new();
        let mut tensors = Sha256::new();
        let mut at = 0_u64;
        in_pieces(&mut file, |piece| {
            all.update(piece);
            let skipped = start.unwrap_or(0).saturating_sub(at).min(piece.len() as u64) as usize;
            tensors.update(&piece[skipped..]);
            at += piece.len() as u64;
        })?;
        Ok(Self { sha256: hex(&all.finalize()), tensors: start.map(|_| hex(&tensors.finalize())) })
    }
}

/// Hands what is left of a file to `take`, piece after piece.
fn in_pieces(file: &mut File, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => take(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The old hash of a file whose bytes pass by in order.
pub(crate) struct LegacyWindow {
    hash: Sha256,
    position: u64,
}

impl LegacyWindow {
    pub(crate) fn new() -> Self {
        Self { hash: Sha256::new(), position: 0 }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let end = self.position + bytes.len() as u64;
        let from = self.position.max(WINDOW.start);
        let to = end.min(WINDOW.end);
        if from < to {
            self.hash.update(&bytes[(from - self.position) as usize..(to - self.position) as usize]);
        }
        self.position = end;
    }

    pub(crate) fn finish(self) -> String {
        hex(&self.hash.finalize())[..8].to_string()
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
