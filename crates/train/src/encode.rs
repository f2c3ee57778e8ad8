//! Images → latents, kept in memory; captions → text states.

use std::ops::Range;

use anyhow::{Result, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::Adapters;
use lorabake_data::bucket::Placement;
use lorabake_data::caption::emphasis;
use lorabake_data::image::Rgb;
use lorabake_data::image::mask;
use lorabake_data::image::view::Source;
use lorabake_data::{Dataset, Item, UseId};
use lorabake_diffusion::unit_normal;
use lorabake_model::tokenizer::{self, ROW, Tokenizer};
use lorabake_model::vae::Encoder;
use lorabake_model::{Bundle, Encoded};
use lorabake_recipe::data::{Data, Mask};
use lorabake_recipe::seed::Seed;
use rand::Rng;
use sha2::{Digest, Sha256};

use crate::event::Event;
use crate::latent_file::{LatentFiles, Subject};
use crate::step::share;

/// The distribution of one image's latents, or one sample of it, before the latent scale.
#[derive(Debug, Clone)]
pub struct Latents {
    /// What samples are multiplied with.
    scale: f64,
    /// Channels, height, width.
    pub shape: [usize; 3],
    mean: Vec<f32>,
    /// Standard deviation; `None` = `mean` is a sample, the only one there is.
    spread: Option<Vec<f32>>,
}

impl Latents {
    /// Encodes one image.
    pub fn encode(encoder: &Encoder, image: &Rgb, device: &Device) -> Result<Self> {
        let pixels = image.to_pixels();
        let shape = [1, 3, pixels.height as usize, pixels.width as usize];
        let moments = encoder.forward(Tensor::<4>::from_data(TensorData::new(pixels.chw, shape), device));
        let [_, c, h, w] = moments.mean.dims();
        let mean: Vec<f32> = moments.mean.into_data().try_into_vec().expect("f32 moments");
        let spread: Vec<f32> = moments.log_variance.mul_scalar(0.5).exp().into_data().try_into_vec().expect("f32");
        ensure!(mean.iter().chain(&spread).all(|x| x.is_finite()), "the VAE gives latents that are not finite");
        Ok(Self { scale: encoder.latent_scale(), shape: [c, h, w], mean, spread: Some(spread) })
    }

    /// A sample that was kept, for a VAE of this latent scale.
    pub(crate) fn kept(scale: f64, shape: [usize; 3], sample: Vec<f32>) -> Self {
        Self { scale, shape, mean: sample, spread: None }
    }

    /// One sample, that of the image: the same in every run, whatever its seed, so that it can be kept for other runs.
    pub(crate) fn keep_one(self, image: &Rgb) -> Self {
        let digest = Sha256::digest(&image.data);
        let (seed, _) = digest.split_first_chunk().expect("a digest is longer than a seed");
        let mut rng = Seed(u64::from_le_bytes(*seed)).stream("latent of image", &[]);
        Self::kept(self.scale, self.shape, self.unscaled(&mut rng))
    }

    /// The sample that was kept; without one, the mean.
    pub(crate) fn values(&self) -> &[f32] {
        &self.mean
    }

    /// Whether `sample` may be one of this distribution; `stray` = what it may be off besides, as a share of the mean.
    pub(crate) fn explains(&self, sample: &[f32], stray: f64) -> bool {
        let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let error = norm(&mut self.mean.iter().zip(sample).map(|(mean, x)| x - mean));
        let spread = norm(&mut self.spread.iter().flatten().copied());
        self.mean.len() == sample.len() && error <= 2.0 * spread + stray * norm(&mut self.mean.iter().copied())
    }

    fn unscaled(&self, rng: &mut impl Rng) -> Vec<f32> {
        let Some(spread) = &self.spread else { return self.mean.clone() };
        let noise = unit_normal(rng, self.mean.len());
        self.mean.iter().zip(spread).zip(noise).map(|((m, s), n)| m + s * n).collect()
    }

    /// One sample, times the latent scale.
    pub fn sample(&self, rng: &mut impl Rng) -> Vec<f32> {
        self.unscaled(rng).into_iter().map(|x| x * self.scale as f32).collect()
    }
}

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

/// What was seen of options that act on some images only.
#[derive(Default)]
struct Seen<'d> {
    transparent: Vec<&'d Item>,
    crops: bool,
    faces: bool,
    /// Images with a mask, those among them whose mask is white, and the sum of the masks' means.
    masked: usize,
    white: usize,
    share: f64,
}

impl<'d> Seen<'d> {
    fn look(&mut self, item: &'d Item, source: &Source, mask: Option<&[f32]>) {
        self.transparent.extend(source.transparent.then_some(item));
        self.crops |= source.is_cropped_at_random();
        self.faces |= source.has_face();
        if let Some(weights) = mask {
            self.masked += 1;
            self.white += usize::from(weights.iter().all(|weight| *weight == 1.0));
            self.share += weights.iter().map(|weight| f64::from(*weight)).sum::<f64>() / weights.len() as f64;
        }
    }

    fn notes(&self, dataset: &Dataset, data: &Data) -> Vec<String> {
        let any = |is: fn(&Data) -> bool| dataset.items.iter().any(|item| is(dataset.settings(data, item)));
        let mut notes: Vec<String> = transparency_note(&self.transparent).into_iter().collect();
        if any(|data| data.random_crop) && !self.crops {
            notes.push("random_crop has no effect: no image is larger than its bucket after resizing".to_owned());
        }
        if any(|data| data.face_crop.is_some()) && !self.faces {
            notes.push(
                "face_crop_aug_range has no effect: no image that is larger than the resolution tells of a face in its \
                 name, as penny_256_200_90_110.png does (column and row of the middle, width, height)"
                    .to_owned(),
            );
        }
        if self.masked > 0 {
            let percent = 100.0 * self.share / self.masked as f64;
            notes.push(format!(
                "masks: {} images have one, {} of them all white; on average {percent:.0} % of a picture counts",
                self.masked, self.white
            ));
        }
        notes
    }
}

