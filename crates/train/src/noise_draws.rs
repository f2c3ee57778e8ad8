//! Everything random about one batch, drawn from named streams by (epoch, batch): replaying needs no history.

use lorabake_diffusion::{add_multires_noise, add_noise_offset, draw_multires_levels, offset_strengths};
use lorabake_diffusion::{draw_timesteps, unit_normal};
use lorabake_recipe::diffusion::{Diffusion, NoiseOffset};
use lorabake_recipe::seed::{BatchId, Seed};
use rand::Rng;

/// What is drawn for one batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NoiseDraws {
    /// One per sample, 0 to 999.
    pub timesteps: Vec<usize>,
    /// [B, 4, h, w], unit normal, with the noise offset and the noise of other sizes if there are any.
    pub noise: Vec<f32>,
    /// What the network's input gets in addition to `noise`, of the same shape.
    pub input_noise: Option<Vec<f32>>,
}

impl NoiseDraws {
    /// The draws of a batch with scaled `latents` of `shape` [B, C, h, w].
    pub fn new(seed: Seed, batch: BatchId, latents: &[f32], shape: [usize; 4], settings: &Diffusion) -> Self {
        let stream = |name| seed.stream(name, &[batch.epoch, batch.batch]);
        let mut noise = unit_normal(&mut stream("noise"), latents.len());
        if let Some(offset) = settings.noise_offset {
            add_offset(&mut noise, latents, shape[2] * shape[3], offset, &mut stream("noise_offset"));
        }
        if let Some(multires) = settings.multires {
            let levels = draw_multires_levels(shape, multires.iterations, &mut stream("multires_noise"));
            add_multires_noise(&mut noise, shape, &levels, multires.discount);
        }
        let input_noise = settings.input_noise.map(|input| {
            let mut rng = stream("input_noise");
            let strength = strength(input.gamma, input.random, &mut rng) as f32;
            unit_normal(&mut rng, latents.len()).into_iter().map(|value| strength * value).collect()
        });
        let range = settings.min_timestep as usize..settings.max_timestep as usize;
        Self { timesteps: draw_timesteps(&mut stream("timestep"), shape[0], range), noise, input_noise }
    }
}

impl NoiseDraws {
    /// Adds the draws of samples that follow these in a batch.
    pub(crate) fn append(&mut self, other: Self) {
        self.timesteps.extend(other.timesteps);
        self.noise.extend(other.noise);
        if let Some(more) = other.input_noise {
            self.input_noise.get_or_insert_default().extend(more);
        }
    }
}

fn add_offset(noise: &mut [f32], latents: &[f32], plane: usize, offset: NoiseOffset, rng: &mut impl Rng) {
    let strength = strength(offset.strength, offset.random, rng);
    add_noise_offset(noise, plane, &offset_strengths(latents, plane, strength, offset.adaptive), rng);
}

/// The strength of one batch: `most`, or anything from 0 to it.
fn strength(most: f64, random: bool, rng: &mut impl Rng) -> f64 {
    if random { most * rng.random::<f64>() } else { most }
}
