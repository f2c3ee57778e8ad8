//! A pack of recorded runs: its cases, LoRAs, and the checkpoints that its patches make.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lorabake_recipe::output::SavePrecision;
use lorabake_replay::Tensors;
use lorabake_surgery::output::{Output, dtype_of};
use lorabake_weights::Checkpoint;
use lorabake_weights::lora::{RawTensor, save_raw};
use lorabake_weights::stream;
use safetensors::Dtype;
use serde_json::Value;
use tempfile::TempDir;

/// The folder with runs of sd-scripts' tools in a pack of its trainings.
pub const PLAIN: &str = "tools";

/// An open pack.
pub struct Pack {
    dir: PathBuf,
    models: PathBuf,
    made: TempDir,
}

impl Pack {
    /// # Errors
    /// When there is no place for files.
    pub fn open(dir: &Path, models: &Path) -> Result<Self> {
        Ok(Self { dir: dir.to_path_buf(), models: models.to_path_buf(), made: tempfile::tempdir()? })
    }

    /// The cases of a folder; `None` if the pack has no such folder.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn cases(&self, folder: &str) -> Result<Option<BTreeMap<String, Value>>> {
        let mut path = self.dir.join(folder).join("cases.json");
        if folder == PLAIN {
            path = self.dir.join("info.json");
        }
        if !path.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(Some(serde_json::from_str(&text).with_context(|| path.display().to_string())?))
    }

    /// A file of the pack by what a case calls it.
    pub fn file(&self, name: &str) -> PathBuf {
        let name = name.trim_start_matches("pack/open/tools/");
        let name = if name.ends_with(".safetensors") { name.to_string() } else { format!("{name}.safetensors") };
        self.dir.join(name)
    }

    /// Recorded tensors.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn tensors(&self, name: &str) -> Result<Tensors> {
        lorabake_replay::Pack::new(&self.dir, &self.models).tensors(name)
    }

    /// Where a result goes.
    pub fn output(&self, precision: Option<SavePrecision>) -> Output {
        Output { path: self.made.path().join("result.safetensors"), precision, overwrite: true }
    }

    /// A checkpoint by what a case calls it: `models/sd15_tiny`, `sd15_tuned`, `sd15_B_f32`, `sd15_A16` and so on.
    ///
    /// # Errors
    /// When it cannot be read or made.
    pub fn model(&self, name: &str) -> Result<PathBuf> {
        let name = name.trim_start_matches("pack/").trim_start_matches("models/").trim_start_matches("inputs/");
        let name = if name == "out/tuned.safetensors" { "sd15_tuned" } else { name.trim_end_matches(".safetensors") };
        let plain = self.models.join(format!("{name}.safetensors"));
        if plain.is_file() {
            return Ok(plain);
        }
        let made = self.made.path().join(format!("{name}.safetensors"));
        if made.is_file() {
            return Ok(made);
        }
        let (family, what) = name.split_once('_').context("a model's name has its family")?;
        let (what, precision) = match what {
            _ if what.ends_with("_f32") => (what.trim_end_matches("_f32"), Some(SavePrecision::F32)),
            // supermerger's models are in f32 unless they are called otherwise.
            "A16" | "B16" | "C16" => (&what[..1], None),
            "A" | "B" | "C" => (what, Some(SavePrecision::F32)),
            _ => (what, None),
        };
        let base = Checkpoint::open(&self.models.join(format!("{family}_tiny.safetensors")))?;
        let mut patch = self.dir.join(format!("inputs/{family}_{what}.safetensors"));
        if !patch.is_file() {
            patch = self.dir.join(format!("inputs/{what}_patch.safetensors"));
        }
        let patch = if what == "A" || what == "tiny" {
            None
        } else {
            Some(lorabake_weights::formats::tensor_file::TensorFile::open(&patch)?)
        };
        let mut tensors = Vec::new();
        for name in base.names() {
            let patched = patch.as_ref().filter(|patch| patch.shape(name).is_some());
            let own = base.dtype(name).context("a dtype")?;
            let dtype = match precision {
                Some(precision) if own != Dtype::I64 => dtype_of(precision),
                _ => patched.and_then(|patch| patch.dtype(name)).unwrap_or(own),
            };
            let bytes = if own == Dtype::I64 {
                base.copied(name)?.into_owned()
            } else {
                let values = match patched {
                    Some(patch) => patch.read_f32(name)?,
                    None => base.read_f32(name)?,
                };
                stream::encode(&values, dtype).bytes
            };
            let shape = base.shape(name).context("a shape")?.to_vec();
            tensors.push(RawTensor { name: name.clone(), dtype, shape, bytes });
        }
        save_raw(&made, tensors, BTreeMap::new())?;
        Ok(made)
    }
}
