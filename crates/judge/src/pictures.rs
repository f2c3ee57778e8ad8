//! What is measured of the pictures that a snapshot paints.

use serde::{Deserialize, Serialize};

/// How well a tag of the prompts is heeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TagHeed {
    /// The tag.
    pub tag: String,
    /// What it explains of pictures with the LoRA, beside what it explains of the checkpoint's: 0 = nothing.
    pub share: f64,
}

/// What is measured of the pictures of one snapshot, beside those of the checkpoint alone and the images of the set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PictureMeasures {
    /// How alike pictures are to the set: 0 = as the checkpoint's, 1 = as the set's own images among themselves.
    pub likeness: Option<f64>,
    /// Share of pictures that are copies of a training image.
    pub copies: f64,
    /// Diversity between seeds, beside the checkpoint's.
    pub diversity: Option<f64>,
    /// How far pictures of other things moved, beside the distance between two seeds of the checkpoint.
    pub bleed: Option<f64>,
    /// Saturation, contrast and so on: how many spreads they lie beyond the checkpoint's and the set's.
    pub fry: Vec<(String, f64)>,
    /// Share of pictures that look like noise.
    pub noise: f64,
    /// How far the looks of pictures without the trigger have gone from the checkpoint's to the set's, 1 = all the way.
    #[serde(default)]
    pub looks_along: Option<f64>,
    /// How much more of the composition is that of a training image than in pictures that were never trained on, 0 to 1.
    #[serde(default)]
    pub composition: Option<f64>,
    /// How well tags of the prompts are heeded (`--budget full`).
    #[serde(default)]
    pub tags: Vec<TagHeed>,
}
