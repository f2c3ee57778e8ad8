//! What is asked of an extraction.

use std::path::PathBuf;

use lorabake_weights::Part;

use crate::like::Like;

/// How ranks follow from singular values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Keep {
    /// As many as are allowed.
    Most,
    /// Values above this share of the largest.
    Ratio(f64),
    /// Values above this.
    Threshold(f64),
    /// As many as keep this share of the energy, the sum of squares.
    Energy(f64),
    /// LyCORIS' quantile: values whose sum so far is below this share of the whole.
    Quantile(f64),
    /// As many, in the whole file, as so many bytes hold, with the least error in all.
    Bytes(usize),
}

/// The form of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// LoRA, and LoCon with ranks for wide convolutions.
    Lora,
    /// LoKr with the smaller sides of `factor`, the larger matrix of the highest rank.
    Lokr(Option<usize>),
    /// Differences as they are, as large as the weights.
    Full,
}

/// What is to be extracted.
#[derive(Debug, Clone, PartialEq)]
pub struct Extract {
    /// The checkpoint from which was trained.
    pub base: PathBuf,
    /// The one that came of it.
    pub tuned: PathBuf,
    /// The form of the result.
    pub kind: Kind,
    /// How ranks are found.
    pub keep: Keep,
    /// The same for convolutions over more than one pixel; as `keep` if `None`.
    pub keep_conv: Option<Keep>,
    /// The highest rank of matrices and convolutions of one pixel.
    pub rank: usize,
    /// That of wide convolutions; without it they, and all layers of residual blocks, are left out.
    pub conv_rank: Option<usize>,
    /// Parts of the model that are extracted, where they differ.
    pub parts: Vec<Part>,
    /// Differences that no LoRA holds are kept whole: norms, biases, first and last layers.
    pub full_difference: bool,
    /// Whose numbers.
    pub like: Like,
    /// sd-scripts' quantile of entries beyond which they are cut.
    pub clamp_quantile: Option<f64>,
    /// sd-scripts' largest entry below which text encoders count as the same.
    pub min_diff: Option<f64>,
    /// LyCORIS' second truncation of wide convolutions.
    pub tucker: bool,
}
