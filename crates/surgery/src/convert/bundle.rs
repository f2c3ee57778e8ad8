//! Embeddings in the file of a LoRA, as the web UI and OneTrainer have them: `bundle_emb.NAME.string_to_param.*`, for SDXL
//! `bundle_emb.NAME.clip_l` and `clip_g`; NAME is what a prompt says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lorabake_recipe::model::Family;
use lorabake_recipe::output::SavePrecision;
use lorabake_weights::NamedTensor;
use lorabake_weights::embedding::{Embedding, Vectors};
use lorabake_weights::lora::{self, ModuleTensor, NetTensors};
use safetensors::Dtype;

use crate::error::{Error, Result};
use crate::lora_file::Ready;
use crate::net;

/// Names of the tensors of an embedding for SDXL's text encoders.
const OF_SDXL: [&str; 2] = ["clip_l", "clip_g"];
/// The name of the tensor of others in a LoRA's file.
const BUNDLED: &str = "string_to_param.*";
/// The same in a file of its own.
const ALONE: &str = "emb_params";
/// What modules of text encoders begin with, for the first and the second.
const TEXT: [&[&str]; 2] = [&["lora_te_", "lora_te1_"], &["lora_te2_"]];
/// Names that Windows keeps for devices.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// An embedding that is put into a LoRA's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// What a prompt calls it.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
}

impl Added {
    /// Reads `FILE`, whose name is the embedding's, or `NAME=FILE`.
    ///
    /// # Errors
    /// When the name cannot stand in a LoRA's file.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) if !Path::new(text).exists() => (name.trim().to_string(), PathBuf::from(path)),
            _ => (Path::new(text).file_stem().unwrap_or_default().to_string_lossy().into_owned(), text.into()),
        };
        if name.is_empty() || name.contains(['.', '/', '\\']) || name.chars().any(char::is_control) {
            return Err(format!("`{name}` is no name for an embedding in a LoRA; write NAME=FILE, NAME without dots"));
        }
        Ok(Self { name, path })
    }

    /// Reads its tensors, as they are called in a LoRA's file.
    ///
    /// # Errors
    /// When it cannot be read, or is for text encoders of another size than the net's.
    fn read(&self, net: &NetTensors, family: Family) -> Result<Vec<(&'static str, ModuleTensor)>> {
        let embedding = Embedding::open(&self.path)?;
        let needed = if family == Family::Sdxl { 2 } else { 1 };
        let wrong = |what: String| Error::wrong(self.path.display(), what, "give an embedding for the LoRA's model");
        if embedding.vectors.len() != needed {
            let what = format!("it is for {} text encoders, {} has {needed}", embedding.vectors.len(), family.name());
            return Err(wrong(what));
        }
        for (Vectors { width, .. }, starts) in embedding.vectors.iter().zip(TEXT) {
            if let Some(own) = width_of(net, starts)
                && own != *width
            {
                return Err(wrong(format!("its vectors are {width} wide, the LoRA's text encoder is {own}")));
            }
        }
        let names: &[&'static str] = if needed == 2 { &OF_SDXL } else { &[BUNDLED] };
        let mut tensors = Vec::new();
        for (name, vectors) in names.iter().zip(embedding.vectors) {
            tensors.push((*name, ModuleTensor { shape: vec![vectors.count(), vectors.width], values: vectors.rows }));
        }
        Ok(tensors)
    }
}

/// How wide a text encoder is, if a module tells.
fn width_of(net: &NetTensors, starts: &[&str]) -> Option<usize> {
    let module = net
        .modules()
        .find(|name| starts.iter().any(|start| name.starts_with(start)) && name.ends_with("self_attn_q_proj"))?;
    net.shape(module, "lora_down.weight")?.get(1).copied()
}

