//! Everything random about one batch, drawn from named streams by (epoch, batch): replaying needs no history.

use lorabake_diffusion::draw_timesteps;
use lorabake_diffusion::{add_noise_offset, unit_normal};
use lorabake_recipe::seed::Seed;

/// What is drawn for one batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Draws {
    /// One per sample, 0 to 999.
    pub timesteps: Vec<usize>,
    /// [B, 4, h, w], unit normal, with the noise offset if there is one.
    pub noise: Vec<f32>,
}

impl Draws {
    /// The draws of batch `at` = (epoch, batch) with latents of `shape` [B, C, h, w].
    pub fn new(seed: Seed, at: (u64, u64), shape: [usize; 4], noise_offset: Option<f64>) -> Self {
        let stream = |name| seed.stream(name, &[at.0, at.1]);
        let mut noise = unit_normal(&mut stream("noise"), shape.iter().product());
        if let Some(strength) = noise_offset {
            add_noise_offset(&mut noise, shape[2] * shape[3], strength, &mut stream("noise_offset"));
        }
        Self { timesteps: draw_timesteps(&mut stream("timestep"), shape[0]), noise }
    }
}
