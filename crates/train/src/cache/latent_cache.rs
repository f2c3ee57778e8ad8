//! The latents of all images, encoded once and kept; images that look different in each use are encoded again then.

use anyhow::Result;
use burn::tensor::Device;
use lorabake_data::Dataset;
use lorabake_data::bucket::Placement;
use lorabake_data::image::Rgb;
use lorabake_data::image::mask;
use lorabake_data::image::view::Source;
use lorabake_model::vae::Encoder;
use lorabake_recipe::data::{Data, Mask};
use lorabake_recipe::seed::{Seed, UseId};
use rand::Rng;

use super::latent_files::{LatentFiles, Subject};
use super::latent_notes::Seen;
use super::latents::Latents;
use crate::event::Event;

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
    /// Where it does so.
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

impl LatentCache {
    /// Decodes and encodes all images on a device, or looks for their latents in `files`; names the first that fails.
    pub(crate) fn fill(
        (encoder, device): (Encoder, &Device),
        (dataset, placements): (&Dataset, &[Placement]),
        data: &Data,
        seed: Seed,
        mut files: Option<LatentFiles>,
        mut tell: impl FnMut(Event),
    ) -> Result<Self> {
        let total = dataset.items.iter().filter(|item| item.uses > 0 || item.held_out).count();
        let (mut latents, mut masks, mut sources) = (Vec::with_capacity(dataset.items.len()), Vec::new(), Vec::new());
        let (mut done, mut seen) = (0, Seen::default());
        for (item, placement) in dataset.items.iter().zip(placements) {
            if item.uses == 0 && !item.held_out {
                latents.push([None, None]);
                masks.push(None);
                sources.push(None);
                continue;
            }
            let settings = dataset.settings(data, item);
            let source = Source::load(item, placement, settings)?;
            let encode = |image: &Rgb| {
                let latents = Latents::encode(&encoder, image, device);
                latents.map_err(|error| error.context(item.path.display().to_string()))
            };
            let still = source.unaugmented()?;
            let weights = still.mask.as_ref().map(mask::weights);
            seen.look(item, &source, weights.as_deref());
            // What is held out always looks the same.
            let varies = source.varies() && !item.held_out;
            let mirrors = settings.flip_aug && !varies && !item.held_out;
            let mirrored = mirrors.then(|| still.image.flip_horizontal());
            let views = [Some(&still.image), mirrored.as_ref()];
            let alpha = still.mask.as_ref().filter(|_| settings.mask == Some(Mask::Alpha));
            latents.push(match &mut files {
                Some(files) => files.latents(&Subject { item, placement, views, alpha }, encode)?,
                None => {
                    let keep =
                        |image| encode(image).map(|all| if data.cache_latents { all.keep_one(image) } else { all });
                    let [upright, mirrored] = views.map(|image| image.map(keep).transpose());
                    [upright?, mirrored?]
                }
            });
            masks.push(weights);
            sources.push(varies.then_some(source));
            done += 1;
            tell(Event::Cached { done, total });
        }
        let notes = files.into_iter().flat_map(LatentFiles::notes).chain(seen.notes(dataset, data));
        notes.for_each(|note| tell(Event::Note(note)));
        let encoder = sources.iter().any(Option::is_some).then_some(encoder);
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

    /// One use: a function of the image alone with `--cache_latents`, else of `at` = (epoch, position).
    ///
    /// # Errors
    /// If the use has latents that are not finite, or its file is gone.
    pub fn draw(&self, item: usize, flipped: bool, at: (u64, u64)) -> Result<Drawn> {
        if let (Some(source), Some(encoder)) = (&self.sources[item], &self.encoder) {
            let view = source.draw(self.seed, UseId { epoch: at.0, position: at.1 })?;
            let view = if flipped { view.flip_horizontal() } else { view };
            let latents = Latents::encode(encoder, &view.image, &self.device)?;
            let latents = latents.sample(&mut self.seed.stream("latent of use", &[at.0, at.1]));
            return Ok(Drawn { latents, mask: view.mask.as_ref().map(mask::weights) });
        }
        let latents = if flipped { self.latents[item][1].as_ref() } else { None }.unwrap_or(self.upright(item));
        let mut rng = self.seed.stream("latent of use", &[at.0, at.1]);
        let width = latents.shape[2];
        let mirrored = |mask: &Vec<f32>| mask.chunks_exact(width).flat_map(|row| row.iter().rev()).copied().collect();
        let mask = self.masks[item].as_ref();
        let mask = if flipped { mask.map(mirrored) } else { mask.cloned() };
        Ok(Drawn { latents: latents.sample(&mut rng), mask })
    }
}
