//! Sampler trajectories against diffusers (DDIM) and k-diffusion (Euler ancestral), and the choice of a sampler.
//!
//! The model is exact: for data x0 ~ N(mean, spread²) the best prediction is a formula (`oracle/diffusion_golden.py`).

use std::convert::Infallible;

use burn::tensor::{Tensor, TensorData};
use lorabake_diffusion::{Error, Prediction, Sampler, Schedule, Steps, unit_normal};
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
        let (signal, variance) = (alpha.sqrt(), self.spread * self.spread);
        let surprise = x.clone() - self.mean.clone().mul_scalar(signal);
        let gain = variance * signal / (alpha * variance + 1.0 - alpha);
        let clean = self.mean.clone() + surprise.mul_scalar(gain);
        self.epsilon(x, alpha).mul_scalar(signal) - clean.mul_scalar((1.0 - alpha).sqrt())
    }

    /// What a network that predicts so would answer.
    fn answer(&self, prediction: Prediction, x: Tensor<4>, alpha: f64) -> Tensor<4> {
        let epsilon = self.epsilon(x.clone(), alpha);
        match prediction {
            Prediction::Epsilon => epsilon,
            // v = √a ε − √(1−a) c with the clean latents c = (x − √(1−a) ε) / √a.
            Prediction::V => (epsilon - x.mul_scalar((1.0 - alpha).sqrt())).div_scalar(alpha.sqrt()),
        }
    }
}

const PREDICTIONS: [(Prediction, &str); 2] = [(Prediction::Epsilon, "epsilon"), (Prediction::V, "v_prediction")];

fn steps(count: usize) -> Steps {
    Steps::try_from(count).expect("a number in range")
}

#[test]
fn ddim_follows_diffusers() {
    let golden = Golden::open(SAMPLERS);
    let (schedule, gaussian) = (Schedule::stable_diffusion(), Gaussian::recorded(&golden));
    for (count, (prediction, kind)) in [10, 30].into_iter().flat_map(|count| PREDICTIONS.map(|kind| (count, kind))) {
        let name = format!("ddim.{kind}.{count}");
        let expected = golden.tensors(&format!("{name}.x"));
        let (mut states, mut timesteps) = (Vec::new(), Vec::new());
        let mut model = |x: Tensor<4>, t: f64| {
            states.push(x.clone());
            timesteps.push(t as usize);
            let answer = gaussian.answer(prediction, x.clone(), f64::from(schedule.alphas_cumprod[t as usize]));
            Ok::<_, Infallible>(prediction.epsilon(&schedule, answer, x, t))
        };
        let start = Sampler::Ddim.initial(expected[0].clone(), &schedule);
        let mut no_noise = |_| panic!("DDIM with eta 0 takes no noise");
        let Ok(end) = Sampler::Ddim.sample(&mut model, start, &schedule, steps(count), &mut no_noise);
        states.push(end);
        assert_eq!(timesteps, golden.timesteps(&format!("{name}.timesteps")));
        assert_follows(states, expected, &name);
    }
}

#[test]
fn euler_ancestral_follows_k_diffusion() {
    let golden = Golden::open(SAMPLERS);
    let (schedule, gaussian) = (Schedule::stable_diffusion(), Gaussian::recorded(&golden));
    for (count, (prediction, kind)) in [10, 30].into_iter().flat_map(|count| PREDICTIONS.map(|kind| (count, kind))) {
        let name = format!("k.compvis.{count}");
        let sigmas: Vec<f64> = golden.floats(&format!("{name}.sigmas")).into_iter().map(f64::from).collect();
        let expected = golden.tensors(&format!("{name}.euler_ancestral.{kind}.x"));
        let noises = golden.tensors(&format!("k.noise.{count}"));
        let (mut states, mut timesteps) = (Vec::new(), Vec::new());
        let mut model = |x: Tensor<4>, t: f64| {
            let level = sigmas[states.len()].powi(2) + 1.0;
            states.push(x.clone().mul_scalar(level.sqrt()));
            timesteps.push(t as f32);
            let answer = gaussian.answer(prediction, x.clone(), 1.0 / level);
            Ok::<_, Infallible>(prediction.epsilon(&schedule, answer, x, t))
        };
        let unit = expected[0].clone().div_scalar(sigmas[0]);
        let start = Sampler::EulerA.initial(unit, &schedule);
        let mut noise = |step: usize| noises[step].clone();
        let Ok(end) = Sampler::EulerA.sample(&mut model, start, &schedule, steps(count), &mut noise);
        states.push(end);
        assert_close_max("timesteps", &timesteps, &golden.floats(&format!("{name}.timesteps")), 1e-6);
        assert_follows(states, expected, &name);
    }
}