fn transparency_note(items: &[&Item]) -> Option<String> {
    let first = items.first()?;
    let others = if items.len() > 1 { format!(" and {} more", items.len() - 1) } else { String::new() };
    Some(format!(
        "{}{others}: transparent pixels are trained with the colour stored beneath them (as sd-scripts does), which is \
         often black; flatten such images onto a background of your choice",
        first.path.display()
    ))
}

/// Prompts as token rows: each prompt has the same number of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens {
    /// All rows for each text encoder, the rows of a prompt one after another.
    pub rows: Vec<Vec<[u32; ROW]>>,
    /// Rows per prompt: 1, 2 or 3.
    pub chunks: usize,
    /// What the text states of each place are multiplied by, prompt after prompt (`--weighted_captions`).
    pub weights: Option<Vec<f32>>,
    /// What the text encoders make of them, before the weights, if it is kept (`--cache_text_encoder_outputs`).
    pub kept: Option<Kept>,
}

/// What text encoders make of prompts, as numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// Text states, row-major.
    pub context: Vec<f32>,
    /// Summaries, row-major; empty where the family has none.
    pub pooled: Vec<f32>,
}

impl Kept {
    /// From what was just encoded.
    pub(crate) fn of(encoded: Encoded) -> Self {
        let pooled = encoded.pooled.map(|pooled| pooled.into_data().try_into_vec().expect("f32 summaries"));
        let context = encoded.context.into_data().try_into_vec().expect("f32 states");
        Self { context, pooled: pooled.unwrap_or_default() }
    }

    /// As tensors, for `batch` prompts of `places` states each.
    fn tensors(&self, [batch, places]: [usize; 2], device: &Device) -> Encoded {
        let shape = [batch, places, self.context.len() / (batch * places)];
        let pooled = (!self.pooled.is_empty()).then(|| {
            let shape = [batch, self.pooled.len() / batch];
            Tensor::from_data(TensorData::new(self.pooled.clone(), shape), device)
        });
        Encoded { context: Tensor::from_data(TensorData::new(self.context.clone(), shape), device), pooled }
    }
}

impl Tokens {
    /// Tokenizes prompts for a `max_token_length` of 75, 150 or 225 and text encoders with these `paddings`; if
    /// `weighted`, brackets in them are weights.
    pub fn new<'p>(
        tokenizer: &Tokenizer,
        prompts: impl IntoIterator<Item = &'p str>,
        max_token_length: u32,
        weighted: bool,
        paddings: &[u32],
    ) -> Self {
        let (mut rows, mut weights) = (vec![Vec::new(); paddings.len()], Vec::new());
        for prompt in prompts {
            let (ids, own) = weighted_ids(tokenizer, prompt, weighted);
            for (rows, padding) in rows.iter_mut().zip(paddings) {
                rows.extend(tokenizer::rows(&ids, max_token_length, *padding));
            }
            // One for BOS, one for each place of a token, one for the last EOS: as `join_chunks` lays the states out.
            let inner = own.into_iter().chain(std::iter::repeat(1.0)).take(max_token_length as usize);
            weights.extend(std::iter::once(1.0).chain(inner).chain([1.0]));
        }
        Self { rows, chunks: max_token_length as usize / 75, weights: weighted.then_some(weights), kept: None }
    }

    /// Number of prompts.
    pub fn batch(&self) -> usize {
        self.rows[0].len() / self.chunks
    }

    /// Some of the prompts.
    pub(crate) fn part(&self, range: &Range<usize>) -> Self {
        let batch = self.batch();
        let own = |values: &Vec<f32>| share(values, range, batch).to_vec();
        Self {
            rows: self.rows.iter().map(|rows| share(rows, range, batch).to_vec()).collect(),
            chunks: self.chunks,
            weights: self.weights.as_ref().map(own),
            kept: self.kept.as_ref().map(|kept| Kept { context: own(&kept.context), pooled: own(&kept.pooled) }),
        }
    }

    /// What the UNet is told of the prompts.
    ///
    /// # Shapes
    /// - context: [B, 77 | 152 | 227, D]
    pub fn encoded(&self, bundle: &Bundle, clip_skip: u32, device: &Device, adapters: &[Adapters]) -> Encoded {
        let encoded = match &self.kept {
            Some(kept) => kept.tensors([self.batch(), 75 * self.chunks + 2], device),
            None => bundle.encode((&self.rows, self.chunks), clip_skip as usize, device, adapters),
        };
        let Some(weights) = &self.weights else { return encoded };
        let [batch, places, _] = encoded.context.dims();
        let weights = Tensor::from_data(TensorData::new(weights.clone(), [batch, places, 1]), device);
        Encoded { context: encoded.context * weights, ..encoded }
    }
}

/// The token ids of a prompt with the weight of each. Parts of different weight are tokenized apart.
pub fn weighted_ids(tokenizer: &Tokenizer, prompt: &str, weighted: bool) -> (Vec<u32>, Vec<f32>) {
    if !weighted {
        let ids = tokenizer.encode(prompt);
        let weights = vec![1.0; ids.len()];
        return (ids, weights);
    }
    let (mut ids, mut weights) = (Vec::new(), Vec::new());
    for part in emphasis::parse(prompt) {
        ids.extend(tokenizer.encode(&part.text));
        weights.resize(ids.len(), part.weight as f32);
    }
    (ids, weights)
}
