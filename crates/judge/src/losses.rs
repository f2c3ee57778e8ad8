//! Denoising losses of images, relative to those of the checkpoint alone (M1 of the measures; the idea of a loss on fixed
//! noise is that of EveryDream2's and sd-scripts' validation, the division by the checkpoint's own is ours).
//!
//! Losses differ a hundredfold between timesteps, so that their plain mean is the noisiest one's. The logarithm of the
//! ratio to the checkpoint's loss has one meaning at all of them: −0.1 = 10 % less error than without the LoRA.

use anyhow::Result;
use burn::tensor::{Tensor, TensorData};
use lorabake_adapter::Adapters;
use lorabake_diffusion::unit_normal;
use lorabake_generate::probe::{NoisePredictor, NoisyLatents, Probe};
use lorabake_lora::Attached;
use lorabake_model::Conditioning;
use lorabake_recipe::seed::Seed;

use crate::material::Sample;
use crate::told::Caption;

/// Timesteps of a full measurement, of 1000.
pub const ALL_TIMESTEPS: [usize; 6] = [50, 200, 400, 600, 800, 950];
/// Timesteps of a coarse one.
pub const FEW_TIMESTEPS: [usize; 3] = [200, 600, 900];
/// With zero terminal SNR the loss loses its meaning behind this one.
const LAST_WITH_ZERO_SNR: usize = 990;
/// Latent values of one image up to which its timesteps go through the UNet together.
const SMALL: usize = 4 * 64 * 64;

/// Measures losses with fixed noise.
#[derive(Debug)]
pub struct LossMeter<'a> {
    probe: Probe<'a>,
    clip_skip: usize,
    /// The text encoders stay in memory from one call to the next.
    keeps_texts: bool,
    exam: Exam<'a>,
}

/// What is needed beside images and adapters; threads share it.
#[derive(Debug)]
struct Exam<'a> {
    predictor: NoisePredictor<'a>,
    timesteps: Vec<usize>,
    seed: Seed,
}

/// Latents that the UNet is to see noise in.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// In the UNet's scale, [1, 4, H, W].
    pub latents: &'a Tensor<4>,
    /// The number by which their noise is drawn.
    pub key: u64,
    /// What the UNet is told.
    pub condition: Conditioning,
}

/// Mean squared errors of each image at each timestep.
pub type Losses = Vec<Vec<f64>>;

impl<'a> LossMeter<'a> {
    /// A meter at those of `timesteps` that are between `trained.start` and `trained.end`, or at the middle if none is.
    ///
    /// # Errors
    /// When the UNet cannot be read.
    pub fn new(
        probe: Probe<'a>,
        timesteps: &[usize],
        trained: std::ops::Range<usize>,
        seed: u64,
        clip_skip: usize,
    ) -> Result<Self> {
        let last = if probe.schedule.ends_in_noise() { LAST_WITH_ZERO_SNR } else { usize::MAX };
        let mut kept: Vec<usize> = timesteps.iter().copied().filter(|t| trained.contains(t) && *t <= last).collect();
        if kept.is_empty() {
            kept.push((trained.start + trained.end.max(trained.start + 1) - 1) / 2);
        }
        let predictor = probe.noise_predictor()?;
        Ok(Self { probe, clip_skip, keeps_texts: false, exam: Exam { predictor, timesteps: kept, seed: Seed(seed) } })
    }

    /// The same, with the text encoders in memory from one call to the next: quick, where they are small.
    pub fn keeping_texts(self, keeps_texts: bool) -> Self {
        Self { keeps_texts, ..self }
    }

    /// Timesteps at which it measures.
    pub fn timesteps(&self) -> &[usize] {
        &self.exam.timesteps
    }

    /// Passes through the UNet that `images` take.
    pub fn passes(&self, images: usize) -> u64 {
        (images * self.exam.timesteps.len()) as u64
    }

    /// What the UNet is told of each image's caption.
    ///
    /// # Errors
    /// When a caption is much too long.
    pub fn conditions(&self, samples: &[Sample], texts: &Attached) -> Result<Vec<Conditioning>> {
        let captions: Vec<Caption<'_>> = samples.iter().map(Sample::told).collect();
        self.told(&captions, texts)
    }

