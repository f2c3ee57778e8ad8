//! The noise levels of one run, and the noisy latents with which it begins.

use burn::tensor::Tensor;

use crate::img2img::Img2ImgSteps;
use crate::noise_table::NoiseTable;
use crate::step::Step;

/// The noise levels of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Levels {
    table: NoiseTable,
    kind: Kind,
    start: Start,
}

/// Levels in the terms of a family of samplers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// k-diffusion's.
    Sigmas(Sigmas),
    /// Rising timesteps of the DDIM family; its run begins with the last.
    Timesteps(Vec<usize>),
    /// Steps of diffusers' DDIM.
    Steps(Vec<Step>),
}

/// Levels of a k-diffusion sampler.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sigmas {
    /// Falling, mostly to 0.
    pub(crate) all: Vec<f32>,
    /// The smallest above 0 and the largest of the whole schedule.
    pub(crate) whole: [f32; 2],
    /// Between which "DPM fast" and "DPM adaptive" go, smallest first.
    pub(crate) solver: [f32; 2],
    /// How many evaluations "DPM fast" makes.
    pub(crate) evaluations: usize,
}

/// What a run begins with.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Start {
    /// Noise alone; the first noise is as strong as in Stability AI's own program.
    Noise { sgm: bool },
    /// Latents with noise.
    Latents {
        /// Strength of the latents.
        signal: f64,
        /// Strength of the noise.
        noise: f64,
    },
}

impl Levels {
    pub(crate) fn new(table: NoiseTable, kind: Kind, sgm: bool) -> Self {
        Self { table, kind, start: Start::Noise { sgm } }
    }

    /// The noise levels of the model.
    pub fn table(&self) -> &NoiseTable {
        &self.table
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The falling noise levels of a k-diffusion sampler; none for the DDIM family.
    pub fn sigmas(&self) -> Option<&[f32]> {
        match &self.kind {
            Kind::Sigmas(sigmas) => Some(&sigmas.all),
            Kind::Timesteps(_) | Kind::Steps(_) => None,
        }
    }

    /// The rising timesteps of a sampler of the DDIM family; none for k-diffusion's.
    pub fn timesteps(&self) -> Option<&[usize]> {
        match &self.kind {
            Kind::Timesteps(timesteps) => Some(timesteps),
            Kind::Sigmas(_) | Kind::Steps(_) => None,
        }
    }

    /// Between which levels the Brownian noise of SDE samplers is defined: the smallest above 0 and the largest of the
    /// whole schedule, also where only a part of it is run.
    pub fn brownian_range(&self) -> Option<[f32; 2]> {
        match &self.kind {
            Kind::Sigmas(sigmas) => Some(sigmas.whole),
            Kind::Timesteps(_) | Kind::Steps(_) => None,
        }
    }

    /// Whether the run begins with noisy latents rather than noise alone.
    pub(crate) fn begins_with_latents(&self) -> bool {
        matches!(self.start, Start::Latents { .. })
    }

    /// The part that is run where a picture is given, of levels for `steps.schedule` steps: the last `steps.encode` + 1
    /// steps of k-diffusion, the first `steps.encode` timesteps of the DDIM family (and noise of one further), the last
    /// `steps.encode` steps of diffusers' DDIM.
    pub fn for_picture(self, steps: Img2ImgSteps) -> Self {
        let encode = steps.encode;
        match self.kind {
            Kind::Sigmas(sigmas) => {
                let first = steps.schedule.saturating_sub(encode + 1).min(sigmas.all.len() - 2);
                let all = sigmas.all[first..].to_vec();
                let start = Start::Latents { signal: 1.0, noise: all[0].into() };
                let solver = [all[all.len() - 2], all[0]];
                let part = Sigmas { whole: sigmas.whole, solver, evaluations: all.len() - 1, all };
                Self { table: self.table, kind: Kind::Sigmas(part), start }
            }
            Kind::Timesteps(mut timesteps) => {
                let [signal, noise] = self.table.strengths(timesteps[encode.min(timesteps.len() - 1)]);
                timesteps.truncate(encode);
                Self { table: self.table, kind: Kind::Timesteps(timesteps), start: Start::Latents { signal, noise } }
            }
            Kind::Steps(mut steps) => {
                let part = steps.split_off(steps.len() - encode.clamp(1, steps.len()));
                let alpha = part[0].from.alpha;
                let start = Start::Latents { signal: alpha.sqrt(), noise: (1.0 - alpha).sqrt() };
                Self { table: self.table, kind: Kind::Steps(part), start }
            }
        }
    }

    /// Unit normal `noise`, brought to the strength at which a run without a picture begins.
    ///
    /// # Shapes
    /// - noise and output: [B, C, H, W]
    pub fn initial(&self, noise: Tensor<4>) -> Tensor<4> {
        let Kind::Sigmas(sigmas) = &self.kind else { return noise };
        let sigma = f64::from(sigmas.all[0]);
        match self.start {
            Start::Noise { sgm: true } => noise.mul_scalar((1.0 + sigma * sigma).sqrt()),
            Start::Noise { sgm: false } | Start::Latents { .. } => noise.mul_scalar(sigma),
        }
    }

    /// `latents` of a picture with unit normal `noise`, and `extra` more of it ("Extra noise"), as a run of
    /// [`Self::for_picture`] begins.
    ///
    /// # Shapes
    /// - latents, noise and output: [B, C, H, W]
    ///
    /// # Panics
    /// If these are not levels of [`Self::for_picture`].
    pub fn initial_of_picture(&self, latents: Tensor<4>, noise: Tensor<4>, extra: f64) -> Tensor<4> {
        let Start::Latents { signal, noise: spread } = self.start else { panic!("levels for a picture") };
        // A signal of 1 stays bit for bit.
        latents.mul_scalar(signal) + noise.mul_scalar(spread + extra * signal)
    }
}