/// The embeddings that a net's file has, as they are, if it `keeps` them, and those that are put into it, which win.
///
/// # Errors
/// When one cannot be read or does not fit.
pub fn bundle(net: &NetTensors, added: &[Added], family: Family, dtype: Dtype, keeps: bool) -> Result<Ready> {
    let mut ready = Ready::default();
    for (name, tensors) in net.read_embeddings()? {
        if !keeps || added.iter().any(|added| added.name == name) {
            continue;
        }
        for (leaf, tensor) in tensors {
            ready.push_same(format!("bundle_emb.{name}.{leaf}"), &tensor, dtype);
        }
    }
    let mut names = BTreeSet::new();
    for one in added {
        if !names.insert(&one.name) {
            let what = format!("two embeddings are called {}", one.name);
            return Err(Error::wrong("--add_embedding", what, "write NAME=FILE for one of them"));
        }
        for (leaf, tensor) in one.read(net, family)? {
            ready.push_same(format!("bundle_emb.{}.{leaf}", one.name), &tensor, dtype);
        }
    }
    Ok(ready)
}

/// Writes the embeddings in a LoRA's file as files of their own, in f32, which all web UIs read; returns their paths.
///
/// # Errors
/// When there are none, one cannot be read or written, or a file is there already.
pub fn unbundle(path: &Path, folder: &Path, overwrite: bool) -> Result<Vec<PathBuf>> {
    let net = net::open(path, None)?;
    let mut files: BTreeMap<PathBuf, Vec<NamedTensor>> = BTreeMap::new();
    for (name, tensors) in net.read_embeddings()? {
        let embedding = Embedding::of_tensors(&tensors)
            .map_err(|what| Error::wrong(net.label(), format!("{name}: {what}"), "give an undamaged file"))?;
        let names: &[&str] = if embedding.vectors.len() == 2 { &OF_SDXL } else { &[ALONE] };
        let mut own = Vec::new();
        for (name, vectors) in names.iter().zip(embedding.vectors) {
            let shape = vec![vectors.count(), vectors.width];
            own.push(NamedTensor { name: (*name).to_string(), shape, values: vectors.rows });
        }
        let file = folder.join(format!("{}.safetensors", file_stem(&name)));
        if file.exists() && !overwrite {
            let what = format!("{} is there already", file.display());
            return Err(Error::wrong("--embeddings_to", what, "give another folder, or --overwrite"));
        }
        if files.insert(file.clone(), own).is_some() {
            let what = format!("two of its embeddings would be {}", file.display());
            return Err(Error::wrong(net.label(), what, "rename one of them"));
        }
    }
    if files.is_empty() {
        return Err(Error::wrong(net.label(), "it has no embeddings", "leave --embeddings_to out"));
    }
    for (file, tensors) in &files {
        lora::save(file, tensors.clone(), SavePrecision::F32, BTreeMap::new())?;
    }
    Ok(files.into_keys().collect())
}

/// A name that every system takes for a file: it comes from a stranger's file.
fn file_stem(name: &str) -> String {
    let taken: String = name
        .chars()
        .map(|symbol| if symbol.is_control() || r#"<>:"/\|?*"#.contains(symbol) { '_' } else { symbol })
        .take(80)
        .collect();
    let stem = taken.trim().trim_end_matches('.').to_string();
    if stem.is_empty() || DEVICES.contains(&stem.to_lowercase().as_str()) { format!("{stem}_") } else { stem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_typed_or_those_of_files() {
        let of = |text: &str| Added::parse(text).map(|added| (added.name, added.path.display().to_string()));
        assert_eq!(of("in/penny.pt"), Ok(("penny".into(), "in/penny.pt".into())));
        assert_eq!(of("red hat=penny.pt"), Ok(("red hat".into(), "penny.pt".into())));
        for wrong in ["a.b=penny.pt", "=penny.pt", "a/b=x.pt", "two.dots.pt"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_strangers_name_stays_in_its_folder() {
        assert_eq!(file_stem("../../etc/passwd"), ".._.._etc_passwd");
        assert_eq!(file_stem("<penny>"), "_penny_");
        assert_eq!(file_stem("NUL"), "NUL_");
        assert_eq!(file_stem(""), "_");
        assert_eq!(file_stem("a\u{1b}[31m"), "a_[31m");
    }
}
