//! One head of an attention: its extents, its mask, and what both ways of computing it have in common.

use crate::heads::Rows;

/// Which keys a query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// All keys.
    None,
    /// The keys up to the query's own position (CLIP's text encoder).
    Causal,
}

/// Extents of one head.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    pub s: usize,
    pub t: usize,
    pub d: usize,
    pub mask: Mask,
}

impl Head {
    pub fn scale(&self) -> f32 {
        1.0 / (self.d as f32).sqrt()
    }

    /// Puts −∞ where queries from `q0` on do not see keys from `k0` on.
    pub fn hide(&self, scores: &mut [f32], q0: usize, k0: usize, keys: usize) {
        if self.mask == Mask::Causal {
            for (index, row) in scores.chunks_exact_mut(keys).enumerate() {
                let visible = (q0 + index + 1).saturating_sub(k0).min(keys);
                row[visible..].fill(f32::NEG_INFINITY);
            }
        }
    }
}

/// What a row of weights has come to so far, in the online softmax (Milakov and Gimelshein 2018).
#[derive(Clone, Copy)]
pub(crate) struct RowSums {
    /// Largest score.
    pub largest: f32,
    /// Sum of the weights relative to it.
    pub total: f32,
}

impl RowSums {
    /// Before the first key.
    pub const NONE: Self = Self { largest: f32::NEG_INFINITY, total: 0.0 };
}

/// Tensors of one head that the backward pass reads.
pub(crate) struct Kept<'a> {
    pub q: Rows<'a>,
    pub k: Rows<'a>,
    pub v: Rows<'a>,
    pub output: Rows<'a>,
    pub log_sum: &'a [f32],
    pub dy: Rows<'a>,
}
