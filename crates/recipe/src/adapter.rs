//! Kinds of adapter: what `--network_module` with its `--network_args` asks for, as sd-scripts' `networks.lora` and
//! `networks.dylora` and LyCORIS' `lycoris.kohya` (4.1) have it. `adapter_args.rs` reads the words.

use crate::lycoris_preset::Preset;

/// The kind of adapter that is trained.
#[derive(Debug, Clone, PartialEq)]
pub enum Adapter {
    /// `networks.lora`
    Lora,
    /// `networks.dylora`
    DyLora(Blocks),
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

/// LyCORIS' algorithms that are supported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Algo {
    /// `lora` or `locon`
    Lora,
    /// `loha`
    Loha,
    /// `lokr`
    Lokr(Lokr),
    /// `ia3`
    Ia3,
    /// `dylora`
    DyLora(Blocks),
}

/// How LoKr splits a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lokr {
    /// Wanted size of the smaller matrix (`factor`); near the square root if absent.
    pub factor: Option<usize>,
    /// The smaller matrix may be a product too (`decompose_both`).
    pub decompose_both: bool,
    /// Neither matrix is a product (`full_matrix`).
    pub full_matrix: bool,
    /// The smaller matrix takes the larger factor of the outputs (`unbalanced_factorization`).
    pub unbalanced: bool,
}

/// Blocks of ranks that DyLoRA trains one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocks {
    /// Ranks of a block (`unit`, `block_size`).
    pub size: usize,
    /// Whose DyLoRA.
    pub rule: Rule,
}

/// Whose rules hold where the two programs differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// sd-scripts'
    Kohya,
    /// LyCORIS'
    Lycoris,
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
