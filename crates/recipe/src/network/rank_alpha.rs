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

/// The smaller side of the widest layer that a LoRA can have: more ranks than that add nothing.
const WIDEST: usize = 1280;
/// Ranks beyond this cannot be meant.
pub(crate) const MOST: usize = 65536;

/// Refuses or remarks a rank that is more than any layer has; `name` is what stands before it, if it is one of several
/// settings of the option.
pub(crate) fn check_rank(option: &str, name: &str, rank: usize, report: &mut Report) {
    let what = format!("{name}{rank} is more than any layer of the model has ({WIDEST})");
    if rank > MOST {
        report.problem(option, what, format!("use {WIDEST} or less, such as 32"));
    } else if rank > WIDEST {
        report.note(option, format!("{what}, and the rest is of no use"));
    }
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
