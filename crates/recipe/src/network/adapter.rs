//! Kinds of adapter: what `--network_module` with its `--network_args` asks for, as sd-scripts' `networks.lora` and
//! `networks.dylora` and LyCORIS' `lycoris.kohya` (4.1) have it. `adapter_args.rs` reads the words.

use super::algo::{Algo, RankBlocks};
use super::lycoris_preset::Preset;

/// The kind of adapter that is trained.
#[derive(Debug, Clone, PartialEq)]
pub enum AdapterSettings {
    /// `networks.lora`
    Lora,
    /// `networks.dylora`
    DyLora(RankBlocks),
    /// `lycoris.kohya`
    Lycoris(Box<Lycoris>),
}

/// Settings of `lycoris.kohya`.
#[derive(Debug, Clone, PartialEq)]
pub struct Lycoris {
    /// `algo`
    pub algo: Algo,
    /// Which layers, and what differs for some of them (`preset`).
    pub preset: Preset,
    /// Wide convolutions in the Tucker form (`use_tucker`).
    pub tucker: bool,
    /// Weight decomposition (`dora_wd`), by norms along this side (`wd_on_output`).
    pub dora: Option<Side>,
    /// Scale by alpha ÷ √rank (`rs_lora`).
    pub rs: bool,
}

impl Lycoris {
    /// Whether a rank that is more than a layer has is no more than that layer: IA3 has none, and people give LoKr one of
    /// 100000 so that its matrices are whole.
    pub(crate) fn has_no_product(&self) -> bool {
        let is_free = |algo: &Algo| matches!(algo, Algo::Lokr(_) | Algo::Ia3);
        is_free(&self.algo) && self.preset.changes.iter().all(|(_, change)| change.algo.as_ref().is_none_or(is_free))
    }
}

/// A side of a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// One number for each output.
    Outputs,
    /// One number for each input.
    Inputs,
}

/// How much of an adapter is left out by chance in each step; 0 is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Dropout {
    /// Single values between down and up (`--network_dropout`).
    pub neuron: f64,
    /// Ranks, or in LyCORIS outputs (`rank_dropout`).
    pub rank: f64,
    /// Whole modules (`module_dropout`).
    pub module: f64,
}

impl Dropout {
    /// Whether nothing is ever dropped.
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }
}