/// With zero terminal SNR: diffusers' DDIM with "trailing" timesteps, k-diffusion's Euler ancestral on such noise levels
/// (`oracle/ztsnr_golden.py`).
#[test]
fn zero_terminal_snr_follows_the_references() {
    let golden = Golden::open("zero_terminal_snr.safetensors");
    let (schedule, gaussian) = (Schedule::stable_diffusion().zero_terminal_snr(), Gaussian::recorded(&golden));
    assert!(schedule.ends_in_noise() && !Schedule::stable_diffusion().ends_in_noise());
    for count in [10, 30] {
        let expected = golden.tensors(&format!("ddim.{count}.x"));
        let (mut states, mut timesteps) = (Vec::new(), Vec::new());
        let mut model = |x: Tensor<4>, t: f64| {
            states.push(x.clone());
            timesteps.push(t as usize);
            Ok::<_, Infallible>(gaussian.velocity(x, f64::from(schedule.alphas_cumprod[t as usize])))
        };
        let start = Sampler::Ddim.initial(expected[0].clone(), &schedule);
        let mut no_noise = |_| panic!("DDIM with eta 0 takes no noise");
        let Ok(end) = Sampler::Ddim.sample(&mut model, start, &schedule, steps(count), &mut no_noise);
        states.push(end);
        assert_eq!(timesteps, golden.timesteps(&format!("ddim.{count}.timesteps")));
        assert_eq!(timesteps[0], 999);
        assert_follows(states, expected, &format!("ddim.{count}"));

        let name = format!("euler_ancestral.{count}");
        let sigmas: Vec<f64> = golden.floats(&format!("{name}.sigmas")).into_iter().map(f64::from).collect();
        let (expected, noises) = (golden.tensors(&format!("{name}.x")), golden.tensors(&format!("noise.{count}")));
        let mut states = Vec::new();
        let mut model = |x: Tensor<4>, _: f64| {
            let level = sigmas[states.len()].powi(2) + 1.0;
            states.push(x.clone().mul_scalar(level.sqrt()));
            Ok::<_, Infallible>(gaussian.velocity(x, 1.0 / level))
        };
        let start = Sampler::EulerA.initial(expected[0].clone().div_scalar(sigmas[0]), &schedule);
        let mut noise = |step: usize| noises[step].clone();
        let Ok(end) = Sampler::EulerA.sample(&mut model, start, &schedule, steps(count), &mut noise);
        states.push(end);
        assert_follows(states, expected, &name);
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
    let (schedule, gaussian) = (Schedule::stable_diffusion(), Gaussian::recorded(&golden));
    let start = golden.tensors("ddim.epsilon.10.x").remove(0);
    for sampler in [Sampler::Ddim, Sampler::EulerA] {
        for count in [2, 7, 499, 500] {
            let mut calls = 0;
            let mut model = |x: Tensor<4>, t: f64| {
                calls += 1;
                assert!((0.0..=999.0).contains(&t), "{sampler:?}: timestep {t}");
                Ok::<_, Infallible>(gaussian.epsilon(x, f64::from(schedule.alphas_cumprod[t.round() as usize])))
            };
            let x = sampler.initial(start.clone(), &schedule);
            let mut noise = |step| unit_noise(step as u64, &start);
            let Ok(end) = sampler.sample(&mut model, x, &schedule, steps(count), &mut noise);
            assert_eq!(calls, count, "{sampler:?}");
            let distance = values(end - gaussian.mean.clone()).into_iter().fold(0.0, |most: f32, d| most.max(d.abs()));
            // 64 values of spread 0.5: six spreads. A state left unscaled lies at up to 40.
            assert!(distance < 3.0, "{sampler:?}, {count} steps: {distance} from the mean");
        }
    }
}

#[test]
fn an_error_of_the_model_ends_the_sampling() {
    let schedule = Schedule::stable_diffusion();
    let x = Golden::open(SAMPLERS).tensor("gaussian.mean");
    for sampler in [Sampler::Ddim, Sampler::EulerA] {
        let mut calls = 0;
        let mut model = |x: Tensor<4>, _| {
            calls += 1;
            if calls == 3 { Err("cancelled") } else { Ok(x) }
        };
        let result = sampler.sample(&mut model, x.clone(), &schedule, steps(10), &mut |_| x.clone());
        assert_eq!(result.err(), Some("cancelled"));
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
    let error = "dpm_2".parse::<Sampler>().expect_err("not a sampler here");
    assert_eq!(error.to_string(), "there is no sampler `dpm_2`; use one of: ddim, euler_a, k_euler_a, Euler a");
}

#[test]
fn impossible_numbers_of_steps_are_refused() {
    for count in [0, 1, 501] {
        assert_eq!(Steps::try_from(count), Err(Error::Steps(count)));
    }
    let message = "501 sampling steps are not possible; use 2 to 500, for instance 20";
    assert_eq!(Error::Steps(501).to_string(), message);
    assert_eq!(steps(500).get(), 500);
}
