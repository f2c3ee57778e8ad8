//! From a prompt to a picture: text states, guided sampling, decoding. Nothing is written or printed here.
//!
//! Prompts of up to 225 tokens are encoded in chunks of 75 that are joined, as sd-scripts does for its sample pictures.

use std::cell::RefCell;

use anyhow::{Result, bail};
use burn::tensor::{Device, Tensor, TensorData};
use lorabake_device::{ThreadGroups, vae_dtype, weight_dtype};
use lorabake_diffusion::{Answer, Call, NoiseTable, Prediction, Run, SamplerOptions, Schedule, Scheduler, guide};
use lorabake_lora::{Attached, LoraNetwork};
use lorabake_model::family::paddings;
use lorabake_model::tokenizer::{self, Tokenizer};
use lorabake_model::vae::Decoder;
use lorabake_model::{Bundle, Conditioning, PromptChunks, VaeHalves, WeightDtypes};
use lorabake_recipe::train::Precision;
use lorabake_weights::Part;
use lorabake_weights::checkpoint::{self, Checkpoint};
use lorabake_weights::lora::LoraFile;

use super::request::{LoraUse, Picture, Request};
use crate::latent_shape::latent_shape;
use crate::noise::{ImageNoise, NoiseSeeds, Source};

/// Tokens in a chunk, which a text encoder takes at once.
const CHUNK_TOKENS: usize = 75;
/// The longest prompt in chunks, as in sd-scripts' sample pictures.
const MAX_CHUNKS: usize = 3;
/// With and without the prompt.
const GUIDANCE_HALVES: usize = 2;

/// The networks of one checkpoint, ready to paint.
#[derive(Debug)]
pub struct Pipeline {
    bundle: Bundle,
    decoder: Decoder,
    tokenizer: Tokenizer,
    prediction: Prediction,
    schedule: Schedule,
    threads: ThreadGroups,
    device: Device,
}

/// Networks that somebody else holds, to paint with.
#[derive(Debug, Clone, Copy)]
pub struct PipelineRef<'a> {
    /// Text encoder and UNet.
    pub bundle: &'a Bundle,
    /// Latents to pixels.
    pub decoder: &'a Decoder,
    /// Prompts to tokens.
    pub tokenizer: &'a Tokenizer,
    /// What the UNet predicts.
    pub prediction: Prediction,
    /// The noise that it was trained with; that of zero terminal SNR is for velocities only.
    pub schedule: &'a Schedule,
    /// Threads that take the halves of guidance side by side.
    pub threads: &'a ThreadGroups,
    /// Where it runs.
    pub device: &'a Device,
}

/// How the weights of networks that make pictures are held: all in one precision, with a VAE of its own.
pub fn picture_dtypes(precision: Precision, vae: Precision, device: &Device) -> WeightDtypes {
    WeightDtypes { vae: vae_dtype(vae, device), ..WeightDtypes::all(weight_dtype(precision, device)) }
}

impl Pipeline {
    /// Reads the networks, whose matrices are held as `storages` says. Only the UNet's stay in memory: text
    /// encoders and VAE do their work once a picture, and are read from the file for it.
    ///
    /// # Errors
    /// When one of its networks does not fit.
    pub fn load(checkpoint: &Checkpoint, storages: WeightDtypes) -> Result<Self> {
        let mut bundle = Bundle::open(checkpoint, VaeHalves::Generating, storages)?;
        bundle.read(|part, _| part == Part::Unet)?;
        let decoder = bundle.decoder.take().expect("VaeHalves::Generating brings the decoder");
        let prediction = match checkpoint.prediction() {
            Some(checkpoint::Prediction::V { .. }) => Prediction::V,
            Some(checkpoint::Prediction::Epsilon) | None => Prediction::Epsilon,
        };
        let zero_terminal_snr =
            matches!(checkpoint.prediction(), Some(checkpoint::Prediction::V { zero_terminal_snr: true }));
        let schedule = Schedule::stable_diffusion();
        let schedule = if zero_terminal_snr { schedule.zero_terminal_snr() } else { schedule };
        let device = Device::flex();
        let (tokenizer, threads) = (Tokenizer::new(), ThreadGroups::of(&device, GUIDANCE_HALVES));
        Ok(Self { bundle, decoder, tokenizer, prediction, schedule, threads, device })
    }

