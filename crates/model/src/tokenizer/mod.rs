//! CLIP's tokenizer: text to token ids, and ids to the chunks of 77 that text encoders take.
//!
//! Equal to transformers' slow `CLIPTokenizer` with ftfy installed, as sd-scripts uses it, with the vocabulary of
//! OpenAI's CLIP (`bpe_simple_vocab_16e6`); `clean.rs` says where it stops short of ftfy. Not here: prompt weights,
//! for which pieces of a prompt are encoded apart and laid out together ([`chunks`]).
//!
//! The way of a caption: special tokens are cut out, each piece between them is cleaned and lowercased (`clean.rs`),
//! split into words (`words.rs`), and each word becomes ids (`bpe.rs`); `chunk.rs` lays the ids out in chunks.

mod bpe;
mod chunk;
mod clean;
mod entities;
mod html;
mod words;

use std::sync::LazyLock;

use bpe::Bpe;
pub use chunk::chunks;

/// `<|startoftext|>`, the first id of a chunk.
pub const BOS: u32 = 49406;
/// `<|endoftext|>`, the id after the last token of a chunk; CLIP-L's chunks are filled up with it, too.
pub const EOS: u32 = 49407;
/// Ids in a chunk, BOS and EOS included.
pub const CHUNK_IDS: usize = 77;
/// Tokens of a prompt in a chunk.
const CHUNK_TOKENS: usize = CHUNK_IDS - 2;

/// [`BOS`] and [`EOS`] as they are written in a text for OpenAI's tokenizer.
const SPECIAL: [&str; 2] = ["<|startoftext|>", "<|endoftext|>"];
/// The same for OpenCLIP's.
const OPEN_CLIP_SPECIAL: [&str; 2] = ["<start_of_text>", "<end_of_text>"];

/// CLIP's tokenizer. The tables behind it are built once per process, at the first use.
#[derive(Debug, Clone, Copy)]
pub struct Tokenizer {
    bpe: &'static Bpe,
}

/// Whose rules of cleaning and special tokens hold; the vocabulary is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleaning {
    /// OpenAI's as in transformers: SD1 and SDXL's first text encoder, and sd-scripts throughout.
    Clip,
    /// OpenCLIP's (version 2.20): SD2 and SDXL's second text encoder in the web UI.
    OpenClip,
}

/// A vocabulary as transformers' files have it.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    /// All tokens in the order of their ids, those at the end of words with `</w>`.
    pub tokens: Vec<String>,
    /// The text of `merges.txt`.
    pub merges: String,
}

impl Tokenizer {
    /// The tokenizer; some tens of milliseconds at the first call, nothing after that.
    #[expect(clippy::new_without_default, reason = "a tokenizer is not a neutral value of anything")]
    pub fn new() -> Self {
        static BPE: LazyLock<Bpe> = LazyLock::new(Bpe::openai);
        Self { bpe: &BPE }
    }

    /// Token ids of `text`, of any number, without BOS and EOS around them.
    ///
    /// `<|startoftext|>` and `<|endoftext|>` written in the text become [`BOS`] and [`EOS`], as in transformers.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut rest = text;
        while let Some(special) = first_special(rest) {
            self.encode_plain(&rest[..special.start], &mut ids);
            ids.push(special.id);
            rest = &rest[special.end..];
        }
        self.encode_plain(rest, &mut ids);
        ids
    }

    /// Chunks of [`CHUNK_IDS`] ids for a text encoder that pads with EOS (SD1.x): BOS, 75 tokens, EOS each; one chunk for
    /// a `max_token_length` of 75, two for 150, three for 225. Tokens beyond that are dropped ([`Self::cut_off`]).
    ///
    /// # Panics
    /// If `max_token_length` is 0 or no multiple of 75.
    pub fn chunks(&self, text: &str, max_token_length: u32) -> Vec<[u32; CHUNK_IDS]> {
        chunk::chunks(&self.encode(text), max_token_length, EOS)
    }

    /// How many tokens of `text` [`Self::chunks`] drops: more than 0 means that the end of the caption is not seen.
    pub fn cut_off(&self, text: &str, max_token_length: u32) -> usize {
        self.encode(text).len().saturating_sub(max_token_length as usize)
    }

    /// What `id` stands for: text as words are compared, in small letters, with `…` behind it where its word goes on; bytes
    /// that are no letter by themselves as `<E6 97>`.
    pub fn spelled(&self, id: u32) -> String {
        let Some((bytes, ends)) = self.bpe.spelled(id) else {
            return SPECIAL[usize::from(id == EOS)].to_owned();
        };
        let mut text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(part) => {
                let digits: Vec<String> = part.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
                format!("<{}>", digits.join(" "))
            }
        };
        if !ends {
            text.push('…');
        }
        text
    }

    /// The vocabulary as transformers' files have it.
    pub fn vocabulary() -> Vocabulary {
        let mut tokens = Bpe::spellings();
        tokens.extend(SPECIAL.map(str::to_owned));
        Vocabulary { tokens, merges: Bpe::merges_file() }
    }

    /// Token ids of `text` by the rules of `cleaning`, see [`Self::encode`].
    pub fn encode_by(&self, cleaning: Cleaning, text: &str) -> Vec<u32> {
        if cleaning == Cleaning::Clip {
            return self.encode(text);
        }
        let mut ids = Vec::new();
        self.encode_words(&clean::clean_open_clip(text), OPEN_CLIP_SPECIAL, &mut ids);
        ids
    }

    /// Encodes a piece of text between two special tokens.
    fn encode_plain(&self, text: &str, ids: &mut Vec<u32>) {
        self.encode_words(&clean::clean(text), SPECIAL, ids);
    }

    /// Encodes cleaned text.
    fn encode_words(&self, text: &str, special: [&'static str; 2], ids: &mut Vec<u32>) {
        for word in words::split(text, special) {
            // Written in capitals they are no special tokens to the outer split, but lowercased they are again.
            if word == special[0] {
                ids.push(BOS);
            } else if word == special[1] {
                ids.push(EOS);
            } else {
                self.bpe.encode(word, ids);
            }
        }
    }
}

/// A special token that is written in a text.
struct Special {
    /// The byte where it begins.
    start: usize,
    /// The byte after it.
    end: usize,
    id: u32,
}

/// The first special token in `text`.
fn first_special(text: &str) -> Option<Special> {
    let mut first: Option<Special> = None;
    for (name, id) in SPECIAL.into_iter().zip([BOS, EOS]) {
        if let Some(start) = text.find(name)
            && first.as_ref().is_none_or(|first| start < first.start)
        {
            first = Some(Special { start, end: start + name.len(), id });
        }
    }
    first
}
