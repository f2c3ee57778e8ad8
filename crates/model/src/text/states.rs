//! Joining the states of several 77-token rows into one long prompt.

use burn::tensor::Tensor;

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
