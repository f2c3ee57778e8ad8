//! Joining the states of several 77-token rows into one long prompt, and picking the one that stands for the whole.

use burn::tensor::Tensor;

use crate::tokenizer::{EOS, ROW};

/// BOS, then 75 states of every row, then the last state: 152 or 227 for 150 or 225 tokens, as sd-scripts does.
///
/// # Shapes
/// - states: [B·n, 77, D], the n rows of a prompt one after another
/// - output: [B, 77, D] for n = 1, else [B, 75·n + 2, D]
pub fn join_chunks(states: Tensor<3>, chunks: usize) -> Tensor<3> {
    if chunks == 1 {
        return states;
    }
    let [rows, length, width] = states.dims();
    let states = states.reshape([rows / chunks, chunks * length, width]);
    let mut parts = vec![states.clone().narrow(1, 0, 1)];
    parts.extend((0..chunks).map(|i| states.clone().narrow(1, i * length + 1, length - 2)));
    parts.push(states.narrow(1, chunks * length - 1, 1));
    Tensor::cat(parts, 1)
}

/// The state at the first EOS of every prompt's first row; of the row's first place where it has none, as sd-scripts.
///
/// # Shapes
/// - states: [B·n, 77, D], the n rows of a prompt one after another
/// - output: [B, 1, D]
pub(super) fn at_first_end(states: &Tensor<3>, ids: &[[u32; ROW]], chunks: usize) -> Tensor<3> {
    let end = |row: &[u32; ROW]| row.iter().position(|id| *id == EOS).unwrap_or(0);
    let prompts = ids.iter().enumerate().step_by(chunks);
    let picked = prompts.map(|(index, row)| states.clone().narrow(0, index, 1).narrow(1, end(row), 1));
    Tensor::cat(picked.collect(), 0)
}
