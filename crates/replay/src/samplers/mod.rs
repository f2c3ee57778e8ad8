//! `samplers/`: whole runs of every sampler with the toy model of the pack's README, call by call.
//!
//! The sampler is answered with what was recorded, so that each call stands for itself, and what guidance makes of the toy
//! model for the recorded latents is compared with that answer.

mod guided;
mod settings;

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor, TensorData};
use lorabake_diffusion::{Answer, Call, Levels, Run};
use lorabake_generate::noise::{BrownianTree, ImageNoise, NoiseSeeds, Source};
use serde_json::Value;

use crate::pack::{Pack, Tensors};
use crate::sigmas::numbers;
use crate::verdict::{Case, close, same};
use guided::Guided;
use settings::Settings;

/// Of one call, in terms of the largest value.
const CALL_TOLERANCE: f64 = 3e-5;
/// Of the result of a run.
const FINAL_TOLERANCE: f64 = 2e-4;
/// Of drawn noise.
const NOISE_TOLERANCE: f64 = 2e-6;
/// Of noise levels.
const SIGMA_TOLERANCE: f64 = 1e-6;
/// Of latents with zero terminal SNR, which begin as the difference of two near numbers in f32: the README's third digit.
const RESCALED_TOLERANCE: f64 = 1e-3;

/// Every recorded case of `samplers/`.
pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let recorded = pack.cases("samplers/index.json")?;
    if recorded.is_empty() {
        return Ok(cases);
    }
    let tensors = pack.tensors("samplers/runs.safetensors")?;
    for case in &recorded {
        let id = case["id"].as_str().context("id")?;
        let name = format!("{id} {}", case["sampler"]);
        match replay(case, id, &tensors) {
            Ok(()) => cases.push(Case::of(name, Ok(()))),
            Err(Trouble::Differs(what)) => cases.push(Case::of(name, Err(what))),
            Err(Trouble::Broken(error)) => return Err(error.context(name)),
        }
    }
    Ok(cases)
}

/// Why a case did not pass.
#[derive(Debug)]
enum Trouble {
    /// A number differs.
    Differs(String),
    /// The pack is broken.
    Broken(anyhow::Error),
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

/// A comparison with its place.
fn at(place: impl std::fmt::Display, verdict: Result<(), String>) -> Result<(), Trouble> {
    verdict.map_err(|why| Trouble::Differs(format!("{place}: {why}")))
}

/// The recorded tensors of a case.
struct Recorded<'a> {
    id: &'a str,
    tensors: &'a Tensors,
    /// (B, C, H, W).
    shape: [usize; 4],
}

impl Recorded<'_> {
    /// Number `index` of a recorded list of latents; none if the list was not kept.
    fn entry(&self, list: &str, index: usize) -> Result<Option<Vec<f32>>> {
        let name = format!("{}.{list}", self.id);
        if !self.tensors.has(&name) {
            return Ok(None);
        }
        let count: usize = self.shape.iter().product();
        let values = self.tensors.f32(&name)?;
        let entry = values.get(index * count..(index + 1) * count);
        Ok(Some(entry.with_context(|| format!("{name} has no number {index}"))?.to_vec()))
    }

    fn whole(&self, name: &str) -> Result<Vec<f32>> {
        self.tensors.f32(&format!("{}.{name}", self.id))
    }

    fn latents(&self, values: Vec<f32>) -> Tensor<4> {
        Tensor::from_data(TensorData::new(values, self.shape), &Device::flex())
    }
}

fn replay(case: &Value, id: &str, tensors: &Tensors) -> Result<(), Trouble> {
    let shape = tensors.shape(&format!("{id}.noise"))?.try_into().ok().context("noise of four axes")?;
    let recorded = Recorded { id, tensors, shape };
    let settings = Settings::read(case)?;
    let levels = settings.sampler.levels(settings.scheduler, &settings.table, settings.steps, &settings.options);
    let levels = levels.map_err(anyhow::Error::from)?;
    if let (Some(own), Value::Array(_)) = (levels.sigmas(), &case["sigmas"]) {
        at("sigmas", close(own, &numbers(&case["sigmas"])?, SIGMA_TOLERANCE))?;
    }
    let levels = match settings.picture {
        Some(steps) => levels.for_picture(steps),
        None => levels,
    };
    if let Some(calls) = settings.sampler.calls(&levels) {
        let expected = case["calls"].as_array().context("calls")?.len();
        at("calls", same(&calls, &expected))?;
    }
    run(case, &settings, &levels, &recorded)
}

/// Where a run and its noise have got to, and the first thing that differed.
struct Progress {
    noise: ImageNoise,
    draws: usize,
    trees: Vec<BrownianTree>,
    queries: usize,
    trouble: Option<Trouble>,
}