    /// The same on another device.
    pub fn on(self, device: Device) -> Self {
        Self { threads: ThreadGroups::of(&device, GUIDANCE_HALVES), device, ..self }
    }

    /// The same for a checkpoint that predicts velocities, whether its file says so or not.
    pub fn of_velocities(self) -> Self {
        Self { prediction: Prediction::V, ..self }
    }

    /// The same for a checkpoint that predicts velocities and was trained with zero terminal SNR.
    pub fn of_zero_terminal_snr(self) -> Self {
        Self { schedule: Schedule::stable_diffusion().zero_terminal_snr(), ..self.of_velocities() }
    }

    /// How many tokens at the end of `text` are not seen because it is too long.
    pub fn cut_off(&self, text: &str) -> usize {
        self.tokenizer.cut_off(text, (MAX_CHUNKS * CHUNK_TOKENS) as u32)
    }

    /// Paints with the LoRAs of `request`; `on_step(done, total)` is called after every sampling step.
    ///
    /// # Errors
    /// When a LoRA cannot be read or does not fit, or when the request contradicts itself.
    pub fn paint(&self, request: &Request, on_step: &mut dyn FnMut(usize, usize)) -> Result<Picture> {
        let Self { bundle, decoder, tokenizer, prediction, schedule, threads, device } = self;
        let pipeline = PipelineRef { bundle, decoder, tokenizer, prediction: *prediction, schedule, threads, device };
        pipeline.check(request)?;
        pipeline.paint(request, &self.attach(&request.loras)?, on_step)
    }

    fn attach(&self, loras: &[LoraUse]) -> Result<Attached> {
        let mut adapters = Attached::default();
        for LoraUse { path, strength } in loras {
            let file = LoraFile::open(path)?;
            let network = LoraNetwork::from_file(&file, &path.display().to_string(), &self.bundle)?;
            network.attach(*strength, &self.device, &mut adapters);
        }
        Ok(adapters)
    }
}

