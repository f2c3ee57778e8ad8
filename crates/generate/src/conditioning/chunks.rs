//! A prompt's pieces as chunks of 77 token ids with the weight of each place, laid out as the AUTOMATIC1111 web UI does.
//!
//! Each piece is tokenized apart. A chunk takes 75 tokens; one that is full is broken behind its last comma, if that was
//! put at most [`COMMA_BACKTRACK`] places before its end. An embedding takes as many places as it has vectors, and never
//! straddles two chunks. Source: webui.md 2.1 of the recordings' rules (`sd_hijack_clip.py`, facts only).

use lorabake_model::tokenizer::{BOS, CHUNK_IDS, Cleaning, EOS, Tokenizer};

use crate::embedding::EmbeddingName;
use crate::prompt::emphasis::Piece;

/// Tokens of a prompt in a chunk.
pub const CHUNK_TOKENS: usize = CHUNK_IDS - 2;
/// The web UI's default for how far back a comma is looked for.
pub const COMMA_BACKTRACK: usize = 20;
/// `,` at the end of a word.
const COMMA: u32 = 267;

/// How a text is laid out.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a> {
    /// The text encoder's rules of cleaning.
    pub cleaning: Cleaning,
    /// The id that fills chunks up behind the first [`EOS`].
    pub padding: u32,
    /// How many places back a comma is looked for; 0 = a full chunk is simply broken.
    pub comma_backtrack: usize,
    /// Names that stand for vectors.
    pub embeddings: &'a [EmbeddingName],
}

/// Vectors in the place of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// Places before the first vector, the chunk's first id not counted.
    pub offset: usize,
    /// Which of [`Layout::embeddings`].
    pub embedding: usize,
}

/// What a text encoder takes at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// BOS, 75 tokens, EOS.
    pub ids: [u32; CHUNK_IDS],
    /// The weight of each place.
    pub weights: [f64; CHUNK_IDS],
    /// Embeddings, whose places have id 0.
    pub fixes: Vec<Fix>,
    /// Places that the text takes behind BOS, those of embeddings too; the others fill the chunk up.
    pub taken: usize,
}

/// The chunks of one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunks {
    /// At least one.
    pub chunks: Vec<Chunk>,
    /// Tokens as the web UI counts them: 75 for each chunk that is closed, and those of the last one.
    pub count: usize,
}

/// Lays the pieces of one text out.
pub fn lay_out(pieces: &[Piece], layout: &Layout<'_>) -> Chunks {
    let mut writer = Writer { layout, open: Open::default(), done: Vec::new(), count: 0 };
    let tokenizer = Tokenizer::new();
    for piece in pieces {
        match piece {
            Piece::Break => writer.close(),
            Piece::Text { text, weight } => writer.put(&tokenizer.encode_by(layout.cleaning, text), *weight),
        }
    }
    if !writer.open.ids.is_empty() || writer.done.is_empty() {
        let tokens = writer.open.ids.len();
        writer.close();
        writer.count = writer.count - CHUNK_TOKENS + tokens;
    }
    Chunks { chunks: writer.done, count: writer.count }
}

/// A chunk without tokens, with which shorter texts are filled up.
pub fn empty(layout: &Layout<'_>) -> Chunk {
    let mut writer = Writer { layout, open: Open::default(), done: Vec::new(), count: 0 };
    writer.close();
    writer.done.remove(0)
}

/// A chunk that is being filled.
#[derive(Debug, Default)]
struct Open {
    ids: Vec<u32>,
    weights: Vec<f64>,
    fixes: Vec<Fix>,
    /// The place of the last comma.
    comma: Option<usize>,
}

struct Writer<'a> {
    layout: &'a Layout<'a>,
    open: Open,
    done: Vec<Chunk>,
    count: usize,
}

impl Writer<'_> {
    /// Puts the tokens of one piece.
    fn put(&mut self, ids: &[u32], weight: f64) {
        let mut at = 0;
        while at < ids.len() {
            if ids[at] == COMMA {
                self.open.comma = Some(self.open.ids.len());
            } else if let Some(place) = self.comma_to_break_at() {
                self.break_behind(place);
            }
            if self.open.ids.len() == CHUNK_TOKENS {
                self.close();
            }
            let Some(embedding) = self.embedding_at(&ids[at..]) else {
                self.open.ids.push(ids[at]);
                self.open.weights.push(weight);
                at += 1;
                continue;
            };
            let found = &self.layout.embeddings[embedding];
            if self.open.ids.len() + found.vectors > CHUNK_TOKENS {
                self.close();
            }
            self.open.fixes.push(Fix { offset: self.open.ids.len(), embedding });
            self.open.ids.resize(self.open.ids.len() + found.vectors, 0);
            self.open.weights.resize(self.open.ids.len(), weight);
            at += found.ids.len();
        }
    }

    /// The place of a comma behind which a full chunk is broken.
    fn comma_to_break_at(&self) -> Option<usize> {
        let comma = self.open.comma?;
        let near = CHUNK_TOKENS - comma.min(CHUNK_TOKENS) <= self.layout.comma_backtrack;
        (self.open.ids.len() == CHUNK_TOKENS && self.layout.comma_backtrack > 0 && near).then_some(comma)
    }

    /// Closes the chunk behind `place`; what follows begins the next one.
    fn break_behind(&mut self, place: usize) {
        let ids = self.open.ids.split_off(place + 1);
        let weights = self.open.weights.split_off(place + 1);
        self.close();
        self.open.ids = ids;
        self.open.weights = weights;
    }

    /// The longest embedding whose name `ids` begin with.
    fn embedding_at(&self, ids: &[u32]) -> Option<usize> {
        let mut longest: Option<usize> = None;
        for (index, embedding) in self.layout.embeddings.iter().enumerate() {
            let longer = longest.is_none_or(|known| self.layout.embeddings[known].ids.len() < embedding.ids.len());
            if longer && ids.starts_with(&embedding.ids) {
                longest = Some(index);
            }
        }
        longest
    }

    /// Fills the chunk up and begins the next.
    fn close(&mut self) {
        let Open { ids, weights, fixes, .. } = std::mem::take(&mut self.open);
        let mut chunk = Chunk { ids: [EOS; CHUNK_IDS], weights: [1.0; CHUNK_IDS], fixes, taken: ids.len() };
        chunk.ids[0] = BOS;
        chunk.ids[1..=ids.len()].copy_from_slice(&ids);
        chunk.weights[1..=weights.len()].copy_from_slice(&weights);
        if let Some(end) = chunk.ids.iter().position(|id| *id == EOS) {
            chunk.ids[end + 1..].fill(self.layout.padding);
        }
        self.count += CHUNK_TOKENS;
        self.done.push(chunk);
    }
}
