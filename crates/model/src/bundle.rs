//! A checkpoint's networks, read strictly.

use lorabake_ops::Storage;
use lorabake_weights::{Checkpoint, Error, Loader, Part};

use crate::nn::Builder;
use crate::text::TextEncoder;
use crate::unet::UNet;
use crate::vae::{Decoder, Encoder};

/// Latents are multiplied by this between VAE and UNet (SD1.x).
pub const LATENT_SCALE: f64 = 0.18215;

/// The frozen networks of one checkpoint.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Prompt → states; dropped once those of all prompts are kept.
    pub text: Option<TextEncoder>,
    /// Noisy latents → prediction.
    pub unet: UNet,
    /// Image → latents; dropped once all are cached.
    pub encoder: Option<Encoder>,
    /// Latents → image.
    pub decoder: Option<Decoder>,
}

/// Which halves of the VAE are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// For training: the encoder.
    Training,
    /// For generating: the decoder.
    Generating,
    /// Both.
    All,
}

impl Bundle {
    /// Reads text encoder, UNet and VAE; `storage` is that of the UNet's and text encoder's matrices, the VAE's are f32.
    ///
    /// # Errors
    /// Names every missing, mis-shaped or unexpected tensor of the first part that does not fit.
    pub fn load(checkpoint: &Checkpoint, parts: Parts, storage: Storage) -> Result<Self, Error> {
        let mut loader = Loader::new(checkpoint, Part::TextEncoder);
        let text = TextEncoder::build(Builder::new(&mut loader, storage));
        loader.finish()?;
        let mut loader = Loader::new(checkpoint, Part::Unet);
        let unet = UNet::build(Builder::new(&mut loader, storage));
        loader.finish()?;
        let mut loader = Loader::new(checkpoint, Part::Vae);
        let mut builder = Builder::new(&mut loader, Storage::F32);
        // Both halves are read, so that a broken file is refused whichever is wanted.
        let (encoder, decoder) = (Encoder::build(&mut builder), Decoder::build(&mut builder));
        loader.finish()?;
        Ok(Self {
            text: Some(text),
            unet,
            encoder: (parts != Parts::Generating).then_some(encoder),
            decoder: (parts != Parts::Training).then_some(decoder),
        })
    }

    /// The text encoder.
    ///
    /// # Panics
    /// If it was dropped.
    pub fn text(&self) -> &TextEncoder {
        self.text.as_ref().expect("whoever drops the text encoder keeps what it gives")
    }
}
