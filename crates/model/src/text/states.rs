//! Joining the hidden states of the chunks of a long prompt, and picking the one that stands for the whole.

use burn::tensor::Tensor;

use crate::tokenizer::{CHUNK_IDS, EOS};

/// The states of whole prompts: that of BOS, then 75 of every chunk, then the last state: 152 or 227 for 150 or 225
/// tokens, as sd-scripts does.
///
/// # Shapes
/// - states: [B·n, 77, D], the n chunks of a prompt one after another
/// - output: [B, 77, D] for n = 1, else [B, 75·n + 2, D]
pub fn join_chunks(states: Tensor<3>, chunks_per_prompt: usize) -> Tensor<3> {
    if chunks_per_prompt == 1 {
        return states;
    }
    let [chunks, length, width] = states.dims();
    let states = states.reshape([chunks / chunks_per_prompt, chunks_per_prompt * length, width]);
    let mut parts = vec![states.clone().narrow(1, 0, 1)];
    for chunk in 0..chunks_per_prompt {
        parts.push(states.clone().narrow(1, chunk * length + 1, length - 2));
    }
    parts.push(states.narrow(1, chunks_per_prompt * length - 1, 1));
    Tensor::cat(parts, 1)
}

/// The state at the first EOS of every prompt's first chunk; at the chunk's beginning where it has none, as sd-scripts.
///
/// # Shapes
/// - states: [B·n, 77, D], the n chunks of a prompt one after another
/// - output: [B, 1, D]
pub(super) fn at_first_end(states: &Tensor<3>, ids: &[[u32; CHUNK_IDS]], chunks_per_prompt: usize) -> Tensor<3> {
    let mut picked = Vec::new();
    for (index, chunk) in ids.iter().enumerate().step_by(chunks_per_prompt) {
        let end = chunk.iter().position(|id| *id == EOS).unwrap_or(0);
        picked.push(states.clone().narrow(0, index, 1).narrow(1, end, 1));
    }
    Tensor::cat(picked, 0)
}