fn run(case: &Value, settings: &Settings, levels: &Levels, recorded: &Recorded<'_>) -> Result<(), Trouble> {
    let [_, channels, height, width] = recorded.shape;
    let mut seeds = Vec::new();
    for seed in case["seeds"].as_array().context("seeds")? {
        seeds.push(seed.as_u64().context("a seed")?);
    }
    let pictures = seeds.iter().map(|seed| NoiseSeeds { seed: *seed, variation: None }).collect();
    let mut noise = ImageNoise::new(Source::Cpu, [channels, height, width], pictures);
    noise = noise.with_seed_delta(case["ensd"].as_i64().unwrap_or(0) as u64);
    let first = noise.next_draw();
    at("noise", close(&first, &recorded.whole("noise")?, NOISE_TOLERANCE))?;
    let mut trees = Vec::new();
    if let Some([lowest, highest]) = levels.brownian_range() {
        let count = channels * height * width;
        trees = seeds.iter().map(|seed| BrownianTree::new(Source::Cpu, *seed, count, lowest, highest)).collect();
    }
    let first = recorded.latents(first);
    let x = match settings.picture {
        Some(_) => {
            let latents = recorded.latents(recorded.whole("init_latent")?);
            let noise = first.mul_scalar(case["initial_noise_multiplier"].as_f64().unwrap_or(1.0));
            levels.initial_of_picture(latents, noise, case["extra_noise"].as_f64().unwrap_or(0.0))
        }
        None => levels.initial(first),
    };
    let guided = Guided::read(case, settings, levels, recorded)?;
    let mut model = |x: Tensor<4>, call: &Call| answer(case, &guided, recorded, x, call);
    let progress = std::cell::RefCell::new(Progress { noise, draws: 0, trees, queries: 0, trouble: None });
    let mut draw = || progress.borrow_mut().draw(recorded);
    let mut brownian = |from: f32, to: f32| progress.borrow_mut().brownian(case, recorded, [from, to]);
    let run = Run { levels, options: &settings.options, model: &mut model, noise: &mut draw, brownian: &mut brownian };
    let last = settings.sampler.sample(x, run)?;
    if let Some(trouble) = progress.into_inner().trouble {
        return Err(trouble);
    }
    at("final", close(&values(last), &recorded.whole("final")?, guided.tolerance(FINAL_TOLERANCE)))
}

/// Compares what the sampler asks with what was recorded, and answers as was recorded.
fn answer(
    case: &Value,
    guided: &Guided,
    recorded: &Recorded<'_>,
    x: Tensor<4>,
    call: &Call,
) -> Result<Answer, Trouble> {
    let number = call.number;
    let asked = case["calls"][number][0].as_f64().with_context(|| format!("no call {number}"))? as f32;
    let own = if case["sigmas"].is_array() { call.sigma } else { call.timestep } as f32;
    let latents = recorded.entry("calls.x", number)?;
    // Without recorded answers a sampler that finds its own levels is a whole run, not single calls.
    let tolerance = if latents.is_some() { CALL_TOLERANCE } else { FINAL_TOLERANCE };
    at(format!("level of call {number}"), close(&[own], &[asked], tolerance))?;
    let mut input = x.clone();
    if let Some(expected) = latents {
        at(format!("x of call {number}"), close(&values(x), &expected, guided.tolerance(CALL_TOLERANCE)))?;
        input = recorded.latents(expected);
    }
    let mut answer = guided.answer(input, call);
    if let Some(expected) = recorded.entry("calls.out", number)? {
        let own = values(answer.guided);
        at(format!("answer of call {number}"), close(&own, &expected, CALL_TOLERANCE))?;
        answer.guided = recorded.latents(expected);
    }
    Ok(answer)
}

impl Progress {
    /// The next draw of the seeds' generators.
    fn draw(&mut self, recorded: &Recorded<'_>) -> Tensor<4> {
        let own = self.noise.next_draw();
        let expected = recorded.entry("draws", self.draws);
        self.compare(format!("draw {}", self.draws), &own, expected, NOISE_TOLERANCE);
        self.draws += 1;
        recorded.latents(own)
    }

    /// The noise of the seeds' trees between two levels.
    fn brownian(&mut self, case: &Value, recorded: &Recorded<'_>, levels: [f32; 2]) -> Tensor<4> {
        let place = format!("Brownian noise {}", self.queries);
        let asked = numbers(&case["brownian"][self.queries]).unwrap_or_default();
        // A tree rounds levels to a millionth, so that the last digit of one changes the noise: it is asked as recorded.
        let [from, to] = asked.first_chunk().copied().unwrap_or(levels);
        let mut own = Vec::new();
        for tree in &mut self.trees {
            own.extend(tree.noise(from, to));
        }
        let expected = recorded.entry("brownian", self.queries);
        self.compare(format!("{place}, levels"), &levels, Ok(Some(asked)), SIGMA_TOLERANCE);
        self.compare(place, &own, expected, NOISE_TOLERANCE);
        self.queries += 1;
        recorded.latents(own)
    }

    fn compare(&mut self, place: String, own: &[f32], expected: Result<Option<Vec<f32>>>, tolerance: f64) {
        let verdict = match expected {
            Ok(Some(expected)) => at(place, close(own, &expected, tolerance)),
            Ok(None) => Ok(()),
            Err(error) => Err(Trouble::Broken(error)),
        };
        if let Err(trouble) = verdict
            && self.trouble.is_none()
        {
            self.trouble = Some(trouble);
        }
    }
}

fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("values in f32")
}
