//! Sampler trajectories against diffusers (DDIM) and k-diffusion (Euler ancestral), and the choice of a sampler.
//!
//! The model is exact: for data x0 ~ N(mean, spread²) the best prediction is a formula (`oracle/diffusion_golden.py`).

use std::convert::Infallible;

use burn::tensor::{Tensor, TensorData};
use lorabake_diffusion::unit_normal;
use lorabake_diffusion::{NoiseLevel, Prediction, Run, Sampler, Schedule, Step, StepCount, StepsOutOfRange};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use lorabake_testkit::assert_close_max;

use crate::golden::{Golden, values};

const SAMPLERS: &str = "samplers.safetensors";

/// Relative to the largest value of a state. Both programs round to f32 (6e-8) some thirty times per step.
const TOLERANCE: f64 = 3e-6;

/// The noise in `x` = √a x0 + √(1 − a) noise that the Gaussian model predicts at share `alpha`.
struct Gaussian {
    mean: Tensor<4>,
    spread: f64,
}

impl Gaussian {
    fn recorded(golden: &Golden) -> Self {
        Self { mean: golden.tensor("gaussian.mean"), spread: f64::from(golden.floats("gaussian.spread")[0]) }
    }

    /// E[noise | x] = √(1 − a) (x − √a mean) / (a spread² + 1 − a).
    fn epsilon(&self, x: Tensor<4>, alpha: f64) -> Tensor<4> {
        let gain = (1.0 - alpha).sqrt() / (alpha * self.spread * self.spread + 1.0 - alpha);
        (x - self.mean.clone().mul_scalar(alpha.sqrt())).mul_scalar(gain)
    }

    /// E[√a noise − √(1 − a) x0 | x], also where nothing of x0 is left in x.
    fn velocity(&self, x: Tensor<4>, alpha: f64) -> Tensor<4> {
        let signal = alpha.sqrt();
        let variance = self.spread * self.spread;
        let surprise = x.clone() - self.mean.clone().mul_scalar(signal);
        let gain = variance * signal / (alpha * variance + 1.0 - alpha);
        let clean = self.mean.clone() + surprise.mul_scalar(gain);
        self.epsilon(x, alpha).mul_scalar(signal) - clean.mul_scalar((1.0 - alpha).sqrt())
    }

    /// What a network that predicts so would answer.
    fn answer(&self, prediction: Prediction, x: Tensor<4>, alpha: f64) -> Tensor<4> {
        match prediction {
            Prediction::Epsilon => self.epsilon(x, alpha),
            Prediction::V => self.velocity(x, alpha),
        }
    }
}

const PREDICTIONS: [(Prediction, &str); 2] = [(Prediction::Epsilon, "epsilon"), (Prediction::V, "v_prediction")];

fn step_count(count: usize) -> StepCount {
    StepCount::try_from(count).expect("a number in range")
}

/// What a run is checked by: the states before each step and at the end, and the timesteps.
struct Trace {
    states: Vec<Tensor<4>>,
    timesteps: Vec<f64>,
}

/// DDIM from `start`, by a network of `prediction` that answers as the Gaussian model does.
fn run_ddim(gaussian: &Gaussian, schedule: &Schedule, prediction: Prediction, count: usize, start: Tensor<4>) -> Trace {
    let mut trace = Trace { states: Vec::new(), timesteps: Vec::new() };
    let mut model = |x: Tensor<4>, level: NoiseLevel| {
        trace.states.push(x.clone());
        trace.timesteps.push(level.timestep);
        let alpha = f64::from(schedule.alphas_cumprod[level.timestep as usize]);
        let answer = gaussian.answer(prediction, x.clone(), alpha);
        Ok::<_, Infallible>(prediction.denoised(answer, x, level))
    };
    let steps = Sampler::Ddim.steps(schedule, step_count(count));
    let x = Sampler::Ddim.initial(start, &steps);
    let mut no_noise = |_| panic!("DDIM with eta 0 takes no noise");
    let run = Run { schedule, steps: &steps, model: &mut model, noise: &mut no_noise };
    let Ok(end) = Sampler::Ddim.sample(x, run);
    trace.states.push(end);
    trace
}

/// What k-diffusion recorded of one run: noise levels, states and the noise that each step added.
struct Recorded {
    sigmas: Vec<f64>,
    states: Vec<Tensor<4>>,
    noises: Vec<Tensor<4>>,
}

