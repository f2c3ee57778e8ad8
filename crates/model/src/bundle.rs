//! A checkpoint's networks, read strictly.

use lorabake_adapter::{Adapters, Sites};
use lorabake_ops::{Edges, WeightDtype};
use lorabake_weights::keys::kohya::KohyaNames;
use lorabake_weights::{Checkpoint, Error, Family, Loader, Part};

use burn::tensor::{Device, Tensor};

use crate::conditioning::Encoded;
use crate::family::{latent_scale, text_models};
use crate::nn::{Builder, MatrixSource};
use crate::text::{Projection, TextEncoder, TextInput};
use crate::tokenizer::CHUNK_IDS;
use crate::unet::UNet;
use crate::vae::{Decoder, Encoder};

/// The frozen networks of one checkpoint.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// What kind of model the networks make.
    pub family: Family,
    /// How the modules of a LoRA for this model are called.
    pub names: KohyaNames,
    /// The path as given, for messages.
    label: String,
    /// Prompt → hidden states: one encoder, or two for SDXL.
    pub texts: Vec<TextEncoder>,
    /// Noisy latents → prediction.
    pub unet: UNet,
    /// Image → latents; dropped once all are cached.
    pub encoder: Option<Encoder>,
    /// Latents → image.
    pub decoder: Option<Decoder>,
    /// Where the matrices of each part are.
    sources: Vec<(Part, MatrixSource)>,
}

/// How the matrices of the networks are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightDtypes {
    /// The matrices of the text encoders.
    pub texts: WeightDtype,
    /// The matrices of the UNet.
    pub unet: WeightDtype,
    /// The matrices of the VAE.
    pub vae: WeightDtype,
}

impl WeightDtypes {
    /// One number format for all networks.
    pub fn all(dtype: WeightDtype) -> Self {
        Self { texts: dtype, unet: dtype, vae: dtype }
    }
}

/// Token ids of prompts, for each text encoder of a model.
#[derive(Debug, Clone, Copy)]
pub struct PromptChunks<'a> {
    /// For each text encoder the chunks of all prompts, those of a prompt one after another.
    pub ids: &'a [Vec<[u32; CHUNK_IDS]>],
    /// Number of chunks of each prompt.
    pub per_prompt: usize,
}

/// Which halves of the VAE are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VaeHalves {
    /// The encoder, for training.
    Training,
    /// The decoder, for generating.
    Generating,
    /// Encoder and decoder, for training and looking at it.
    All,
    /// Encoder and decoder, for generating from pictures.
    Painting,
}

impl VaeHalves {
    /// What the names of tensors begin with that are of the other half alone.
    fn unused(self) -> &'static [&'static str] {
        match self {
            Self::Training => &["decoder.", "post_quant_conv."],
            Self::Generating => &["encoder.", "quant_conv."],
            Self::All | Self::Painting => &[],
        }
    }
}

impl Bundle {
    /// Opens text encoders, UNet and VAE, whose matrices stay in the file until [`Bundle::read`]. For training, the second
    /// text encoder of SDXL is used as sd-scripts uses it, see [`Projection`].
    ///
    /// # Errors
    /// Names every missing, mis-shaped or unexpected tensor of the first part that does not fit.
    pub fn open(checkpoint: &Checkpoint, halves: VaeHalves, dtype: WeightDtypes) -> Result<Self, Error> {
        Self::open_with_edges(checkpoint, halves, dtype, Edges::Zeros)
    }

    /// Opens as [`Bundle::open`] does, with these edges for the convolutions of UNet and VAE: pictures of networks that
    /// wrap can be laid side by side (the web UI's Tiling).
    ///
    /// # Errors
    /// As for [`Bundle::open`].
    pub fn open_with_edges(
        checkpoint: &Checkpoint,
        halves: VaeHalves,
        dtype: WeightDtypes,
        edges: Edges,
    ) -> Result<Self, Error> {
        let family = checkpoint.family();
        let projection = match halves {
            VaeHalves::Generating | VaeHalves::Painting => Projection::AsHosts,
            VaeHalves::Training | VaeHalves::All => Projection::AsTrainer,
        };
        let mut texts = Vec::new();
        let mut sources = Vec::new();
        for model in text_models(family) {
            let mut matrices = Vec::new();
            let mut loader = Loader::new(checkpoint, model.part);
            texts.push(TextEncoder::build(Builder::new(&mut loader, dtype.texts, &mut matrices), *model, projection));
            loader.finish()?;
            sources.extend(matrices.into_iter().map(|matrix| (model.part, matrix)));
        }
        let mut matrices = Vec::new();
        let mut loader = Loader::new(checkpoint, Part::Unet);
        let unet = UNet::build(Builder::new(&mut loader, dtype.unet, &mut matrices).with_edges(edges));
        loader.finish()?;
        sources.extend(matrices.into_iter().map(|matrix| (Part::Unet, matrix)));
        // Both halves of the VAE are looked at, so that a broken file is refused whichever is wanted.
        let mut matrices = Vec::new();
        let mut loader = Loader::new(checkpoint, Part::Vae);
        let mut builder = Builder::new(&mut loader, dtype.vae, &mut matrices).with_edges(edges);
        // Latents to train on are rounded as little as possible; in pictures nobody sees that.
        builder.set_winograd_in_bands(halves == VaeHalves::Painting);
        let encoder = Encoder::build(&mut builder, latent_scale(family));
        builder.set_winograd_in_bands(true);
        let decoder = Decoder::build(&mut builder, latent_scale(family));
        for start in halves.unused() {
            loader.forgive(start);
        }
        loader.finish()?;
        sources.extend(matrices.into_iter().map(|matrix| (Part::Vae, matrix)));
        Ok(Self {
            family,
            names: checkpoint.module_names(),
            label: checkpoint.label().to_string(),
            texts,
            unet,
            encoder: if halves == VaeHalves::Generating { None } else { Some(encoder) },
            decoder: if halves == VaeHalves::Training { None } else { Some(decoder) },
            sources,
        })
    }

