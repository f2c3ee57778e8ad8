//! The latents of all images, encoded once and kept; images that look different in each use are encoded again then.

use anyhow::Result;
use burn::tensor::Device;
use lorabake_data::bucket::Placement;
use lorabake_data::image::Rgb;
use lorabake_data::image::mask;
use lorabake_data::image::view::Source;
use lorabake_data::{Dataset, Item};
use lorabake_model::vae::Encoder;
use lorabake_recipe::data::{Data, Mask};
use lorabake_recipe::seed::{Seed, UseId};
use rand::Rng;

use super::latent_files::{LatentFiles, Subject};
use super::latent_notes::Seen;
use super::latents::Latents;
use crate::event::{Emit, Event};

/// The latents of every image that is used, upright and mirrored where it is mirrored.
pub struct LatentCache {
    /// Per item: upright, mirrored.
    latents: Vec<[Option<Latents>; 2]>,
    /// Per item: the upright mask of the loss, at the size of latents, if it has one.
    masks: Vec<Option<Vec<f32>>>,
    /// Per item: the whole image where each use looks different, so that its latents cannot be kept.
    sources: Vec<Option<Source>>,
    /// Encodes such uses; `None` if there are none.
    encoder: Option<Encoder>,
    /// Where such uses are encoded.
    device: Device,
    seed: Seed,
}

/// What one use of an image brings.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// Scaled latents, row-major.
    pub latents: Vec<f32>,
    /// Where the loss counts, h × w values; `None` = everywhere.
    pub mask: Option<Vec<f32>>,
}

/// The VAE's encoder, and where it computes.
pub(crate) struct EncoderOn<'a> {
    pub encoder: Encoder,
    pub device: &'a Device,
}

/// The images of a data set with their places in buckets.
#[derive(Clone, Copy)]
pub(crate) struct PlacedImages<'a> {
    pub dataset: &'a Dataset,
    /// One for each item.
    pub placements: &'a [Placement],
    /// What holds for items that have no settings of their own.
    pub settings: &'a Data,
}

impl LatentCache {
    /// Decodes and encodes all images, or looks for their latents in `files`.
    ///
    /// # Errors
    /// When an image cannot be decoded or its latents are not finite, naming the first one.
    pub(crate) fn fill(
        vae: EncoderOn<'_>,
        images: PlacedImages<'_>,
        seed: Seed,
        mut files: Option<LatentFiles>,
        emit: &Emit<'_>,
    ) -> Result<Self> {
        let EncoderOn { encoder, device } = vae;
        let items = &images.dataset.items;
        let total = items.iter().filter(|item| is_encoded(item)).count();
        let mut latents = Vec::with_capacity(items.len());
        let mut masks = Vec::with_capacity(items.len());
        let mut sources = Vec::with_capacity(items.len());
        if let Some(files) = &mut files {
            files.set_apart(items);
        }
        let mut done = 0;
        let mut seen = Seen::default();
        for (item, placement) in items.iter().zip(images.placements) {
            if !is_encoded(item) {
                latents.push([None, None]);
                masks.push(None);
                sources.push(None);
                continue;
            }
            let settings = images.dataset.settings(images.settings, item);
            let source = Source::load(item, placement, settings)?;
            let encode = |image: &Rgb| {
                let latents = Latents::encode(&encoder, image, device);
                latents.map_err(|error| error.context(item.path.display().to_string()))
            };
            let unaugmented = source.unaugmented()?;
            let weights = unaugmented.mask.as_ref().map(mask::weights);
            seen.look(item, &source, weights.as_deref());
            // What is held out always looks the same.
            let varies = source.varies() && !item.held_out;
            let flips = settings.flip_aug && !varies && !item.held_out;
            let flipped = flips.then(|| unaugmented.image.flip_horizontal());
            let views = [Some(&unaugmented.image), flipped.as_ref()];
            let alpha = unaugmented.mask.as_ref().filter(|_| settings.mask == Some(Mask::Alpha));
            latents.push(match &mut files {
                Some(files) => files.latents(&Subject { item, placement, views, alpha }, encode)?,
                None => encode_views(views, images.settings.cache_latents, encode)?,
            });
            masks.push(weights);
            sources.push(if varies { Some(source) } else { None });
            done += 1;
            emit(Event::Cached { done, total });
        }
        let notes = files.into_iter().flat_map(LatentFiles::notes).chain(seen.notes(images.dataset, images.settings));
        for note in notes {
            emit(Event::Note(note));
        }
        let encoder = if sources.iter().any(Option::is_some) { Some(encoder) } else { None };
        Ok(Self { latents, masks, sources, encoder, device: device.clone(), seed })
    }

    /// Channels, height, width of an item's latents.
    pub fn shape(&self, item: usize) -> [usize; 3] {
        self.upright(item).shape
    }

    /// An image that is held out, upright: its latents are a function of `rng` alone; `None` if it was not encoded.
    pub fn fixed(&self, item: usize, rng: &mut impl Rng) -> Option<Drawn> {
        let latents = self.latents[item][0].as_ref()?.sample(rng);
        Some(Drawn { latents, mask: self.masks[item].clone() })
    }

    fn upright(&self, item: usize) -> &Latents {
        self.latents[item][0].as_ref().expect("every image that is used has latents")
    }

    /// What one use of an image brings: a function of the image alone with `--cache_latents`, else of the use.
    ///
    /// # Errors
    /// If the use has latents that are not finite, or its file is gone.
    pub fn draw(&self, item: usize, flipped: bool, id: UseId) -> Result<Drawn> {
        let mut rng = self.seed.stream("latent of use", &[id.epoch, id.position]);
        if let (Some(source), Some(encoder)) = (&self.sources[item], &self.encoder) {
            let view = source.draw(self.seed, id)?;
            let view = if flipped { view.flip_horizontal() } else { view };
            let latents = Latents::encode(encoder, &view.image, &self.device)?;
            return Ok(Drawn { latents: latents.sample(&mut rng), mask: view.mask.as_ref().map(mask::weights) });
        }
        let upright = self.upright(item);
        let mask = self.masks[item].as_ref();
        if !flipped {
            return Ok(Drawn { latents: upright.sample(&mut rng), mask: mask.cloned() });
        }
        let latents = self.latents[item][1].as_ref().unwrap_or(upright);
        let width = latents.shape[2];
        let mask = mask.map(|mask| mask.chunks_exact(width).flat_map(|row| row.iter().rev()).copied().collect());
        Ok(Drawn { latents: latents.sample(&mut rng), mask })
    }
}

/// The latents of the views that there are; of each one sample only with `--cache_latents`.
fn encode_views(
    views: [Option<&Rgb>; 2],
    keep_one: bool,
    encode: impl Fn(&Rgb) -> Result<Latents>,
) -> Result<[Option<Latents>; 2]> {
    let mut latents = [None, None];
    for (kept, image) in latents.iter_mut().zip(views) {
        let Some(image) = image else { continue };
        let whole = encode(image)?;
        *kept = Some(if keep_one { whole.keep_one(image) } else { whole });
    }
    Ok(latents)
}

/// Whether anything is asked of an image: it is used, or held out.
fn is_encoded(item: &Item) -> bool {
    item.uses > 0 || item.held_out
}