/// Euler ancestral from the first state of `recorded` and with its noise, as [`run_ddim`]. States are in k-diffusion's
/// terms.
fn run_euler_a(gaussian: &Gaussian, schedule: &Schedule, prediction: Prediction, recorded: &Recorded) -> Trace {
    let mut trace = Trace { states: Vec::new(), timesteps: Vec::new() };
    let mut model = |x: Tensor<4>, level: NoiseLevel| {
        let scale = recorded.sigmas[trace.states.len()].powi(2) + 1.0;
        trace.states.push(x.clone().mul_scalar(scale.sqrt()));
        trace.timesteps.push(level.timestep);
        let answer = gaussian.answer(prediction, x.clone(), 1.0 / scale);
        Ok::<_, Infallible>(prediction.denoised(answer, x, level))
    };
    let steps = Sampler::EulerA.steps(schedule, step_count(recorded.noises.len()));
    let unit = recorded.states[0].clone().div_scalar(recorded.sigmas[0]);
    let x = Sampler::EulerA.initial(unit, &steps);
    let mut noises = recorded.noises.iter();
    let mut noise = |_| noises.next().expect("noise for each step").clone();
    let run = Run { schedule, steps: &steps, model: &mut model, noise: &mut noise };
    let Ok(end) = Sampler::EulerA.sample(x, run);
    trace.states.push(end);
    trace
}

#[test]
fn ddim_follows_diffusers() {
    let golden = Golden::open(SAMPLERS);
    let schedule = Schedule::stable_diffusion();
    let gaussian = Gaussian::recorded(&golden);
    for count in [10, 30] {
        for (prediction, kind) in PREDICTIONS {
            let name = format!("ddim.{kind}.{count}");
            let expected = golden.tensors(&format!("{name}.x"));
            let trace = run_ddim(&gaussian, &schedule, prediction, count, expected[0].clone());
            let timesteps: Vec<usize> = trace.timesteps.iter().map(|t| *t as usize).collect();
            assert_eq!(timesteps, golden.timesteps(&format!("{name}.timesteps")));
            assert_follows(trace.states, expected, &name);
        }
    }
}

#[test]
fn euler_ancestral_follows_k_diffusion() {
    let golden = Golden::open(SAMPLERS);
    let schedule = Schedule::stable_diffusion();
    let gaussian = Gaussian::recorded(&golden);
    for count in [10, 30] {
        for (prediction, kind) in PREDICTIONS {
            let name = format!("k.compvis.{count}");
            let recorded = Recorded {
                sigmas: golden.floats(&format!("{name}.sigmas")).into_iter().map(f64::from).collect(),
                states: golden.tensors(&format!("{name}.euler_ancestral.{kind}.x")),
                noises: golden.tensors(&format!("k.noise.{count}")),
            };
            let trace = run_euler_a(&gaussian, &schedule, prediction, &recorded);
            let timesteps: Vec<f32> = trace.timesteps.iter().map(|t| *t as f32).collect();
            assert_close_max("timesteps", &timesteps, &golden.floats(&format!("{name}.timesteps")), 1e-6);
            assert_follows(trace.states, recorded.states, &name);
        }
    }
}

/// k-diffusion's `sigma_to_t` is the way back from its `t_to_sigma`.
#[test]
fn noise_levels_have_the_timesteps_of_k_diffusion() {
    let golden = Golden::open(SAMPLERS);
    let schedule = Schedule::stable_diffusion();
    for count in [10, 30] {
        let timesteps = golden.floats(&format!("k.compvis.{count}.timesteps"));
        let sigmas = golden.floats(&format!("k.compvis.{count}.sigmas"));
        for (timestep, sigma) in timesteps.into_iter().zip(sigmas) {
            let level = schedule.level_at_sigma(f64::from(sigma));
            assert_close_max("sigma", &[level.sigma() as f32], &[sigma], 1e-6);
            // σ is rounded to f32, and at its lowest timestep 0 a thousandth of a step is 5e-6 of it.
            assert!((level.timestep as f32 - timestep).abs() < 1e-3, "{} instead of {timestep}", level.timestep);
        }
    }
    assert_eq!(schedule.level_at_sigma(100.0).timestep, 999.0);
    assert_eq!(schedule.level_at_sigma(0.001).timestep, 0.0);
}

/// With zero terminal SNR: diffusers' DDIM with "trailing" timesteps, k-diffusion's Euler ancestral on such noise levels
/// (`oracle/ztsnr_golden.py`).
#[test]
fn zero_terminal_snr_follows_the_references() {
    let golden = Golden::open("zero_terminal_snr.safetensors");
    let schedule = Schedule::stable_diffusion().zero_terminal_snr();
    let gaussian = Gaussian::recorded(&golden);
    assert!(schedule.ends_in_noise() && !Schedule::stable_diffusion().ends_in_noise());
    for count in [10, 30] {
        let expected = golden.tensors(&format!("ddim.{count}.x"));
        let trace = run_ddim(&gaussian, &schedule, Prediction::V, count, expected[0].clone());
        let timesteps: Vec<usize> = trace.timesteps.iter().map(|t| *t as usize).collect();
        assert_eq!(timesteps, golden.timesteps(&format!("ddim.{count}.timesteps")));
        assert_eq!(timesteps[0], 999);
        assert_follows(trace.states, expected, &format!("ddim.{count}"));

        let name = format!("euler_ancestral.{count}");
        let recorded = Recorded {
            sigmas: golden.floats(&format!("{name}.sigmas")).into_iter().map(f64::from).collect(),
            states: golden.tensors(&format!("{name}.x")),
            noises: golden.tensors(&format!("noise.{count}")),
        };
        let trace = run_euler_a(&gaussian, &schedule, Prediction::V, &recorded);
        assert_follows(trace.states, recorded.states, &name);
    }
}

