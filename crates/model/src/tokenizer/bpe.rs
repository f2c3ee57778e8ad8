//! Byte-level byte-pair encoding with OpenAI CLIP's 48894 merges (Sennrich et al. 2016; Radford et al. 2021).
//! Knows words, not text.
//!
//! `merges.txt` is the used part of `bpe_simple_vocab_16e6.txt` (openai/CLIP, MIT): lines 2 to 48895. Ids: 256 bytes,
//! the same 256 as ends of words, then one per merge, in the order of the file, which is also their precedence.

use std::collections::HashMap;

const MERGES: &str = include_str!("merges.txt");

/// Distance from the id of a byte to the id of the same byte at the end of a word.
const END_OF_WORD: u32 = 256;

/// Vocabulary and merges.
#[derive(Debug)]
pub struct Bpe {
    /// Id of each byte.
    bytes: [u32; 256],
    /// Id of what two neighbours merge into.
    merges: HashMap<(u32, u32), u32>,
}

impl Bpe {
    /// The vocabulary and merges of OpenAI's CLIP.
    pub fn openai() -> Self {
        // The file spells bytes as printable characters, and ids are in the order of that alphabet.
        let alphabet = alphabet();
        let mut bytes = [0; 256];
        let mut spelled: HashMap<String, u32> = HashMap::with_capacity(50_000);
        for (id, &(byte, letter)) in (0..).zip(&alphabet) {
            bytes[usize::from(byte)] = id;
            spelled.insert(letter.to_string(), id);
            spelled.insert(format!("{letter}</w>"), id + END_OF_WORD);
        }
        let mut merges = HashMap::with_capacity(50_000);
        for (id, line) in (2 * END_OF_WORD..).zip(MERGES.lines()) {
            let (left, right) = line.split_once(' ').expect("two parts in each line of the embedded merges.txt");
            merges.insert((spelled[left], spelled[right]), id);
            spelled.insert([left, right].concat(), id);
        }
        Self { bytes, merges }
    }

    /// Appends the ids of one word (not empty).
    pub fn encode(&self, word: &str, ids: &mut Vec<u32>) {
        let mut parts: Vec<u32> = word.bytes().map(|byte| self.bytes[usize::from(byte)]).collect();
        *parts.last_mut().expect("words are not empty") += END_OF_WORD;
        // Quadratic in the length of a word, and words are short: the longest in practice are runs of CJK.
        while let Some(merged) = parts.windows(2).filter_map(|p| self.merges.get(&(p[0], p[1]))).min() {
            let mut at = 0;
            while at + 1 < parts.len() {
                if self.merges.get(&(parts[at], parts[at + 1])) == Some(merged) {
                    parts[at] = *merged;
                    parts.remove(at + 1);
                }
                at += 1;
            }
        }
        ids.append(&mut parts);
    }
}

/// GPT-2's alphabet of bytes: printable Latin-1 stands for itself and comes first; the other bytes, in order, are
/// spelled with the characters from U+0100 on.
fn alphabet() -> Vec<(u8, char)> {
    let (printable, others): (Vec<u8>, Vec<u8>) =
        (0..=255).partition(|byte| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF));
    let mut alphabet = Vec::with_capacity(256);
    for byte in printable {
        alphabet.push((byte, char::from(byte)));
    }
    for (byte, letter) in others.into_iter().zip('\u{100}'..) {
        alphabet.push((byte, letter));
    }
    alphabet
}