    /// Opens all networks and brings their matrices into memory, the VAE in f32.
    ///
    /// # Errors
    /// The errors of [`Bundle::open`] and [`Bundle::read`].
    pub fn load(checkpoint: &Checkpoint, halves: VaeHalves, dtype: WeightDtype) -> Result<Self, Error> {
        let bundle =
            Self::open(checkpoint, halves, WeightDtypes { vae: WeightDtype::F32, ..WeightDtypes::all(dtype) })?;
        bundle.read(|_, _| true)?;
        Ok(bundle)
    }

    /// Brings the matrices of the layers for which `wanted(part, path)` is true into memory. What is not there is read
    /// from the file each time it is used.
    ///
    /// # Errors
    /// When the file no longer has them, or holds them damaged, or if they are not finite.
    pub fn read(&self, wanted: impl Fn(Part, &str) -> bool) -> Result<(), Error> {
        for (part, source) in &self.sources {
            if wanted(*part, &source.path) {
                source.matrix.read().map_err(|problems| Error::Unfit {
                    file: self.label.clone(),
                    part: part.name(),
                    problems,
                })?;
                if let Some(error) = source.values.fault() {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// What is wrong with the weights that were read so far, if some are not finite; those that are read for each use
    /// are not refused before.
    pub fn fault(&self) -> Option<Error> {
        self.sources.iter().find_map(|(_, source)| source.values.fault())
    }

    /// Takes the matrices of the parts for which `unwanted` is true out of memory again.
    pub fn forget(&self, unwanted: impl Fn(Part) -> bool) {
        for (part, source) in &self.sources {
            if unwanted(*part) {
                source.matrix.forget();
            }
        }
    }

    /// Takes matrices of `part` out of memory until there is room for `bytes` more, or none is left; [`Bundle::read`] brings
    /// them back.
    pub fn make_room(&self, part: Part, bytes: usize) {
        let mut wanted = bytes;
        for (of, source) in &self.sources {
            if *of == part && wanted > 0 {
                wanted = wanted.saturating_sub(source.matrix.bytes());
                source.matrix.forget();
            }
        }
    }

    /// The matrices of a part by the paths of their layers, with the bytes that each takes in memory.
    pub fn matrices(&self, part: Part) -> impl Iterator<Item = (&str, usize)> {
        let own = self.sources.iter().filter(move |(of, _)| *of == part);
        own.map(|(_, source)| (source.path.as_str(), source.matrix.bytes()))
    }

    /// The layers of a network that adapters may attach to; `None` for a network that is not there, or has none.
    pub fn sites(&self, part: Part) -> Option<&Sites> {
        match part {
            Part::Unet => Some(self.unet.sites()),
            Part::Vae => None,
            text => self.texts.iter().find(|own| own.model().part == text).map(TextEncoder::sites),
        }
    }

    /// What the text encoders make of `prompts`, with `adapters` for each of them, or none.
    ///
    /// # Shapes
    /// - context: [B, 77 | 152 | 227, D], the hidden states of all text encoders side by side
    /// - pooled: [B, P]
    ///
    /// # Panics
    /// If there are not as many lists of chunks as text encoders.
    pub fn encode(
        &self,
        prompts: PromptChunks<'_>,
        clip_skip: usize,
        device: &Device,
        adapters: &[Adapters],
    ) -> Encoded {
        assert_eq!(prompts.ids.len(), self.texts.len(), "chunks for each text encoder");
        let none = Adapters::default();
        let mut contexts: Vec<Tensor<3>> = Vec::new();
        let mut pooled = None;
        for (index, text) in self.texts.iter().enumerate() {
            let own = adapters.get(index).unwrap_or(&none);
            let encoded =
                text.forward(TextInput::plain(&prompts.ids[index], prompts.per_prompt), clip_skip, device, own);
            contexts.push(encoded.context);
            pooled = pooled.or(encoded.pooled);
        }
        let context = if contexts.len() == 1 { contexts.remove(0) } else { Tensor::cat(contexts, 2) };
        Encoded { context, pooled }
    }
}
