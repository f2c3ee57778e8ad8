//! Embeddings (textual inversions) of a folder and of LoRA files, by the names with which prompts call them.
//!
//! As the web UI has it, a name is found by its token ids, so case does not matter. Files that cannot be used are skipped
//! and named.

mod folder;
mod name;
mod picture;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lorabake_model::Bundle;
use lorabake_model::tokenizer::Cleaning;
use lorabake_weights::embedding::{Embedding, Vectors};
use lorabake_weights::lora::ModuleTensor;

pub use name::EmbeddingName;

/// Embeddings that fit a checkpoint.
#[derive(Debug, Clone, Default)]
pub struct EmbeddingTable {
    encoders: Vec<Encoder>,
    entries: Vec<Entry>,
    /// For each text encoder, the name of each entry.
    names: Vec<Vec<EmbeddingName>>,
    skipped: Vec<Skipped>,
}

/// What is to be known of a text encoder.
#[derive(Debug, Clone, Copy)]
struct Encoder {
    width: usize,
    cleaning: Cleaning,
}

/// An embedding and where it comes from.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The name with which prompts call it.
    pub name: String,
    /// The vectors for each text encoder.
    pub embedding: Embedding,
    /// The file of its own; `None` if it lies in the file of a LoRA.
    pub path: Option<PathBuf>,
    /// The path of its file, or that of the LoRA's.
    pub file: String,
}

/// An embedding that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The name with which prompts would call it.
    pub name: String,
    /// The file, or the LoRA's, and what is wrong.
    pub reason: String,
}

impl EmbeddingTable {
    /// None yet, for the text encoders of `bundle`.
    pub fn new(bundle: &Bundle) -> Self {
        let encoders = bundle.texts.iter().map(|text| Encoder { width: text.width(), cleaning: text.model().cleaning });
        Self::of(encoders.collect())
    }

    fn of(encoders: Vec<Encoder>) -> Self {
        let names = vec![Vec::new(); encoders.len()];
        Self { encoders, names, ..Self::default() }
    }

