//! The file of a tagger: where it lies in a folder, and what a file is that is none.

use std::path::{Path, PathBuf};

use crate::error::Error;

/// What is said of models that write sentences.
const SENTENCES: &str = "it is a model that writes sentences (BLIP, Florence or so), which is not built in; let its own \
                         program write NAME.txt beside each NAME.png, which is read as its caption, or name a tagger (WD, \
                         JoyTag, cl_tagger)";

/// The ONNX file of the tagger at `path`, which is that file or its folder.
///
/// # Errors
/// When there is none, or several, or it is a file of another kind.
pub fn find(path: &Path) -> Result<PathBuf, Error> {
    if path.is_dir() {
        return in_folder(path);
    }
    if !path.exists() {
        return Err(Error::of(path, "there is no such file or folder; name a tagger's model.onnx, or its folder"));
    }
    let suffix = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let kind = match suffix.as_str() {
        "safetensors" | "pt" | "pth" | "ckpt" | "bin" => "a file of PyTorch",
        "h5" | "keras" | "pb" | "msgpack" => "a file of TensorFlow or JAX",
        "gguf" => "a language model",
        "csv" | "json" | "txt" => "a list of tags",
        _ => return Ok(path.to_owned()),
    };
    let what = format!("it is {kind}; name model.onnx of the same tagger, which most pages of taggers have");
    Err(Error::of(path, what))
}

fn in_folder(folder: &Path) -> Result<PathBuf, Error> {
    for name in ["model.onnx", "model_optimized.onnx"] {
        let file = folder.join(name);
        if file.is_file() {
            return Ok(file);
        }
    }
    let listed =
        std::fs::read_dir(folder).map_err(|why| Error::of(folder, format!("{why}; name a folder that can be read")))?;
    let mut files = Vec::new();
    let mut writes_sentences = false;
    for entry in listed.flatten() {
        let path = entry.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        writes_sentences |= name.contains("decoder") && name.ends_with(".onnx");
        if path.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("onnx")) {
            files.push(path);
        }
    }
    files.sort();
    match files.len() {
        _ if writes_sentences => Err(Error::of(folder, SENTENCES)),
        1 => Ok(files.remove(0)),
        0 => Err(Error::of(
            folder,
            "there is no .onnx file in it; put the tagger's model.onnx and its list of tags there",
        )),
        count => {
            let what = format!("there are {count} .onnx files in it; name one of them");
            Err(Error::of(folder, what))
        }
    }
}