impl PipelineRef<'_> {
    /// Paints with `adapters`, whatever LoRAs `request` names; `on_step(done, total)` is called after every step.
    ///
    /// # Errors
    /// When the request contradicts itself, or the picture is not finite.
    pub fn paint(
        &self,
        request: &Request,
        adapters: &Attached,
        on_step: &mut dyn FnMut(usize, usize),
    ) -> Result<Picture> {
        let (shape, schedule) = (self.check(request)?, self.schedule);
        let conditioning = self.encode(request, adapters);
        let seeds = NoiseSeeds { seed: request.seed, variation: None };
        let mut drawn = ImageNoise::new(Source::Nv, [shape[1], shape[2], shape[3]], vec![seeds]);
        let first = drawn.next_draw();
        let start = self.tensor(request.noise.clone().unwrap_or(first), shape);
        let mut done = 0;
        let options = SamplerOptions::default();
        let levels =
            request.sampler.levels(Scheduler::Automatic, &NoiseTable::of(schedule), request.steps.get(), &options)?;
        let calls = request.sampler.calls(&levels).unwrap_or(request.steps.get());
        let mut model = |x: Tensor<4>, call: &Call| -> Result<Answer> {
            let input = call.network_input(x.clone());
            let answer = self.predict(input, call.timestep, (&conditioning, request.cfg_scale), adapters);
            done += 1;
            on_step(done, calls);
            Ok(call.read(self.prediction, answer, x).into())
        };
        let x = levels.initial(start);
        let drawn = RefCell::new(drawn);
        let new_noise = || {
            let values = drawn.borrow_mut().next_draw();
            self.tensor(values, shape)
        };
        let run = Run {
            levels: &levels,
            options: &options,
            model: &mut model,
            noise: &mut || new_noise(),
            brownian: &mut |_, _| new_noise(),
        };
        let latent = request.sampler.sample(x, run)?;
        let image = to_f32_vec(self.decoder.forward(latent.clone().div_scalar(self.decoder.latent_scale())));
        let latent = to_f32_vec(latent);
        // The VAE's images are large, and a GPU keeps the place of what is gone.
        self.device.memory_cleanup();
        if image.iter().any(|value| !value.is_finite()) {
            if let Some(error) = self.bundle.fault() {
                return Err(error.into());
            }
            bail!("the picture holds values that are not numbers; lower the strength of the LoRA or --cfg_scale");
        }
        Ok(Picture { width: request.width, height: request.height, rgb: rgb(&image), image, latent })
    }

    /// Checks the request and returns the shape of its latents.
    fn check(&self, request: &Request) -> Result<[usize; 4]> {
        let (width, height) = (request.width, request.height);
        let [rows, columns] = latent_shape([width, height])?;
        let depth = self.bundle.texts[0].depth();
        if !(1..=depth).contains(&request.clip_skip) {
            bail!("--clip_skip {}: this checkpoint's text encoder has layers 1 to {depth}", request.clip_skip);
        }
        let shape = [1, 4, rows, columns];
        let given = request.noise.as_ref().map_or(shape.iter().product(), Vec::len);
        if given != shape.iter().product::<usize>() {
            bail!(
                "--latent has {given} values, but {width} by {height} pixels need {}",
                shape.iter().product::<usize>()
            );
        }
        Ok(shape)
    }

    /// What the UNet is told: of the negative prompt and the prompt, or of the prompt alone where nothing is guided.
    fn encode(&self, request: &Request, adapters: &Attached) -> Conditioning {
        let negative = (request.cfg_scale != 1.0).then_some(&request.negative_prompt);
        let prompts: Vec<&String> = negative.into_iter().chain([&request.prompt]).collect();
        let longest = prompts.iter().map(|text| self.tokenizer.encode(text).len()).max().unwrap_or(0);
        let chunks = longest.div_ceil(CHUNK_TOKENS).clamp(1, MAX_CHUNKS);
        let length = (chunks * CHUNK_TOKENS) as u32;
        let ids: Vec<Vec<u32>> = prompts.iter().map(|text| self.tokenizer.encode(text)).collect();
        let padded = |padding| ids.iter().flat_map(|ids| tokenizer::chunks(ids, length, padding)).collect::<Vec<_>>();
        let ids: Vec<_> = paddings(self.bundle.family).into_iter().map(padded).collect();
        let encoded = self.bundle.encode(
            PromptChunks { ids: &ids, per_prompt: chunks },
            request.clip_skip,
            self.device,
            &adapters.texts,
        );
        let (height, width) = (request.height as f32, request.width as f32);
        encoded.with(vec![[height, width, 0.0, 0.0, height, width]; prompts.len()])
    }

    /// The guided prediction; both halves go through the UNet at once, or side by side.
    fn predict(&self, x: Tensor<4>, t: f64, guided: (&Conditioning, f64), adapters: &Attached) -> Tensor<4> {
        let (conditioning, scale) = guided;
        let halves = if self.threads.count() > 1 { conditioning.each() } else { vec![conditioning.clone()] };
        let unet = |conditioning: &Conditioning| {
            let batch = conditioning.context.dims()[0];
            self.bundle.unet.forward(
                x.clone().repeat_dim(0, batch),
                &vec![t as f32; batch],
                conditioning.clone(),
                &adapters.unet,
            )
        };
        let epsilon =
            if halves.len() > 1 { Tensor::cat(self.threads.each(&halves, unet), 0) } else { unet(&halves[0]) };
        if epsilon.dims()[0] == 1 {
            return epsilon;
        }
        guide(epsilon.clone().narrow(0, 0, 1), epsilon.narrow(0, 1, 1), scale)
    }

    fn tensor(&self, numbers: Vec<f32>, shape: [usize; 4]) -> Tensor<4> {
        Tensor::from_data(TensorData::new(numbers, shape), self.device)
    }
}

fn to_f32_vec(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("the networks compute in f32")
}

/// (3, H, W) in −1..=1 to bytes, pixel by pixel.
fn rgb(image: &[f32]) -> Vec<u8> {
    let plane = image.len() / 3;
    let byte = |value: f32| ((value.clamp(-1.0, 1.0) + 1.0) * 127.5).round() as u8;
    (0..plane).flat_map(|i| [0, 1, 2].map(|channel| byte(image[channel * plane + i]))).collect()
}