fn unit_noise(seed: u64, like: &Tensor<4>) -> Tensor<4> {
    let noise = unit_normal(&mut ChaCha8Rng::seed_from_u64(seed), like.dims().iter().product());
    Tensor::from_data(TensorData::new(noise, like.dims()), &like.device())
}

#[track_caller]
fn assert_follows(states: Vec<Tensor<4>>, expected: Vec<Tensor<4>>, what: &str) {
    assert_eq!(states.len(), expected.len());
    for (step, (state, expected)) in states.into_iter().zip(expected).enumerate() {
        assert_close_max(&format!("{what}, before step {step}"), &values(state), &values(expected), TOLERANCE);
    }
}

#[test]
fn any_possible_number_of_steps_ends_on_the_data() {
    let golden = Golden::open(SAMPLERS);
    let schedule = Schedule::stable_diffusion();
    let gaussian = Gaussian::recorded(&golden);
    let start = golden.tensors("ddim.epsilon.10.x").remove(0);
    for sampler in Sampler::ALL {
        for count in [2, 7, 499, 500] {
            let mut calls = 0;
            let mut model = |x: Tensor<4>, level: NoiseLevel| {
                calls += 1;
                let t = level.timestep;
                assert!((0.0..=999.0).contains(&t), "{sampler}: timestep {t}");
                let alpha = f64::from(schedule.alphas_cumprod[t.round() as usize]);
                let answer = gaussian.epsilon(x.clone(), alpha);
                Ok::<_, Infallible>(Prediction::Epsilon.denoised(answer, x, level))
            };
            let steps = sampler.steps(&schedule, step_count(count));
            let x = sampler.initial(start.clone(), &steps);
            let mut noise = |step: Step| unit_noise(step.from.timestep as u64, &start);
            let run = Run { schedule: &schedule, steps: &steps, model: &mut model, noise: &mut noise };
            let Ok(end) = sampler.sample(x, run);
            assert_eq!(calls, count, "{sampler}");
            let distance = values(end - gaussian.mean.clone()).into_iter().fold(0.0, |most: f32, d| most.max(d.abs()));
            // 64 values of spread 0.5: six spreads. A state left unscaled lies at up to 40.
            assert!(distance < 3.0, "{sampler}, {count} steps: {distance} from the mean");
        }
    }
}

#[test]
fn an_error_of_the_model_ends_the_sampling() {
    let schedule = Schedule::stable_diffusion();
    let x = Golden::open(SAMPLERS).tensor("gaussian.mean");
    for sampler in Sampler::ALL {
        let mut calls = 0;
        let mut model = |x: Tensor<4>, _| {
            calls += 1;
            if calls == 3 { Err("cancelled") } else { Ok(x) }
        };
        let steps = sampler.steps(&schedule, step_count(10));
        let run = Run { schedule: &schedule, steps: &steps, model: &mut model, noise: &mut |_| x.clone() };
        assert_eq!(sampler.sample(x.clone(), run).err(), Some("cancelled"));
        assert_eq!(calls, 3);
    }
}

#[test]
fn samplers_go_by_the_names_of_sd_scripts_and_of_the_web_ui() {
    for (name, sampler) in [
        ("ddim", Sampler::Ddim),
        ("DDIM", Sampler::Ddim),
        ("euler_a", Sampler::EulerA),
        ("k_euler_a", Sampler::EulerA),
        ("Euler a", Sampler::EulerA),
    ] {
        assert_eq!(name.parse(), Ok(sampler), "{name}");
    }
    assert_eq!([Sampler::Ddim, Sampler::EulerA].map(|sampler| sampler.to_string()), ["DDIM", "Euler a"]);
    let error = "dpm_2".parse::<Sampler>().expect_err("not a sampler here");
    assert_eq!(error.to_string(), "there is no sampler `dpm_2`; use one of: ddim, euler_a, k_euler_a, Euler a");
}

#[test]
fn impossible_numbers_of_steps_are_refused() {
    for count in [0, 1, 501] {
        assert_eq!(StepCount::try_from(count), Err(StepsOutOfRange(count)));
    }
    let message = "501 sampling steps are not possible; use 2 to 500, for instance 20";
    assert_eq!(StepsOutOfRange(501).to_string(), message);
    assert_eq!(step_count(500).get(), 500);
}
