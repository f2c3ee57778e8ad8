//! Lays token ids out in rows of 77, as sd-scripts' `_get_input_ids` does: cut at the limit, pad to it, then wrap each
//! 75. SD1.x and SDXL's first encoder pad with EOS, SD2.x and SDXL's second encoder with id 0.

use super::{BOS, EOS, ROW, ROW_TOKENS};

/// Rows for the ids of a whole prompt, filled up with `padding` behind the first EOS; see [`super::Tokenizer::chunks`].
///
/// # Panics
/// If `max_token_length` is 0 or no multiple of 75.
pub fn rows(ids: &[u32], max_token_length: u32, padding: u32) -> Vec<[u32; ROW]> {
    let limit = max_token_length as usize;
    assert!(limit > 0 && limit.is_multiple_of(ROW_TOKENS), "max_token_length {limit} is no multiple of 75");
    let row = |row: usize| {
        let mut out = [padding; ROW];
        out[0] = BOS;
        let tokens = &ids[(row * ROW_TOKENS).min(ids.len())..ids.len().min((row + 1) * ROW_TOKENS)];
        out[1..=tokens.len()].copy_from_slice(tokens);
        // Where the prompt ends: behind its last token, and at the end of rows that are full, or have no token at all.
        out[1 + tokens.len()] = EOS;
        out
    };
    (0..limit / ROW_TOKENS).map(row).collect()
}
