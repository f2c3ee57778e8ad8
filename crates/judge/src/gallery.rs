//! Pictures with what is seen in each of them alone.

use std::sync::Arc;

use anyhow::Result;
use burn::tensor::Tensor;
use lorabake_generate::painter::Painter;
use lorabake_pixels::Rgb;

use crate::features::{Features, Sight};
use crate::fry::Looks;
use crate::noise_blobs::Texture;
use crate::plain::Raw;
use crate::studio::RawGallery;

/// A picture, and what is measured of it alone.
#[derive(Debug, Clone)]
pub struct Painting {
    /// Its prompt.
    pub prompt: String,
    /// Its seed.
    pub seed: u64,
    /// Its pixels.
    pub image: Rgb,
    pub(crate) features: Arc<Features>,
    pub(crate) looks: Looks,
    /// Of the first seed of each scene; it takes the VAE twice.
    pub(crate) texture: Option<Texture>,
}

/// The pictures of one snapshot.
#[derive(Debug, Clone)]
pub struct Gallery {
    /// The scenes with its trigger, each with two seeds.
    pub scenes: Vec<[Painting; 2]>,
    /// Prompts without its trigger.
    pub plain: Vec<Painting>,
}

/// Sees what is in pictures.
#[derive(Debug)]
pub struct Eye<'a> {
    /// Whose VAE it is by which noise is told from pictures.
    pub painter: &'a Painter,
    /// What compares pictures.
    pub sight: Sight<'a>,
}

impl Gallery {
    pub(crate) fn features(&self) -> Vec<Arc<Features>> {
        self.scenes.iter().flatten().map(|painting| Arc::clone(&painting.features)).collect()
    }

    pub(crate) fn looks(&self) -> Vec<Looks> {
        self.scenes.iter().flatten().map(|painting| painting.looks).collect()
    }

    pub(crate) fn plain_looks(&self) -> Vec<Looks> {
        self.plain.iter().map(|painting| painting.looks).collect()
    }

    pub(crate) fn textures(&self) -> Vec<Texture> {
        self.scenes.iter().filter_map(|pair| pair[0].texture).collect()
    }
}

impl Eye<'_> {
    pub(crate) fn look(&self, raw: RawGallery) -> Result<Gallery> {
        let mut scenes = Vec::new();
        for [first, second] in raw.scenes {
            scenes.push([self.look_closely(first)?, self.look_at(second)?]);
        }
        let mut plain = Vec::new();
        for picture in raw.plain {
            plain.push(self.look_at(picture)?);
        }
        Ok(Gallery { scenes, plain })
    }

    /// The latents of the scenes, in their order.
    pub(crate) fn latents(&self, gallery: &Gallery) -> Vec<Tensor<4>> {
        gallery.scenes.iter().flatten().map(|painting| self.painter.encode(&painting.image)).collect()
    }

    fn look_closely(&self, raw: Raw) -> Result<Painting> {
        let again = self.painter.decode(self.painter.encode(&raw.image))?.image;
        let texture = Texture::of(&raw.image, &again);
        Ok(Painting { texture: Some(texture), ..self.look_at(raw)? })
    }

    fn look_at(&self, raw: Raw) -> Result<Painting> {
        Ok(Painting {
            features: self.sight.features(&raw.image)?,
            looks: Looks::of(&raw.image, &raw.latents),
            texture: None,
            prompt: raw.prompt,
            seed: raw.seed,
            image: raw.image,
        })
    }
}
