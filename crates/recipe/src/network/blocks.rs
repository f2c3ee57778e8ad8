//! Ranks and learning rates of single blocks of the UNet. `block_args.rs` reads them.
//!
//! The original code numbers the UNet's blocks IN00 to IN11, M00, OUT00 to OUT11, and so do block-weight extensions of
//! web UIs. sd-scripts' lists are in that order. IN00 is the first convolution, which a LoRA leaves alone.

use std::ops::Range;

use super::rank_alpha::RankAlpha;
use crate::model::Family;

/// The blocks of a UNet, as sd-scripts counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Numbering {
    /// The blocks of SD1.x and SD2.x: IN00 to IN11, M00, OUT00 to OUT11.
    #[default]
    Sd,
    /// The blocks of SDXL: IN00 to IN08, M00 to M02, OUT00 to OUT08; and around these two that a LoRA leaves alone, the embeddings
    /// and the last convolution.
    Sdxl,
}

impl Numbering {
    pub(crate) fn of(family: Family) -> Self {
        if family == Family::Sdxl { Self::Sdxl } else { Self::Sd }
    }

    /// How many there are, also in a list such as `block_dims`.
    pub fn count(self) -> usize {
        let [down, mid, up] = self.sides();
        down + mid + up + 2 * self.outer()
    }

    /// Blocks on the way down, in the middle, on the way up: those that have factors of the learning rate.
    pub(crate) fn sides(self) -> [usize; 3] {
        if self == Self::Sdxl { [9, 3, 9] } else { [12, 1, 12] }
    }

    /// Blocks that stand before, and behind, all others.
    pub(crate) fn outer(self) -> usize {
        usize::from(self == Self::Sdxl)
    }

    /// The name of a block, such as `IN00`.
    pub fn name(self, block: usize) -> String {
        let [down, mid, up] = self.sides();
        let Some(inner) = block.checked_sub(self.outer()) else { return "BASE".to_owned() };
        match inner {
            _ if inner < down => format!("IN{inner:02}"),
            _ if inner < down + mid => format!("M{:02}", inner - down),
            _ if inner < down + mid + up => format!("OUT{:02}", inner - down - mid),
            _ => "END".to_owned(),
        }
    }

    /// The blocks that have names of their own.
    pub fn named(self) -> Range<usize> {
        self.outer()..self.count() - self.outer()
    }

    /// The numbers of blocks in words, for messages.
    pub(crate) fn spelled(self) -> &'static str {
        match self {
            Self::Sd => "12 for IN00 to IN11, 1 for M00, 12 for OUT00 to OUT11",
            Self::Sdxl => {
                "1 for the embeddings, 9 for IN00 to IN08, 3 for M00 to M02, 9 for OUT00 to OUT08, 1 for the end"
            }
        }
    }
}

/// What is asked for of single blocks, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Blocks {
    /// What the blocks are.
    pub numbering: Numbering,
    /// Factors of the UNet's learning rate; a block at 0 gets no adapter. `None` = one rate for the whole UNet.
    pub lr: Option<Vec<f64>>,
    /// Linear layers and 1×1 convolutions; rank 0 = no adapter. `None` = `Network::linear` everywhere.
    pub linear: Option<Vec<RankAlpha>>,
    /// 3×3 convolutions; rank 0 = no adapter. `None` = `Network::conv` everywhere.
    pub conv: Option<Vec<RankAlpha>>,
}

impl Blocks {
    /// Whether anything is asked for of single blocks.
    pub fn differ(&self) -> bool {
        self.lr.is_some() || self.linear.is_some() || self.conv.is_some()
    }

    /// Whether ranks or alphas differ from the network's, or blocks are left out.
    pub fn change_sizes(&self) -> bool {
        self.linear.is_some() || self.conv.is_some() || self.lr.as_ref().is_some_and(|lr| lr.contains(&0.0))
    }

    /// Factor of the UNet's learning rate in `block`.
    pub fn lr(&self, block: usize) -> f64 {
        self.lr.as_ref().map_or(1.0, |lr| lr[block])
    }

    /// Rank and alpha in `block`, where `usual` is the network's; `None` = no adapter there. `is_3x3` asks about 3×3
    /// convolutions.
    pub fn size(&self, block: usize, is_3x3: bool, usual: RankAlpha) -> Option<RankAlpha> {
        let own = if is_3x3 { &self.conv } else { &self.linear };
        let size = own.as_ref().map_or(usual, |sizes| sizes[block]);
        let has_adapter = size.rank > 0 && self.lr(block) != 0.0;
        if has_adapter { Some(size) } else { None }
    }

    /// The factors as sd-scripts takes them in `--network_args`.
    pub fn lr_args(&self) -> Vec<(String, String)> {
        let Some(lr) = &self.lr else { return Vec::new() };
        let named = &lr[self.numbering.named()];
        let [down, mid, _] = self.numbering.sides();
        vec![
            ("down_lr_weight".to_owned(), joined(&named[..down])),
            ("mid_lr_weight".to_owned(), joined(&named[down..down + mid])),
            ("up_lr_weight".to_owned(), joined(&named[down + mid..])),
        ]
    }
}

fn joined(list: &[f64]) -> String {
    list.iter().map(f64::to_string).collect::<Vec<_>>().join(",")
}
