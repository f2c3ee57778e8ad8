//! Images → latents, kept in memory; captions → text states.

use anyhow::{Result, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::Adapters;
use lorabake_data::bucket::Placement;
use lorabake_data::image::{self, Rgb};
use lorabake_data::{Dataset, Item};
use lorabake_diffusion::unit_normal;
use lorabake_model::LATENT_SCALE;
use lorabake_model::text::{TextEncoder, join_chunks};
use lorabake_model::tokenizer::{ROW, Tokenizer};
use lorabake_model::vae::Encoder;
use lorabake_recipe::data::Data;
use lorabake_recipe::seed::Seed;
use rand::Rng;

use crate::event::Event;

/// The distribution of one image's latents, before the latent scale.
#[derive(Debug, Clone)]
pub struct Latents {
    /// Channels, height, width.
    pub shape: [usize; 3],
    mean: Vec<f32>,
    /// Standard deviation.
    spread: Vec<f32>,
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
        Ok(Self { shape: [c, h, w], mean, spread })
    }

    /// One sample, times the latent scale.
    pub fn sample(&self, rng: &mut impl Rng) -> Vec<f32> {
        let scale = LATENT_SCALE as f32;
        let noise = unit_normal(rng, self.mean.len());
        self.mean.iter().zip(&self.spread).zip(noise).map(|((m, s), n)| (m + s * n) * scale).collect()
    }
}

/// The latents of every image that is used, upright and mirrored where the recipe mirrors.
pub struct LatentCache {
    /// Per item: upright, mirrored.
    latents: Vec<[Option<Latents>; 2]>,
    /// Per item: the whole image where each use draws a crop, so that its latents cannot be kept.
    uncropped: Vec<Option<(Rgb, Placement)>>,
    /// Encodes such crops; `None` if there are none.
    encoder: Option<Encoder>,
    /// One sample per image for the whole run (`--cache_latents`), not one per use.
    fixed: bool,
    seed: Seed,
}

impl LatentCache {
    /// Decodes and encodes all images; names the first that fails.
    pub fn fill(
        encoder: Encoder,
        (dataset, placements): (&Dataset, &[Placement]),
        data: &Data,
        seed: Seed,
        mut tell: impl FnMut(Event),
    ) -> Result<Self> {
        let device = Device::flex();
        let total = dataset.items.iter().filter(|item| item.uses > 0).count();
        let (mut latents, mut uncropped) = (Vec::with_capacity(dataset.items.len()), Vec::new());
        let (mut done, mut transparent) = (0, Vec::new());
        for (item, placement) in dataset.items.iter().zip(placements) {
            if item.uses == 0 {
                latents.push([None, None]);
                uncropped.push(None);
                continue;
            }
            let loaded = image::load_resized(item, placement)?;
            transparent.extend(loaded.transparent.then_some(item));
            let encode = |image: &Rgb| {
                let latents = Latents::encode(&encoder, image, &device);
                latents.map_err(|error| error.context(item.path.display().to_string()))
            };
            let middle = image::crop(&loaded.image, placement.bucket, placement.crop);
            let upright = encode(&middle)?;
            let crops = data.random_crop && placement.resized != placement.bucket;
            let mirrored = (data.flip_aug && !crops).then(|| encode(&middle.mirrored())).transpose()?;
            latents.push([Some(upright), mirrored]);
            uncropped.push(crops.then_some((loaded.image, *placement)));
            done += 1;
            tell(Event::Cached { done, total });
        }
        if let Some(note) = transparency_note(&transparent) {
            tell(Event::Note(note));
        }
        let crops = uncropped.iter().any(Option::is_some);
        if data.random_crop && !crops {
            let text = "random_crop has no effect: no image is larger than its bucket after resizing";
            tell(Event::Note(text.into()));
        }
        let encoder = crops.then_some(encoder);
        Ok(Self { latents, uncropped, encoder, fixed: data.cache_latents, seed })
    }

    /// Channels, height, width of an item's latents.
    pub fn shape(&self, item: usize) -> [usize; 3] {
        self.upright(item).shape
    }

    fn upright(&self, item: usize) -> &Latents {
        self.latents[item][0].as_ref().expect("every image that is used has latents")
    }

    /// Scaled latents of one use: a function of the image alone with `--cache_latents`, else of `at` = (epoch, position).
    ///
    /// # Errors
    /// If a crop has latents that are not finite.
    pub fn draw(&self, item: usize, flipped: bool, at: (u64, u64)) -> Result<Vec<f32>> {
        if let (Some((image, placement)), Some(encoder)) = (&self.uncropped[item], &self.encoder) {
            let corner = image::draw_crop(placement, &mut self.seed.stream("crop", &[at.0, at.1]));
            let crop = image::crop(image, placement.bucket, corner);
            let crop = if flipped { crop.mirrored() } else { crop };
            let latents = Latents::encode(encoder, &crop, &Device::flex())?;
            return Ok(latents.sample(&mut self.seed.stream("latent of use", &[at.0, at.1])));
        }
        let latents = if flipped { self.latents[item][1].as_ref() } else { None }.unwrap_or(self.upright(item));
        let mut rng = if self.fixed {
            self.seed.stream("latent of image", &[item as u64, u64::from(flipped)])
        } else {
            self.seed.stream("latent of use", &[at.0, at.1])
        };
        Ok(latents.sample(&mut rng))
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// All rows, the rows of a prompt one after another.
    pub rows: Vec<[u32; ROW]>,
    /// Rows per prompt: 1, 2 or 3.
    pub chunks: usize,
}

impl Tokens {
    /// Tokenizes prompts for a `max_token_length` of 75, 150 or 225.
    pub fn new<'p>(tokenizer: &Tokenizer, prompts: impl IntoIterator<Item = &'p str>, max_token_length: u32) -> Self {
        let rows = prompts.into_iter().flat_map(|prompt| tokenizer.chunks(prompt, max_token_length)).collect();
        Self { rows, chunks: max_token_length as usize / 75 }
    }

    /// The text states that the UNet attends to.
    ///
    /// # Shapes
    /// - output: [B, 77 | 152 | 227, D]
    pub fn states(&self, text: &TextEncoder, clip_skip: u32, device: &Device, adapters: &Adapters) -> Tensor<3> {
        join_chunks(text.forward(&self.rows, clip_skip as usize, device, adapters), self.chunks)
    }
}
