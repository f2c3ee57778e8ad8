//! The latents of one image: a distribution that the VAE's encoder gives, or one sample of it.

use anyhow::{Result, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use lorabake_data::image::Rgb;
use lorabake_diffusion::unit_normal;
use lorabake_model::vae::Encoder;
use lorabake_recipe::seed::Seed;
use rand::Rng;
use sha2::{Digest, Sha256};

/// The distribution of one image's latents, or one sample of it, before the latent scale.
#[derive(Debug, Clone)]
pub struct Latents {
    /// What samples are multiplied with.
    scale: f64,
    /// Channels, height, width.
    pub shape: [usize; 3],
    mean: Vec<f32>,
    /// Standard deviation; `None` = `mean` is a sample, the only one there is.
    std: Option<Vec<f32>>,
}

impl Latents {
    /// Encodes one image.
    ///
    /// # Errors
    /// When the latents are not finite.
    pub fn encode(encoder: &Encoder, image: &Rgb, device: &Device) -> Result<Self> {
        let pixels = image.to_pixels();
        let shape = [1, 3, pixels.height as usize, pixels.width as usize];
        let moments = encoder.forward(Tensor::<4>::from_data(TensorData::new(pixels.chw, shape), device));
        let [_, c, h, w] = moments.mean.dims();
        let mean: Vec<f32> = moments.mean.into_data().try_into_vec().expect("f32 moments");
        let std: Vec<f32> = moments.log_variance.mul_scalar(0.5).exp().into_data().try_into_vec().expect("f32");
        ensure!(mean.iter().chain(&std).all(|x| x.is_finite()), "the VAE gives latents that are not finite");
        Ok(Self { scale: encoder.latent_scale(), shape: [c, h, w], mean, std: Some(std) })
    }

    /// A sample that was kept, for a VAE of this latent scale.
    pub(crate) fn kept(scale: f64, shape: [usize; 3], sample: Vec<f32>) -> Self {
        Self { scale, shape, mean: sample, std: None }
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

    /// Whether `sample` may be one of this distribution; `tolerance` = what it may be off besides, as a share of the mean.
    pub(crate) fn is_plausible_sample(&self, sample: &[f32], tolerance: f64) -> bool {
        let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        let error = norm(&mut self.mean.iter().zip(sample).map(|(mean, x)| x - mean));
        let std = norm(&mut self.std.iter().flatten().copied());
        self.mean.len() == sample.len() && error <= 2.0 * std + tolerance * norm(&mut self.mean.iter().copied())
    }

    fn unscaled(&self, rng: &mut impl Rng) -> Vec<f32> {
        let Some(std) = &self.std else { return self.mean.clone() };
        let noise = unit_normal(rng, self.mean.len());
        self.mean.iter().zip(std).zip(noise).map(|((m, s), n)| m + s * n).collect()
    }

    /// One sample, times the latent scale.
    pub fn sample(&self, rng: &mut impl Rng) -> Vec<f32> {
        self.unscaled(rng).into_iter().map(|x| x * self.scale as f32).collect()
    }
}
