//! What a file says of itself, changed; its tensors stay, byte by byte, and so does `sshs_model_hash`, which is of them alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use lorabake_weights::Error as FileError;
use lorabake_weights::formats::tensor_file::TensorFile;
use lorabake_weights::whole_file;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::output::Output;

/// What is to be changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edit {
    /// The file.
    pub path: PathBuf,
    /// Keys that are set.
    pub set: BTreeMap<String, String>,
    /// Keys that are removed; a `*` at the end stands for any rest.
    pub remove: Vec<String>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Edited {
    /// Keys that are new or have another value.
    pub set: usize,
    /// Keys that are gone.
    pub removed: usize,
}

/// Edits.
///
/// # Errors
/// When the file is no safetensors file, nothing would change, or the result cannot be written.
pub fn edit(request: &Edit, output: &Output) -> Result<Edited> {
    output.check(&[&request.path])?;
    // Whole, and of the format.
    TensorFile::open(&request.path)?;
    let unreadable = |source| Error::from(FileError::Read { file: request.path.display().to_string(), source });
    let mut file = File::open(&request.path).map_err(unreadable)?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    // A file of PyTorch has no such length in front.
    let length = u64::from_le_bytes(length).min(size - 8);
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(unreadable)?;
    let parsed: Option<Map<String, Value>> = serde_json::from_slice(&header).ok();
    let Some(mut entries) = parsed else {
        let what = "it is no safetensors file";
        return Err(Error::wrong(request.path.display(), what, "convert it first: `lorabake convert`"));
    };
    let start = 8 + header.len() as u64;
    let mut metadata = match entries.remove("__metadata__") {
        Some(Value::Object(metadata)) => metadata,
        _ => Map::new(),
    };
    missing(request, &metadata)?;
    let edited = change(request, &mut metadata);
    if edited == Edited::default() {
        let what = "it says all of this already";
        return Err(Error::wrong(request.path.display(), what, "there is nothing to change"));
    }
    let mut whole = Map::new();
    whole.insert("__metadata__".into(), Value::Object(metadata));
    whole.extend(entries);
    let mut json = Value::Object(whole).to_string();
    json.extend(std::iter::repeat_n(' ', json.len().next_multiple_of(8) - json.len()));
    file.seek(SeekFrom::Start(start)).map_err(unreadable)?;
    let failed = |source| Error::from(FileError::Save { path: output.path.clone(), source });
    whole_file::write(&output.path, |out| {
        out.write_all(&(json.len() as u64).to_le_bytes())?;
        out.write_all(json.as_bytes())?;
        std::io::copy(&mut file, out).map(drop)
    })
    .map_err(failed)?;
    Ok(edited)
}

/// Whether a word of --remove means a key.
fn means(remove: &str, key: &str) -> bool {
    match remove.strip_suffix('*') {
        Some(start) => key.starts_with(start),
        None => key == remove,
    }
}

/// # Errors
/// When the file has none of the keys that one word of --remove means.
fn missing(request: &Edit, metadata: &Map<String, Value>) -> Result<()> {
    for remove in &request.remove {
        if !metadata.keys().any(|key| means(remove, key)) {
            let what = format!("{} has no such key", request.path.display());
            let remedy = "look at its keys by `lorabake inspect --json`";
            return Err(Error::wrong(format!("--remove {remove}"), what, remedy));
        }
    }
    Ok(())
}

fn change(request: &Edit, metadata: &mut Map<String, Value>) -> Edited {
    let mut edited = Edited::default();
    let before = metadata.len();
    metadata.retain(|key, _| !request.remove.iter().any(|remove| means(remove, key)));
    edited.removed = before - metadata.len();
    for (key, value) in &request.set {
        let value = Value::String(value.clone());
        edited.set += usize::from(metadata.get(key) != Some(&value));
        metadata.insert(key.clone(), value);
    }
    edited
}
