//! What can go wrong with a file of tensors, in words that name the file and the remedy.

use std::path::PathBuf;

/// Errors of this crate; every message is one line and names the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be opened or read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file as given.
        file: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The file was written to, cut or taken away after it was opened.
    #[error(
        "{0}: it was changed or removed while it was in use; put the whole file back, leave it alone until the end, and run \
         again"
    )]
    Changed(String),
    /// The file is neither safetensors nor one of PyTorch.
    #[error("{file} is not a safetensors file: {looks_like}")]
    NotSafetensors {
        /// The file as given.
        file: String,
        /// What it looks like, and what to do.
        looks_like: String,
    },
    /// A PyTorch file that is damaged, or has what is not read.
    #[error("{file} cannot be read as a PyTorch .ckpt (pickle): {reason}")]
    NotTorch {
        /// The file as given.
        file: String,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A PyTorch file that attacks whoever opens it with PyTorch.
    #[error(
        "{file} is malicious: PyTorch would run {function} on opening it (nothing was run here); delete it and get \
         the model from a place that you trust"
    )]
    Malicious {
        /// The file as given.
        file: String,
        /// What it would run, by its name in Python.
        function: String,
    },
    /// A PyTorch file that calls what no model needs.
    #[error(
        "{file} is suspicious: PyTorch would call {function} on opening it, which no model needs (nothing was run here); \
         get it as .safetensors, or from a place that you trust"
    )]
    Suspicious {
        /// The file as given.
        file: String,
        /// What it would call, by its name in Python.
        function: String,
    },
    /// The file is something else than a whole `.npz` file.
    #[error("{file} is no whole .npz file: {reason}")]
    NotNpz {
        /// The file as given.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file's size disagrees with its header.
    #[error("{file} is {} bytes but its header describes {expected}: {}", actual, size_advice(*expected, *actual))]
    WrongSize {
        /// The file as given.
        file: String,
        /// Bytes according to the header (for a cut header: at least so many).
        expected: u64,
        /// Bytes on disk.
        actual: u64,
    },
    /// A whole safetensors file, but not one of the kind that is needed.
    #[error("{file} cannot be used here: {reason}")]
    WrongKind {
        /// The file as given.
        file: String,
        /// What it is instead, and what to do.
        reason: String,
    },
    /// A tensor that was asked for is not there.
    #[error("{file} has no tensor named {name}")]
    NoTensor {
        /// The file as given.
        file: String,
        /// The tensor's name.
        name: String,
    },
    /// A tensor holds numbers of a type that is not read.
    #[error("{file}: tensor {name} holds {dtype} numbers; only F8, F16, BF16, F32, F64 and I64 can be read")]
    Dtype {
        /// The file as given.
        file: String,
        /// The tensor's name.
        name: String,
        /// The type of its numbers, as in the file.
        dtype: String,
    },
    /// A tensor holds infinities or what is not a number.
    #[error(
        "{file}: {name} holds values that are not finite; the file is damaged, or was merged wrongly; use {remedy}"
    )]
    NotFinite {
        /// The file as given.
        file: String,
        /// The tensor's name.
        name: String,
        /// What to use instead.
        remedy: &'static str,
    },
    /// Keys of one part of a checkpoint are missing, mis-shaped or unknown.
    #[error("{file}: the {part} does not fit: {problems}")]
    Unfit {
        /// The file as given.
        file: String,
        /// Which part.
        part: &'static str,
        /// The lists, joined.
        problems: String,
    },
    /// The result could not be written; whatever was at `path` before is still there.
    #[error("cannot save {}: {source}", path.display())]
    Save {
        /// Where the file was to go.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A tensor to be saved has another number of values than its shape says.
    #[error("cannot save {}: tensor {name} has {values} values but shape {shape:?}", path.display())]
    SaveShape {
        /// Where the file was to go.
        path: PathBuf,
        /// The tensor's name.
        name: String,
        /// Number of values given.
        values: usize,
        /// Shape given.
        shape: Vec<usize>,
    },
}

fn size_advice(expected: u64, actual: u64) -> &'static str {
    if actual < expected {
        "it is cut short; download or copy it again"
    } else {
        "it has bytes after its end; download or copy it again"
    }
}