    /// What the UNet is told of each of `captions`.
    ///
    /// # Errors
    /// When a caption is much too long.
    pub fn told(&self, captions: &[Caption<'_>], texts: &Attached) -> Result<Vec<Conditioning>> {
        self.with_texts(|| {
            let mut all = Vec::with_capacity(captions.len());
            for caption in captions {
                all.extend(self.probe.captions(&[caption.text], caption.size, self.clip_skip, texts)?);
            }
            Ok(all)
        })
    }

    /// What `work` returns, with the text encoders in memory meanwhile.
    ///
    /// # Errors
    /// When the file no longer has them, and those of `work`.
    pub fn with_texts<R>(&self, work: impl FnOnce() -> Result<R>) -> Result<R> {
        self.probe.hold_text_encoders()?;
        let result = work();
        if !self.keeps_texts {
            self.probe.let_text_encoders_go();
        }
        result
    }

    /// The loss of each of `samples` at each timestep, told `conditions`, with `adapters` in the UNet.
    pub fn losses(&self, samples: &[Sample], conditions: &[Conditioning], adapters: &Adapters) -> Losses {
        let jobs: Vec<(&Sample, &Conditioning)> = samples.iter().zip(conditions).collect();
        let exam = &self.exam;
        exam.predictor.each(&jobs, |(sample, condition)| {
            let Sample { latents, key, mask, .. } = sample;
            exam.losses(&Seen { latents, key: *key, mask: mask.as_ref() }, condition, adapters)
        })
    }

    /// The mean over timesteps of the logarithm of the checkpoint's own loss, of each of `jobs`.
    pub fn log_losses(&self, jobs: &[Job<'_>]) -> Vec<f64> {
        let exam = &self.exam;
        let none = Attached::default();
        let losses = exam.predictor.each(jobs, |job| exam.losses(&Seen::of(job), &job.condition, &none.unet));
        let mean =
            |own: &Vec<f64>| own.iter().map(|loss| loss.max(f64::MIN_POSITIVE).ln()).sum::<f64>() / own.len() as f64;
        losses.iter().map(mean).collect()
    }

    /// What is predicted for each of `jobs` at each timestep.
    ///
    /// # Shapes
    /// - each: [T, 4, H, W], the timesteps one after the other
    pub fn predictions(&self, jobs: &[Job<'_>], adapters: &Adapters) -> Vec<Tensor<4>> {
        let exam = &self.exam;
        exam.predictor.each(jobs, |job| exam.predictions(job, adapters))
    }
}

/// What losses are measured of.
struct Seen<'a> {
    latents: &'a Tensor<4>,
    key: u64,
    mask: Option<&'a Tensor<4>>,
}

impl<'a> Seen<'a> {
    fn of(job: &Job<'a>) -> Self {
        Self { latents: job.latents, key: job.key, mask: None }
    }
}

impl Exam<'_> {
    fn losses(&self, seen: &Seen<'_>, condition: &Conditioning, adapters: &Adapters) -> Vec<f64> {
        let mut losses = Vec::with_capacity(self.timesteps.len());
        for timesteps in self.together(seen.latents) {
            let noisy = self.noisy(seen.latents, seen.key, timesteps);
            let predicted = self.predictor.predict(&noisy, condition.repeat(timesteps.len()), adapters);
            let error = (predicted - noisy.noise).powi_scalar(2);
            losses.extend(means(error, seen.mask));
        }
        losses
    }

    fn predictions(&self, job: &Job<'_>, adapters: &Adapters) -> Tensor<4> {
        let mut parts = Vec::new();
        for timesteps in self.together(job.latents) {
            let noisy = self.noisy(job.latents, job.key, timesteps);
            parts.push(self.predictor.predict(&noisy, job.condition.repeat(timesteps.len()), adapters));
        }
        Tensor::cat(parts, 0)
    }

    /// The timesteps in groups that go through the UNet together.
    fn together(&self, latents: &Tensor<4>) -> std::slice::Chunks<'_, usize> {
        let is_small = latents.dims().iter().product::<usize>() < SMALL;
        self.timesteps.chunks(if is_small { self.timesteps.len() } else { 1 })
    }

    /// The latents with noise of their own for each timestep, the same on every machine.
    fn noisy(&self, latents: &Tensor<4>, key: u64, timesteps: &[usize]) -> NoisyLatents {
        let [_, channels, rows, columns] = latents.dims();
        let mut values = Vec::with_capacity(timesteps.len() * channels * rows * columns);
        for t in timesteps {
            values.extend(unit_normal(&mut self.seed.stream("judge", &[key, *t as u64]), channels * rows * columns));
        }
        let shape = [timesteps.len(), channels, rows, columns];
        NoisyLatents {
            latents: latents.clone().expand(shape),
            noise: Tensor::from_data(TensorData::new(values, shape), &latents.device()),
            timesteps: timesteps.to_vec(),
        }
    }
}

/// The mean of each row of [B, 4, H, W], where `mask` [1, 1, H, W] is 1.
fn means(error: Tensor<4>, mask: Option<&Tensor<4>>) -> Vec<f64> {
    let [batch, channels, _, _] = error.dims();
    let (summed, weight) = match mask {
        Some(mask) => {
            let weight = f64::from(mask.clone().sum().into_scalar::<f32>()) * channels as f64;
            (error * mask.clone(), weight.max(f64::MIN_POSITIVE))
        }
        None => {
            let weight = error.dims().iter().product::<usize>() as f64 / batch as f64;
            (error, weight)
        }
    };
    let sums: Vec<f32> = summed.flatten::<2>(1, 3).sum_dim(1).into_data().try_into_vec().expect("losses are f32");
    sums.into_iter().map(|sum| f64::from(sum) / weight).collect()
}

/// For each image the mean over timesteps of log(loss / the checkpoint's own); negative = better than without the LoRA.
pub fn scores(losses: &Losses, base: &Losses) -> Vec<f64> {
    let mut scores = Vec::with_capacity(losses.len());
    for (own, base) in losses.iter().zip(base) {
        let mut sum = 0.0;
        for (loss, of_base) in own.iter().zip(base) {
            sum += (loss / of_base.max(f64::MIN_POSITIVE)).max(f64::MIN_POSITIVE).ln();
        }
        scores.push(sum / own.len().max(1) as f64);
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::scores;

    #[test]
    fn a_score_is_a_mean_of_logarithms() {
        let base = vec![vec![1.0, 0.01], vec![2.0, 2.0]];
        assert_eq!(scores(&base, &base), [0.0, 0.0]);
        let better = vec![vec![0.5, 0.005], vec![4.0, 2.0]];
        let found = scores(&better, &base);
        assert!((found[0] + 2f64.ln()).abs() < 1e-12 && (found[1] - 2f64.ln() / 2.0).abs() < 1e-12, "{found:?}");
    }
}
