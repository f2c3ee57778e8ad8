//! Lays token ids out in rows of 77 for a text encoder that pads with EOS, as sd-scripts' `_get_input_ids` does for
//! SD1.x: cut at the limit, pad to it, then wrap each 75. Not here: SD2's and SDXL's padding with id 0.

use super::{BOS, EOS, ROW, ROW_TOKENS};

/// Rows for the ids of a whole prompt; see [`super::Tokenizer::chunks`].
///
/// # Panics
/// If `max_token_length` is 0 or no multiple of 75.
pub fn rows(ids: &[u32], max_token_length: u32) -> Vec<[u32; ROW]> {
    let limit = max_token_length as usize;
    assert!(limit > 0 && limit.is_multiple_of(ROW_TOKENS), "max_token_length {limit} is no multiple of 75");
    let row = |row: usize| {
        let mut out = [EOS; ROW];
        out[0] = BOS;
        let tokens = ids.iter().skip(row * ROW_TOKENS).take(ROW_TOKENS);
        out[1..].iter_mut().zip(tokens).for_each(|(slot, &id)| *slot = id);
        out
    };
    (0..limit / ROW_TOKENS).map(row).collect()
}
