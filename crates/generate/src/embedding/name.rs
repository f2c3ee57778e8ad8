//! Names of embeddings as a text encoder's tokens.

use lorabake_model::tokenizer::{Cleaning, Tokenizer};
use lorabake_weights::embedding::MOST_VECTORS;

/// A name in prompts that stands for vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddingName {
    /// As the user writes it; letter case does not matter.
    pub name: String,
    /// The name's tokens.
    pub ids: Vec<u32>,
    /// Places that it takes.
    pub vectors: usize,
}

impl EmbeddingName {
    /// The name of an embedding of so many vectors, as `cleaning` tokenizes it.
    ///
    /// # Errors
    /// When it has more vectors than a chunk has places, or a name without tokens.
    pub fn new(name: &str, vectors: usize, cleaning: Cleaning) -> anyhow::Result<Self> {
        if !(1..=MOST_VECTORS).contains(&vectors) {
            anyhow::bail!(
                "the embedding {name} has {vectors} vectors; 1 to {MOST_VECTORS} fit into a chunk of a prompt"
            );
        }
        let ids = Tokenizer::new().encode_by(cleaning, name);
        if ids.is_empty() {
            anyhow::bail!("the embedding `{name}` has a name that cannot be written in a prompt; rename its file");
        }
        Ok(Self { name: name.to_owned(), ids, vectors })
    }
}
