//! What stands at each place of a text's chunks, for people: tokens as text, and embeddings by their names.

use anyhow::Result;
use burn::tensor::Device;
use lorabake_model::tokenizer::Tokenizer;
use lorabake_model::{Bundle, VaeHalves, WeightDtypes};
use lorabake_ops::WeightDtype;
use lorabake_weights::Checkpoint;

use super::chunks::{CHUNK_TOKENS, Chunk};
use super::encode::{Encoders, TextOptions};
use crate::embedding::EmbeddingTable;
use crate::nets::{FoundNetwork, Nets};
use crate::prompt::emphasis::Emphasis;

/// Reads texts for a checkpoint without any of its matrices.
#[derive(Debug)]
pub struct TextReader {
    bundle: Bundle,
    device: Device,
    /// Names that stand for vectors.
    pub embeddings: EmbeddingTable,
}

/// The places of a chunk that a text takes.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadChunk {
    /// What stands there, in order.
    pub places: Vec<Place>,
    /// How many places are filled up.
    pub padding: usize,
}

/// A token, or an embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// What it is.
    pub what: Placed,
    /// Its weight.
    pub weight: f64,
}

/// What stands at a place, or at several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placed {
    /// A token.
    Token {
        /// Its number in the vocabulary.
        id: u32,
        /// What it stands for, see [`Tokenizer::spelled`].
        text: String,
    },
    /// Vectors in the place of tokens.
    Embedding {
        /// Its number in the table of embeddings.
        number: usize,
        /// Places that it takes.
        vectors: usize,
    },
}

impl TextReader {
    /// A reader for the text encoders of `checkpoint`, without embeddings.
    ///
    /// # Errors
    /// When one of its networks does not fit.
    pub fn open(checkpoint: &Checkpoint) -> Result<Self> {
        let bundle = Bundle::open(checkpoint, VaeHalves::Painting, WeightDtypes::all(WeightDtype::F32))?;
        let embeddings = EmbeddingTable::new(&bundle);
        Ok(Self { bundle, device: Device::flex(), embeddings })
    }

    /// Reads the networks of a prompt.
    ///
    /// # Errors
    /// When a file cannot be read, is none, or does not fit.
    pub fn nets(&self, networks: &[FoundNetwork]) -> Result<Nets> {
        Nets::open(networks, &self.bundle, &self.device, self.embeddings.clone())
    }

    /// The chunks of `text` as each text encoder reads it, with the embeddings of `nets`.
    ///
    /// # Errors
    /// When its emphasis cannot be read.
    pub fn read(&self, text: &str, options: TextOptions, nets: &Nets) -> Result<Vec<Vec<ReadChunk>>> {
        let encoders = Encoders {
            bundle: &self.bundle,
            adapters: nets.attached(),
            embeddings: &nets.embeddings,
            options,
            device: &self.device,
        };
        let mut all = Vec::new();
        for (encoder, texts) in encoders.chunks(&[text])?.iter().enumerate() {
            let chunks = texts.iter().flat_map(|text| &text.chunks);
            all.push(chunks.map(|chunk| ReadChunk::of(chunk, &nets.embeddings, encoder, options.emphasis)).collect());
        }
        Ok(all)
    }
}

impl ReadChunk {
    fn of(chunk: &Chunk, embeddings: &EmbeddingTable, encoder: usize, emphasis: Emphasis) -> Self {
        let tokenizer = Tokenizer::new();
        let mut places = Vec::new();
        let mut at = 0;
        while at < chunk.taken {
            let weight = emphasis.acting(chunk.weights[at + 1]);
            let what = match chunk.fixes.iter().find(|fix| fix.offset == at) {
                Some(fix) => {
                    let vectors = embeddings.names(encoder)[fix.embedding].vectors;
                    Placed::Embedding { number: fix.embedding, vectors }
                }
                None => {
                    let id = chunk.ids[at + 1];
                    Placed::Token { id, text: tokenizer.spelled(id) }
                }
            };
            at += match what {
                Placed::Token { .. } => 1,
                Placed::Embedding { vectors, .. } => vectors,
            };
            places.push(Place { what, weight });
        }
        Self { places, padding: CHUNK_TOKENS - chunk.taken }
    }
}

#[cfg(test)]
mod tests {
    use lorabake_model::tokenizer::{Cleaning, EOS};

    use super::super::chunks::{COMMA_BACKTRACK, Layout, lay_out};
    use super::*;
    use crate::embedding::EmbeddingName;
    use crate::prompt::emphasis::{Emphasis, parse};

    #[test]
    fn every_place_is_told_and_what_fills_up() {
        let embeddings: [EmbeddingName; 0] = [];
        let layout = Layout {
            cleaning: Cleaning::Clip,
            padding: EOS,
            comma_backtrack: COMMA_BACKTRACK,
            embeddings: &embeddings,
        };
        let pieces = parse("a (red:1.2) Cat BREAK photorealistically", Emphasis::Original).unwrap();
        let mut read = Vec::new();
        for chunk in lay_out(&pieces, &layout).chunks {
            let chunk = ReadChunk::of(&chunk, &EmbeddingTable::default(), 0, Emphasis::Original);
            let mut told = Vec::new();
            for Place { what, weight } in &chunk.places {
                let Placed::Token { text, .. } = what else { panic!("{what:?}") };
                told.push(format!("{text} {weight}"));
            }
            read.push((told.join(", "), chunk.padding));
        }
        assert_eq!(read[0], ("a 1, red 1.2, cat 1".to_owned(), 72));
        assert!(read[1].0.contains("… 1, ") && read[1].0.ends_with("ally 1"), "{read:?}");
    }
}
