//! LyCORIS' algorithms with their settings. Which layers get one is in `lycoris_preset.rs`.

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
    DyLora(RankBlocks),
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
pub struct RankBlocks {
    /// Ranks of a block (`unit`, `block_size`).
    pub size: usize,
    /// Whose DyLoRA.
    pub dialect: Dialect,
}

/// Whose rules hold where sd-scripts and LyCORIS differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The rules of sd-scripts.
    Kohya,
    /// The rules of LyCORIS.
    Lycoris,
}
