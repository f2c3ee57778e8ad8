//! A checkpoint's networks, read strictly.

use lorabake_adapter::{Adapters, Sites};
use lorabake_ops::Storage;
use lorabake_weights::keys::kohya::Names;
use lorabake_weights::{Checkpoint, Error, Family, Loader, Part};

use burn::tensor::{Device, Tensor};

use crate::conditioning::Encoded;
use crate::family::{latent_scale, text_models};
use crate::nn::Builder;
use crate::text::{Projection, TextEncoder};
use crate::tokenizer::ROW;
use crate::unet::UNet;
use crate::vae::{Decoder, Encoder};

/// The frozen networks of one checkpoint.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// What kind of model they make.
    pub family: Family,
    /// How the modules of their LoRAs are called.
    pub names: Names,
    /// Prompt → states: one, or two for SDXL; dropped once the states of all prompts are kept.
    pub texts: Option<Vec<TextEncoder>>,
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
    /// Reads text encoders, UNet and VAE; `storage` is that of the UNet's and text encoders' matrices, the VAE's are
    /// f32. For training, the second text encoder of SDXL is used as sd-scripts uses it, see [`Projection`].
    ///
    /// # Errors
    /// Names every missing, mis-shaped or unexpected tensor of the first part that does not fit.
    pub fn load(checkpoint: &Checkpoint, parts: Parts, storage: Storage) -> Result<Self, Error> {
        Self::load_with(checkpoint, parts, storage, Storage::F32)
    }

    /// Like [`load`](Self::load), with the VAE's matrices and kernels in a storage of their own.
    ///
    /// # Errors
    /// As for `load`.
    pub fn load_with(checkpoint: &Checkpoint, parts: Parts, storage: Storage, vae: Storage) -> Result<Self, Error> {
        let family = checkpoint.family();
        let projection = if parts == Parts::Generating { Projection::AsHosts } else { Projection::AsTrainer };
        let mut texts = Vec::new();
        for model in text_models(family) {
            let mut loader = Loader::new(checkpoint, model.part);
            texts.push(TextEncoder::build(Builder::new(&mut loader, storage), *model, projection));
            loader.finish()?;
        }
        let mut loader = Loader::new(checkpoint, Part::Unet);
        let unet = UNet::build(Builder::new(&mut loader, storage));
        loader.finish()?;
        let mut loader = Loader::new(checkpoint, Part::Vae);
        let mut builder = Builder::new(&mut loader, vae);
        // Both halves are read, so that a broken file is refused whichever is wanted.
        let scale = latent_scale(family);
        let (encoder, decoder) = (Encoder::build(&mut builder, scale), Decoder::build(&mut builder, scale));
        loader.finish()?;
        Ok(Self {
            family,
            names: checkpoint.module_names(),
            texts: Some(texts),
            unet,
            encoder: (parts != Parts::Generating).then_some(encoder),
            decoder: (parts != Parts::Training).then_some(decoder),
        })
    }

    /// The text encoders.
    ///
    /// # Panics
    /// If they were dropped.
    pub fn texts(&self) -> &[TextEncoder] {
        self.texts.as_ref().expect("whoever drops the text encoders keeps what they give")
    }

    /// The layers of a network that adapters may attach to; `None` for one that is not there, or has none.
    pub fn sites(&self, part: Part) -> Option<&Sites> {
        match part {
            Part::Unet => Some(self.unet.sites()),
            Part::Vae => None,
            text => self.texts.iter().flatten().find(|own| own.model().part == text).map(TextEncoder::sites),
        }
    }

    /// What the text encoders make of prompts of `chunks` rows each, their states side by side.
    ///
    /// # Panics
    /// If there are not as many lists of `rows` as text encoders.
    pub fn encode(
        &self,
        (rows, chunks): (&[Vec<[u32; ROW]>], usize),
        clip_skip: usize,
        device: &Device,
        adapters: &[Adapters],
    ) -> Encoded {
        assert_eq!(rows.len(), self.texts().len(), "rows for each text encoder");
        let none = Adapters::default();
        let each = self.texts().iter().zip(rows).enumerate();
        let mut encoded: Vec<Encoded> = each
            .map(|(index, (text, rows))| {
                text.forward((rows, chunks), clip_skip, device, adapters.get(index).unwrap_or(&none))
            })
            .collect();
        let pooled = encoded.iter_mut().find_map(|encoded| encoded.pooled.take());
        let mut contexts: Vec<Tensor<3>> = encoded.into_iter().map(|encoded| encoded.context).collect();
        let context = if contexts.len() == 1 { contexts.remove(0) } else { Tensor::cat(contexts, 2) };
        Encoded { context, pooled }
    }
}
