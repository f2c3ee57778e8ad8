//! What pictures are compared by: what the checkpoint itself sees in them, or an encoder that the user brings.

use std::sync::Arc;

use anyhow::Result;
use lorabake_generate::painter::Painter;
use lorabake_pixels::Rgb;

use super::encoder::ImageEncoder;
use super::maker::FeatureMaker;
use super::{Features, Yardstick};

/// What looks at pictures.
#[derive(Debug)]
pub enum Sight<'a> {
    /// The checkpoint's own UNet.
    Own(Box<FeatureMaker<'a>>),
    /// An encoder from an ONNX file.
    Given(&'a ImageEncoder),
}

impl<'a> Sight<'a> {
    /// By `encoder` if there is one, else by the networks of `painter`, whose pictures usually have this side in pixels.
    ///
    /// # Errors
    /// As [`FeatureMaker::new`].
    pub fn new(painter: &'a Painter, side: usize, encoder: Option<&'a ImageEncoder>) -> Result<Self> {
        match encoder {
            Some(encoder) => Ok(Self::Given(encoder)),
            None => Ok(Self::Own(Box::new(FeatureMaker::new(painter, side)?))),
        }
    }

    /// What is seen in a picture.
    ///
    /// # Errors
    /// When a network cannot be read any more or computed, or gives values that are not numbers.
    pub fn features(&self, picture: &Rgb) -> Result<Arc<Features>> {
        match self {
            Self::Own(maker) => maker.features(picture),
            Self::Given(encoder) => encoder.features(picture),
        }
    }

    /// Distances between pictures of which `set`, which must not be empty, is an example. Encoders were trained so that the
    /// cosine tells; channels of a UNet are taken in their spread over the set.
    ///
    /// # Panics
    /// If it is empty.
    pub fn yardstick(&self, set: &[Arc<Features>]) -> Yardstick {
        match self {
            Self::Own(_) => Yardstick::of(set),
            Self::Given(_) => Yardstick::as_they_are(&set[0]),
        }
    }
}
