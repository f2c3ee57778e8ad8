//! Rank and alpha, which every adapter of low rank has.

use serde::{Deserialize, Serialize};

use crate::report::Report;

/// Rank and alpha of one kind of layer; the adapter's output is scaled by alpha ÷ rank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RankAlpha {
    /// Inner dimension (`--network_dim`).
    pub rank: usize,
    /// Numerator of the scale (`--network_alpha`).
    pub alpha: f64,
}

/// Alpha as sd-scripts reads it: 1 unless given, and 0 stands for the rank.
pub(crate) fn alpha(option: &str, given: Option<f64>, rank: usize, report: &mut Report) -> f64 {
    let alpha = report.amount(option, given, 1.0);
    if alpha > rank as f64 {
        let scale = alpha / rank as f64;
        let text = format!(
            "alpha {alpha} is more than rank {rank}: the LoRA's effect is scaled up {scale} times, which tends to \
             burn; {rank} or less is usual"
        );
        report.note(option, text);
    }
    if alpha == 0.0 { rank as f64 } else { alpha }
}
