//! Byte-level byte-pair encoding with OpenAI CLIP's 48894 merges (Sennrich et al. 2016; Radford et al. 2021).
//! Knows words, not text.
//!
//! `merges.txt` is the used part of `bpe_simple_vocab_16e6.txt` (openai/CLIP, MIT): lines 2 to 48895. Ids: 256 bytes,
//! the same 256 as ends of words, then one per merge, in the order of the file, which is also their precedence.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

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
    /// The two that each merge is made of, in the order of ids.
    merged: Vec<(u32, u32)>,
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
        let mut merged = Vec::with_capacity(50_000);
        for (id, line) in (2 * END_OF_WORD..).zip(MERGES.lines()) {
            let (left, right) = line.split_once(' ').expect("two parts in each line of the embedded merges.txt");
            let pair = (spelled[left], spelled[right]);
            merges.insert(pair, id);
            merged.push(pair);
            spelled.insert([left, right].concat(), id);
        }
        Self { bytes, merges, merged }
    }

    /// All tokens as transformers' `vocab.json` spells them, in the order of their ids.
    pub fn spellings() -> Vec<String> {
        let letters: Vec<String> = alphabet().iter().map(|(_, letter)| letter.to_string()).collect();
        let mut all = letters.clone();
        all.extend(letters.iter().map(|letter| format!("{letter}</w>")));
        all.extend(MERGES.lines().map(|line| line.replacen(' ', "", 1)));
        all
    }

    /// The merges as transformers' `merges.txt` has them.
    pub fn merges_file() -> String {
        format!("#version: 0.2\n{MERGES}")
    }

    /// Appends the ids of one word (not empty).
    ///
    /// The merge with the lowest id comes first, the leftmost of several, until there is none. Since a merge makes what
    /// only later ones take up, a heap gives them in this order, and a word of a megabyte takes no more than its share.
    pub fn encode(&self, word: &str, ids: &mut Vec<u32>) {
        let mut parts = Vec::with_capacity(word.len());
        for (at, byte) in word.bytes().enumerate() {
            parts.push(Part { id: self.bytes[usize::from(byte)], next: at + 1, previous: at.wrapping_sub(1) });
        }
        let end = parts.len();
        parts[end - 1].id += END_OF_WORD;
        let mut merges = BinaryHeap::new();
        for right in 1..end {
            merges.extend(self.merge(&parts, right - 1, right));
        }
        while let Some(Reverse(merge)) = merges.pop() {
            let Merge { id, left, right } = merge;
            // Either may have gone into another merge since.
            if parts[left].next != right || self.merge(&parts, left, right) != Some(Reverse(merge)) {
                continue;
            }
            let after = parts[right].next;
            parts[right].next = usize::MAX;
            parts[left].id = id;
            parts[left].next = after;
            if after < end {
                parts[after].previous = left;
                merges.extend(self.merge(&parts, left, after));
            }
            let before = parts[left].previous;
            if before < end {
                merges.extend(self.merge(&parts, before, left));
            }
        }
        let mut at = 0;
        while at < end {
            ids.push(parts[at].id);
            at = parts[at].next;
        }
    }

    /// The bytes that `id` stands for, and whether a word ends with them; `None` if it is of no part of a word.
    pub fn spelled(&self, id: u32) -> Option<(Vec<u8>, bool)> {
        let mut spelled = Vec::new();
        let mut ends = false;
        let mut left = vec![id];
        while let Some(id) = left.pop() {
            if id < 2 * END_OF_WORD {
                let byte = self.bytes.iter().position(|own| *own == id % END_OF_WORD)?;
                spelled.push(byte as u8);
                ends = id >= END_OF_WORD;
            } else {
                let (first, second) = *self.merged.get((id - 2 * END_OF_WORD) as usize)?;
                left.extend([second, first]);
            }
        }
        Some((spelled, ends))
    }

    /// The merge of two neighbours, if there is one.
    fn merge(&self, parts: &[Part], left: usize, right: usize) -> Option<Reverse<Merge>> {
        let id = *self.merges.get(&(parts[left].id, parts[right].id))?;
        Some(Reverse(Merge { id, left, right }))
    }
}

/// A part of a word, in a chain of places.
struct Part {
    id: u32,
    /// The place of the next part, beyond the last place at the end.
    next: usize,
    /// The place of the part before, beyond the last place at the beginning.
    previous: usize,
}

/// Two neighbours that may become one. The fields are in the order in which merges are compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Merge {
    id: u32,
    left: usize,
    right: usize,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Byte-pair encoding as it is described: all places of the lowest merge, from the left, then the next.
    fn by_definition(bpe: &Bpe, word: &str) -> Vec<u32> {
        let mut parts: Vec<u32> = word.bytes().map(|byte| bpe.bytes[usize::from(byte)]).collect();
        *parts.last_mut().unwrap() += END_OF_WORD;
        while let Some(merged) = parts.windows(2).filter_map(|p| bpe.merges.get(&(p[0], p[1]))).min() {
            let mut at = 0;
            while at + 1 < parts.len() {
                if bpe.merges.get(&(parts[at], parts[at + 1])) == Some(merged) {
                    parts[at] = *merged;
                    parts.remove(at + 1);
                }
                at += 1;
            }
        }
        parts
    }

    #[test]
    fn the_order_of_merges_is_that_of_the_definition() {
        let bpe = Bpe::openai();
        let letters: Vec<char> = "aabehinorst!é日-".chars().collect();
        let mut state = 1u32;
        for length in 1..400 {
            let mut word = String::new();
            for _ in 0..1 + length % 60 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                word.push(letters[state as usize / 7 % letters.len()]);
            }
            let mut ids = Vec::new();
            bpe.encode(&word, &mut ids);
            assert_eq!(ids, by_definition(&bpe, &word), "{word}");
        }
    }

    #[test]
    fn ids_spell_the_words_that_they_were_made_of() {
        let bpe = Bpe::openai();
        for word in ["a", "fox", "photorealistic", "日本", "!!"] {
            let mut ids = Vec::new();
            bpe.encode(word, &mut ids);
            let parts: Vec<_> = ids.iter().map(|id| bpe.spelled(*id).unwrap()).collect();
            let spelled: Vec<u8> = parts.iter().flat_map(|part| part.0.clone()).collect();
            assert_eq!(spelled, word.as_bytes());
            assert_eq!(parts.iter().filter(|part| part.1).count(), 1);
            assert!(parts.last().unwrap().1);
        }
        assert_eq!(bpe.spelled(49_406), None);
    }

    #[test]
    fn a_word_of_a_megabyte_is_no_trouble() {
        let mut ids = Vec::new();
        Bpe::openai().encode(&"a".repeat(1 << 20), &mut ids);
        assert!(ids.len() > 1 << 16 && ids.len() < 1 << 20, "{}", ids.len());
    }
}
