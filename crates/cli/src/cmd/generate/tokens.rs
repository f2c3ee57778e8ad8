//! `--explain`: the tokens of a text with their weights, chunk by chunk, and the embeddings among them.

use std::collections::BTreeSet;

use anyhow::Result;
use lorabake_generate::conditioning::TextOptions;
use lorabake_generate::conditioning::places::{Place, Placed, ReadChunk, TextReader};
use lorabake_generate::nets::Nets;
use lorabake_recipe::count;

use crate::terminal::{self, Shown};

/// Shows texts one after the other, each once, and keeps which embeddings they have.
pub struct Tokens<'a> {
    reader: &'a TextReader,
    options: TextOptions,
    nets: &'a Nets,
    seen: BTreeSet<String>,
    embeddings: BTreeSet<usize>,
}

impl<'a> Tokens<'a> {
    /// Nothing was shown yet.
    pub fn new(reader: &'a TextReader, options: TextOptions, nets: &'a Nets) -> Self {
        Self { reader, options, nets, seen: BTreeSet::new(), embeddings: BTreeSet::new() }
    }

    /// Shows the tokens of `text`; of a second text encoder, where they are others than the first's.
    ///
    /// # Errors
    /// When its emphasis cannot be read.
    pub fn show(&mut self, text: &str) -> Result<()> {
        if !self.seen.insert(text.to_owned()) {
            return Ok(());
        }
        if text.is_empty() {
            terminal::result("tokens of \"\": none");
            return Ok(());
        }
        let by_encoder = self.reader.read(text, self.options, self.nets)?;
        for (index, chunks) in by_encoder.iter().enumerate() {
            if index > 0 && *chunks == by_encoder[0] {
                terminal::result(&format!("  the same in text encoder {}", index + 1));
                continue;
            }
            let of = if by_encoder.len() > 1 { format!(" in text encoder {}", index + 1) } else { String::new() };
            terminal::result(&format!("tokens of {:?}{of}:", beginning(text)));
            for (number, chunk) in chunks.iter().enumerate() {
                self.show_chunk(number + 1, chunk);
            }
        }
        Ok(())
    }

    fn show_chunk(&mut self, number: usize, chunk: &ReadChunk) {
        let ReadChunk { places, padding } = chunk;
        let taken: usize = places.iter().map(width).sum();
        terminal::result(&format!("  chunk {number}: {}, {padding} of padding", count(taken, "token")));
        for run in places.chunk_by(|left, right| left.weight == right.weight) {
            let mut words = Vec::new();
            for place in run {
                words.push(match &place.what {
                    Placed::Token { id, text } => format!("{text} {id}"),
                    Placed::Embedding { number, vectors } => {
                        self.embeddings.insert(*number);
                        format!("{} ({})", self.nets.embeddings.entries()[*number].name, count(*vectors, "vector"))
                    }
                });
            }
            terminal::result(&format!("    {}: {}", short(run[0].weight), Shown(words.join(" · "))));
        }
    }

    /// Shows where the embeddings of the texts come from.
    pub fn show_embeddings(&self) {
        for number in &self.embeddings {
            let entry = &self.nets.embeddings.entries()[*number];
            let vectors = &entry.embedding.vectors;
            let mut parts = Vec::new();
            for (index, own) in vectors.iter().enumerate() {
                let of = if vectors.len() > 1 { format!(" for text encoder {}", index + 1) } else { String::new() };
                parts.push(format!("{} of {}{of}", count(own.count(), "vector"), own.width));
            }
            let place = if entry.path.is_some() { "" } else { "the LoRA " };
            let name = Shown(&entry.name);
            let line = format!("embedding {name}: {}, in {place}{}", parts.join(", "), Shown(&entry.file));
            terminal::result(&line);
        }
    }
}

/// The beginning of a text, which was shown whole before.
fn beginning(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Places that it takes.
fn width(place: &Place) -> usize {
    match place.what {
        Placed::Token { .. } => 1,
        Placed::Embedding { vectors, .. } => vectors,
    }
}

/// A weight with four digits behind the point at most.
fn short(weight: f64) -> String {
    let text = format!("{weight:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
