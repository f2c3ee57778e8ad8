//! The files of a pack.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// A pack of recorded cases.
#[derive(Debug, Clone)]
pub struct Pack {
    dir: PathBuf,
    models: PathBuf,
}

impl Pack {
    /// The pack at `dir`; `models` has the tiny checkpoints.
    pub fn new(dir: &Path, models: &Path) -> Self {
        Self { dir: dir.to_owned(), models: models.to_owned() }
    }

    /// Whether the pack has a file or folder `name`.
    pub fn has(&self, name: &str) -> bool {
        self.dir.join(name).exists()
    }

    /// Where the file `name` is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The tiny checkpoint of `family`: `sd15`, `sd2` or `sdxl`.
    pub fn model(&self, family: &str) -> PathBuf {
        self.models.join(format!("{family}_tiny.safetensors"))
    }

    /// A JSON file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn json(&self, name: &str) -> Result<Value> {
        let text = fs::read_to_string(self.path(name)).with_context(|| name.to_owned())?;
        serde_json::from_str(&text).with_context(|| name.to_owned())
    }

    /// The list `cases` of a JSON file; none if the pack lacks the file.
    ///
    /// # Errors
    /// When it cannot be read, or has no such list.
    pub fn cases(&self, name: &str) -> Result<Vec<Value>> {
        if !self.has(name) {
            return Ok(Vec::new());
        }
        let cases = self.json(name)?["cases"].as_array().cloned();
        cases.with_context(|| format!("{name} has no list of cases"))
    }

    /// A safetensors file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn tensors(&self, name: &str) -> Result<Tensors> {
        let bytes = fs::read(self.path(name)).with_context(|| name.to_owned())?;
        SafeTensors::deserialize(&bytes).with_context(|| name.to_owned())?;
        Ok(Tensors { file: name.to_owned(), bytes })
    }
}

/// A safetensors file of recorded tensors.
#[derive(Debug)]
pub struct Tensors {
    file: String,
    bytes: Vec<u8>,
}

impl Tensors {
    /// All names, in no particular order.
    ///
    /// # Errors
    /// Never, since the file was read before.
    pub fn names(&self) -> Result<Vec<String>> {
        Ok(self.parsed()?.names().into_iter().map(ToString::to_string).collect())
    }

    /// Whether a tensor is there.
    pub fn has(&self, name: &str) -> bool {
        self.parsed().is_ok_and(|parsed| parsed.tensor(name).is_ok())
    }

    /// The shape of a tensor.
    ///
    /// # Errors
    /// When it is not there.
    pub fn shape(&self, name: &str) -> Result<Vec<usize>> {
        let parsed = self.parsed()?;
        let view = parsed.tensor(name).with_context(|| format!("{}: {name}", self.file))?;
        Ok(view.shape().to_vec())
    }

    /// The numbers of a tensor of floats or signed integers, row-major.
    ///
    /// # Errors
    /// When it is not there, or of another type.
    pub fn f32(&self, name: &str) -> Result<Vec<f32>> {
        let parsed = self.parsed()?;
        let view = parsed.tensor(name).with_context(|| format!("{}: {name}", self.file))?;
        let data = view.data();
        match view.dtype() {
            Dtype::F32 => Ok(data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
            Dtype::F64 => Ok(data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect()),
            Dtype::I32 => Ok(data.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes) as f32).collect()),
            Dtype::I64 => Ok(data.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes) as f32).collect()),
            other => anyhow::bail!("{}: {name} is {other:?}", self.file),
        }
    }

    /// The bytes of a tensor of u8, row-major.
    ///
    /// # Errors
    /// When it is not there, or of another type.
    pub fn u8(&self, name: &str) -> Result<Vec<u8>> {
        let parsed = self.parsed()?;
        let view = parsed.tensor(name).with_context(|| format!("{}: {name}", self.file))?;
        ensure!(view.dtype() == Dtype::U8, "{}: {name} is {:?}", self.file, view.dtype());
        Ok(view.data().to_vec())
    }

    /// A text of the file's metadata.
    ///
    /// # Errors
    /// When it is not there.
    pub fn metadata(&self, key: &str) -> Result<String> {
        let (_, header) = SafeTensors::read_metadata(&self.bytes).with_context(|| self.file.clone())?;
        let value = header.metadata().as_ref().and_then(|texts| texts.get(key)).cloned();
        value.with_context(|| format!("{} has no metadata {key}", self.file))
    }

    fn parsed(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.bytes).with_context(|| self.file.clone())
    }
}
