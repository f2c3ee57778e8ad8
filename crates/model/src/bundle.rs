//! A checkpoint's networks, read strictly.

use lorabake_adapter::{Adapters, Sites};
use lorabake_ops::Storage;
use lorabake_weights::keys::kohya::KohyaNames;
use lorabake_weights::{Checkpoint, Error, Family, Loader, Part};

use burn::tensor::{Device, Tensor};

use crate::conditioning::Encoded;
use crate::family::{latent_scale, text_models};
use crate::nn::{Builder, Place};
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
    pub names: KohyaNames,
    /// The path as given, for messages.
    label: String,
    /// Prompt → states: one, or two for SDXL.
    pub texts: Vec<TextEncoder>,
    /// Noisy latents → prediction.
    pub unet: UNet,
    /// Image → latents; dropped once all are cached.
    pub encoder: Option<Encoder>,
    /// Latents → image.
    pub decoder: Option<Decoder>,
    /// Where the matrices are.
    places: Vec<(Part, Place)>,
}

/// How the matrices of the networks are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storages {
    /// The text encoders'.
    pub texts: Storage,
    /// The UNet's.
    pub unet: Storage,
    /// The VAE's.
    pub vae: Storage,
}

impl Storages {
    /// All alike.
    pub fn all(storage: Storage) -> Self {
        Self { texts: storage, unet: storage, vae: storage }
    }
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
    /// Opens text encoders, UNet and VAE, whose matrices stay in the file until [`Bundle::read`]. For training, the second
    /// text encoder of SDXL is used as sd-scripts uses it, see [`Projection`].
    ///
    /// # Errors
    /// Names every missing, mis-shaped or unexpected tensor of the first part that does not fit.
    pub fn open(checkpoint: &Checkpoint, parts: Parts, storage: Storages) -> Result<Self, Error> {
        let family = checkpoint.family();
        let projection = if parts == Parts::Generating { Projection::AsHosts } else { Projection::AsTrainer };
        let (mut texts, mut places) = (Vec::new(), Vec::new());
        let mut keep =
            |part: Part, matrices: Vec<Place>| places.extend(matrices.into_iter().map(|place| (part, place)));
        for model in text_models(family) {
            let (mut loader, mut matrices) = (Loader::new(checkpoint, model.part), Vec::new());
            texts.push(TextEncoder::build(Builder::new(&mut loader, storage.texts, &mut matrices), *model, projection));
            loader.finish()?;
            keep(model.part, matrices);
        }
        let (mut loader, mut matrices) = (Loader::new(checkpoint, Part::Unet), Vec::new());
        let unet = UNet::build(Builder::new(&mut loader, storage.unet, &mut matrices));
        loader.finish()?;
        keep(Part::Unet, matrices);
        let (mut loader, mut matrices) = (Loader::new(checkpoint, Part::Vae), Vec::new());
        let mut builder = Builder::new(&mut loader, storage.vae, &mut matrices);
        // Both halves are looked at, so that a broken file is refused whichever is wanted.
        let scale = latent_scale(family);
        let (encoder, decoder) = (Encoder::build(&mut builder, scale), Decoder::build(&mut builder, scale));
        loader.finish()?;
        keep(Part::Vae, matrices);
        Ok(Self {
            family,
            names: checkpoint.module_names(),
            label: checkpoint.label().to_string(),
            texts,
            unet,
            encoder: (parts != Parts::Generating).then_some(encoder),
            decoder: (parts != Parts::Training).then_some(decoder),
            places,
        })
    }

    /// Opens all and brings all into memory, the VAE in f32.
    ///
    /// # Errors
    /// As for [`Bundle::open`] and [`Bundle::read`].
    pub fn load(checkpoint: &Checkpoint, parts: Parts, storage: Storage) -> Result<Self, Error> {
        let bundle = Self::open(checkpoint, parts, Storages { vae: Storage::F32, ..Storages::all(storage) })?;
        bundle.read(|_, _| true)?;
        Ok(bundle)
    }

    /// Brings the matrices of the layers for which `wanted(part, path)` is true into memory. What is not there is read
    /// from the file each time it is used.
    ///
    /// # Errors
    /// When the file no longer has them, or holds them damaged.
    pub fn read(&self, wanted: impl Fn(Part, &str) -> bool) -> Result<(), Error> {
        for (part, place) in self.places.iter().filter(|(part, place)| wanted(*part, &place.path)) {
            let unfit = |problems| Error::Unfit { file: self.label.clone(), part: part.name(), problems };
            place.matrix.read().map_err(unfit)?;
        }
        Ok(())
    }

    /// Takes the matrices of these parts out of memory again.
    pub fn forget(&self, unwanted: impl Fn(Part) -> bool) {
        self.places.iter().filter(|(part, _)| unwanted(*part)).for_each(|(_, place)| place.matrix.forget());
    }

    /// The matrices of a part by the paths of their layers, with the bytes that each takes in memory.
    pub fn matrices(&self, part: Part) -> impl Iterator<Item = (&str, usize)> {
        let own = self.places.iter().filter(move |(of, _)| *of == part);
        own.map(|(_, place)| (place.path.as_str(), place.matrix.bytes()))
    }

    /// The layers of a network that adapters may attach to; `None` for one that is not there, or has none.
    pub fn sites(&self, part: Part) -> Option<&Sites> {
        match part {
            Part::Unet => Some(self.unet.sites()),
            Part::Vae => None,
            text => self.texts.iter().find(|own| own.model().part == text).map(TextEncoder::sites),
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
        assert_eq!(rows.len(), self.texts.len(), "rows for each text encoder");
        let none = Adapters::default();
        let each = self.texts.iter().zip(rows).enumerate();
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
