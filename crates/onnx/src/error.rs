//! What may be wrong with an ONNX file: each names the file, what is wrong and what to do, in one line.

use std::path::PathBuf;

/// What is wrong with a file, or with values that its network is given.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{}: {why}; name an .onnx file that can be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// It is larger than networks that describe pictures are.
    #[error("{}: it has {gigabytes:.1} GB, more than the {most} GB that are read; export a smaller model", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in GB.
        gigabytes: f64,
        /// The most that are read, in GB.
        most: u64,
    },
    /// Its network is larger than those that describe pictures are.
    #[error("{}: {why}, which networks for pictures do not; name another file", path.display())]
    Excessive {
        /// The file.
        path: PathBuf,
        /// What there is too much of.
        why: String,
    },
    /// It is something else.
    #[error("{}: it is no ONNX file ({why}); export the model with torch.onnx.export, or name another file", path.display())]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// What the runtime says.
        why: String,
    },
    /// Its weights lie in a second file, which is missing or damaged.
    #[error(
        "{}: its weights lie in another file ({why}); put that beside it, as {data}, or export the model as one file",
        path.display()
    )]
    WeightsElsewhere {
        /// The file.
        path: PathBuf,
        /// The name that the second file has by custom.
        data: String,
        /// What the runtime says.
        why: String,
    },
    /// It has an operator that the runtime does not know, or with settings that it does not know.
    #[error(
        "{}: it uses something that is not built in ({why}); export it again at opset 17, without custom or quantized \
         operators",
        path.display()
    )]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The operator and its place.
        why: String,
    },
    /// It is an ONNX file, but does not fit together.
    #[error("{}: the network in it does not fit together ({why}); download or export it again", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What the runtime says.
        why: String,
    },
    /// Values do not have the shape that the network wants.
    #[error("{}: its input `{input}` wants {wanted}, and was given {given}; name a network for such pictures", path.display())]
    WrongShape {
        /// The file.
        path: PathBuf,
        /// The input's name.
        input: String,
        /// The shape that it wants.
        wanted: String,
        /// The shape that it was given.
        given: String,
    },
    /// It cannot be computed.
    #[error("{}: it cannot be computed ({why}); export the model again, with a batch of 1", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What the runtime says.
        why: String,
    },
}

/// On one line and not too long, whatever is in the file.
pub(crate) fn one_line(text: &str) -> String {
    const LONG: usize = 200;
    let mut line: String =
        text.chars().map(|symbol| if symbol.is_control() { ' ' } else { symbol }).take(LONG).collect();
    if text.chars().count() > LONG {
        line.push('…');
    }
    line
}
