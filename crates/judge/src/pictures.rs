//! What is measured of the pictures that a snapshot paints.

use serde::{Deserialize, Serialize};

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
}
