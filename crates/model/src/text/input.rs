//! What a text encoder is given: token ids, and vectors that stand in for some of them.

use crate::tokenizer::CHUNK_IDS;

/// The chunks of prompts, and the textual inversions in them.
#[derive(Debug, Clone, Copy)]
pub struct TextInput<'a> {
    /// The chunks of all prompts, those of a prompt one after another.
    pub ids: &'a [[u32; CHUNK_IDS]],
    /// Number of chunks of each prompt.
    pub chunks_per_prompt: usize,
    /// Vectors that stand where ids are only a filling.
    pub vectors: &'a [PlacedVectors<'a>],
}

/// Vectors of a textual inversion (Gal et al. 2022) in place of token embeddings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlacedVectors<'a> {
    /// Number of the chunk among all.
    pub chunk: usize,
    /// The first of their places in it; BOS has place 0.
    pub place: usize,
    /// One row for each place, row-major, as wide as the encoder.
    pub rows: &'a [f32],
}

impl<'a> TextInput<'a> {
    /// Prompts without textual inversions.
    pub fn plain(ids: &'a [[u32; CHUNK_IDS]], chunks_per_prompt: usize) -> Self {
        Self { ids, chunks_per_prompt, vectors: &[] }
    }
}

impl PlacedVectors<'_> {
    /// Puts the vectors into the embeddings of all chunks, which are `width` wide.
    ///
    /// # Panics
    /// If they are of another width, or reach beyond their chunk.
    pub(super) fn put(&self, embeddings: &mut [f32], width: usize) {
        let places = self.rows.len() / width;
        assert_eq!(places * width, self.rows.len(), "vectors as wide as the text encoder");
        assert!(self.place + places <= CHUNK_IDS, "vectors within a chunk");
        let start = (self.chunk * CHUNK_IDS + self.place) * width;
        embeddings[start..start + self.rows.len()].copy_from_slice(self.rows);
    }
}