    /// Adds the embeddings of a folder and the folders in it. A name is that of its file without the ending; pictures may
    /// give one of their own, and those without an embedding are passed over.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn add_folder(&mut self, dir: &Path) -> anyhow::Result<()> {
        for path in folder::files(dir)? {
            let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned) else { continue };
            if folder::is_picture(&path) {
                self.add_picture(path, name);
                continue;
            }
            match Embedding::open(&path) {
                Ok(embedding) => {
                    let label = path.display().to_string();
                    self.add(Entry { name, embedding, path: Some(path), file: label.clone() }, &label);
                }
                Err(error) => self.skipped.push(Skipped { name, reason: format!("{error}; it is left out") }),
            }
        }
        Ok(())
    }

    /// Adds the embedding in a picture, if there is one. Previews of other files have none, which the web UI calls so.
    fn add_picture(&mut self, path: PathBuf, name: String) {
        if name.to_lowercase().ends_with(".preview") {
            return;
        }
        let label = path.display().to_string();
        match picture::open(&path) {
            Ok(None) => {}
            Ok(Some(picture::Pictured { name: own, embedding })) => {
                let name = own.unwrap_or(name);
                self.add(Entry { name, embedding, path: Some(path), file: label.clone() }, &label);
            }
            Err(reason) => {
                let reason = format!("{label}: the embedding in it cannot be used: {reason}; it is left out");
                self.skipped.push(Skipped { name, reason });
            }
        }
    }

    /// Adds the embeddings that lie in the file of a LoRA; one whose name is here already is left out, so those of a folder
    /// win. `label` stands for the LoRA's path in messages.
    pub fn add_bundled(&mut self, bundled: &BTreeMap<String, BTreeMap<String, ModuleTensor>>, label: &str) {
        for (name, tensors) in bundled {
            let file = label.to_owned();
            let label = format!("{label}: the embedding {name} in it");
            match Embedding::of_tensors(tensors) {
                Ok(embedding) => self.add(Entry { name: name.clone(), embedding, path: None, file }, &label),
                Err(reason) => {
                    let reason = format!("{label} cannot be used: {reason}");
                    self.skipped.push(Skipped { name: name.clone(), reason });
                }
            }
        }
    }

    /// Adds one whose name is not here yet.
    fn add(&mut self, entry: Entry, label: &str) {
        let Entry { name, embedding, .. } = &entry;
        let widths: Vec<usize> = self.encoders.iter().map(|encoder| encoder.width).collect();
        let mut reason = embedding.misfit(&widths);
        if let Some(other) = self.get(name) {
            let other = other.path.as_ref().map_or_else(|| "another".to_owned(), |path| path.display().to_string());
            reason = Some(format!("{other} has the same name"));
        }
        let mut names = Vec::with_capacity(self.encoders.len());
        for encoder in &self.encoders {
            match EmbeddingName::new(name, embedding.count(), encoder.cleaning) {
                Ok(name) => names.push(name),
                Err(error) => reason = Some(error.to_string()),
            }
        }
        if let Some(reason) = reason {
            let reason = format!("{label}: {reason}; it is left out");
            self.skipped.push(Skipped { name: name.clone(), reason });
            return;
        }
        for (all, name) in self.names.iter_mut().zip(names) {
            all.push(name);
        }
        self.entries.push(entry);
    }

    /// All embeddings, by their numbers.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The embedding of a name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The names of all embeddings, by their numbers, as text encoder number `encoder` reads them.
    pub fn names(&self, encoder: usize) -> &[EmbeddingName] {
        self.names.get(encoder).map_or(&[], Vec::as_slice)
    }

    /// The vectors of embedding `number` for text encoder number `encoder`.
    ///
    /// # Panics
    /// If there is no such embedding or encoder.
    pub fn vectors(&self, encoder: usize, number: usize) -> &Vectors {
        &self.entries[number].embedding.vectors[encoder]
    }

    /// The embeddings that cannot be used although `text` has their name, whatever its case.
    pub fn skipped_in(&self, text: &str) -> Vec<&Skipped> {
        let text = text.to_lowercase();
        self.skipped.iter().filter(|skipped| text.contains(&skipped.name.to_lowercase())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An embedding of so many vectors of this width.
    fn entry(name: &str, count: usize, width: usize) -> Entry {
        let vectors = Vectors { width, rows: vec![1.0; width * count] };
        Entry {
            name: name.to_owned(),
            embedding: Embedding { vectors: vec![vectors] },
            path: None,
            file: String::new(),
        }
    }

    fn table() -> EmbeddingTable {
        let mut table = EmbeddingTable::of(vec![Encoder { width: 4, cleaning: Cleaning::Clip }]);
        table.add(entry("Bad Hand", 2, 4), "Bad Hand.pt");
        table
    }

    #[test]
    fn a_name_is_its_tokens() {
        let table = table();
        assert_eq!(table.names(0)[0].ids, lorabake_model::tokenizer::Tokenizer::new().encode("bad hand"));
        assert_eq!(table.names(0)[0].vectors, 2);
        assert_eq!(table.vectors(0, 0).rows.len(), 8);
        assert!(table.names(1).is_empty());
    }

    #[test]
    fn what_does_not_fit_is_named_where_a_prompt_calls_it() {
        let mut table = table();
        table.add(entry("Wide", 1, 8), "embeddings/Wide.pt");
        assert!(table.get("Wide").is_none());
        let skipped = table.skipped_in("a wide bad hand");
        assert_eq!(skipped.len(), 1);
        let reason = "embeddings/Wide.pt: its vectors are 8 wide, this checkpoint needs 4; it is left out";
        assert_eq!(skipped[0].reason, reason);
        assert!(table.skipped_in("a bad hand").is_empty());
        table.add(entry(" ", 1, 4), "nameless.pt");
        assert_eq!(table.entries().len(), 1);
    }

    #[test]
    fn of_one_name_the_first_stays() {
        let mut table = table();
        let tensor = ModuleTensor { shape: vec![1, 4], values: vec![9.0; 4] };
        let tensors = BTreeMap::from([("string_to_param.*".to_string(), tensor)]);
        let bundled = BTreeMap::from([("Bad Hand".to_string(), tensors.clone()), ("other".to_string(), tensors)]);
        table.add_bundled(&bundled, "lora.safetensors");
        assert_eq!(table.get("Bad Hand").unwrap().embedding.count(), 2);
        assert_eq!(table.get("other").unwrap().embedding.count(), 1);
        assert_eq!(table.skipped_in("bad hand").len(), 1);
    }

    #[test]
    fn folders_are_read_and_safetensors_come_first() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("broken.pt"), b"no pickle").unwrap();
        std::fs::write(dir.path().join("notes.txt"), b"no embedding").unwrap();
        let inner = dir.path().join("styles");
        std::fs::create_dir(&inner).unwrap();
        let numbers: Vec<u8> = [0.5_f32; 8].iter().flat_map(|number| number.to_le_bytes()).collect();
        let header = br#"{"emb_params":{"dtype":"F32","shape":[2,4],"data_offsets":[0,32]}}      "#;
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header);
        file.extend(numbers);
        std::fs::write(inner.join("mystyle.safetensors"), file).unwrap();
        let mut table = table();
        table.add_folder(dir.path()).unwrap();
        assert_eq!(table.get("mystyle").unwrap().embedding.count(), 2);
        assert_eq!(table.skipped_in("broken").len(), 1);
        assert!(table.add_folder(&dir.path().join("missing")).is_err());
    }
}
