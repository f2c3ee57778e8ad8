//! Lays token ids out in chunks of 77, as sd-scripts' `_get_input_ids` does: cut at the limit, pad to it, then wrap each
//! 75. SD1.x and SDXL's first encoder pad with EOS, SD2.x and SDXL's second encoder with id 0.

use super::{BOS, CHUNK_IDS, CHUNK_TOKENS, EOS};

/// Chunks for the ids of a whole prompt, filled up with `padding` behind the first EOS; see [`super::Tokenizer::chunks`].
///
/// # Panics
/// If `max_token_length` is 0 or no multiple of 75.
pub fn chunks(ids: &[u32], max_token_length: u32, padding: u32) -> Vec<[u32; CHUNK_IDS]> {
    let limit = max_token_length as usize;
    assert!(limit > 0 && limit.is_multiple_of(CHUNK_TOKENS), "max_token_length {limit} is no multiple of 75");
    let mut chunks = Vec::new();
    for start in (0..limit).step_by(CHUNK_TOKENS) {
        let tokens = &ids[start.min(ids.len())..ids.len().min(start + CHUNK_TOKENS)];
        let mut chunk = [padding; CHUNK_IDS];
        chunk[0] = BOS;
        chunk[1..=tokens.len()].copy_from_slice(tokens);
        // Where the prompt ends: behind its last token, and at the end of chunks that are full or have no token at all.
        chunk[1 + tokens.len()] = EOS;
        chunks.push(chunk);
    }
    chunks
}
