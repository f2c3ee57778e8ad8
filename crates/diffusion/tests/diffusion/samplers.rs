//! Sampler trajectories against diffusers (DDIM) and k-diffusion (Euler ancestral), and what holds for every sampler.
//!
//! Runs of all of them as the web UI recorded them: `crates/replay`. Names: `names.rs` beside this file.
//!
//! The model is exact: for data x0 ~ N(mean, spread²) the best prediction is a formula (`oracle/diffusion_golden.py`).

use std::convert::Infallible;

use burn::tensor::{Tensor, TensorData};
use lorabake_diffusion::unit_normal;
use lorabake_diffusion::{
    Answer, BetaShape, Call, Img2ImgSteps, Levels, NoiseTable, Prediction, Run, Sampler, SamplerOptions, Schedule,
    Scheduler, StepCount, StepRule, StepsOutOfRange,
};
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

/// What a run is checked by: the states before each step and at the end, and the timesteps.
struct Trace {
    states: Vec<Tensor<4>>,
    timesteps: Vec<f64>,
}

/// The levels of `sampler` with the options of the web UI.
fn levels(sampler: Sampler, table: &NoiseTable, count: usize) -> Levels {
    sampler.levels(Scheduler::Automatic, table, count, &SamplerOptions::default()).expect("a number in range")
}

/// DDIM from `start`, by a network of `prediction` that answers as the Gaussian model does.
fn run_ddim(gaussian: &Gaussian, schedule: &Schedule, prediction: Prediction, count: usize, start: Tensor<4>) -> Trace {
    let mut trace = Trace { states: Vec::new(), timesteps: Vec::new() };
    let mut model = |x: Tensor<4>, call: &Call| {
        trace.states.push(x.clone());
        trace.timesteps.push(call.timestep);
        let alpha = f64::from(schedule.alphas_cumprod[call.timestep as usize]);
        let answer = gaussian.answer(prediction, call.network_input(x.clone()), alpha);
        Ok::<Answer, Infallible>(call.read(prediction, answer, x).into())
    };
    let levels = levels(Sampler::DdimDiffusers, &NoiseTable::of(schedule), count);
    let x = levels.initial(start);
    let run = Run {
        levels: &levels,
        options: &SamplerOptions::default(),
        model: &mut model,
        noise: &mut || panic!("DDIM with eta 0 takes no noise"),
        brownian: &mut |_, _| panic!("DDIM takes no noise of a Brownian motion"),
    };
    let Ok(end) = Sampler::DdimDiffusers.sample(x, run);
    trace.states.push(end);
    trace
}

/// What k-diffusion recorded of one run: noise levels, states and the noise that each step added.
struct Recorded {
    sigmas: Vec<f64>,
    states: Vec<Tensor<4>>,
    noises: Vec<Tensor<4>>,
}

/// Euler ancestral from the first state of `recorded` and with its noise, as [`run_ddim`].
fn run_euler_a(gaussian: &Gaussian, schedule: &Schedule, prediction: Prediction, recorded: &Recorded) -> Trace {
    let mut trace = Trace { states: Vec::new(), timesteps: Vec::new() };
    let mut model = |x: Tensor<4>, call: &Call| {
        let alpha = 1.0 / (recorded.sigmas[trace.states.len()].powi(2) + 1.0);
        trace.states.push(x.clone());
        trace.timesteps.push(call.timestep);
        let answer = gaussian.answer(prediction, call.network_input(x.clone()), alpha);
        Ok::<Answer, Infallible>(call.read(prediction, answer, x).into())
    };
    let levels = levels(Sampler::EulerA, &NoiseTable::of(schedule), recorded.noises.len());
    let x = levels.initial(recorded.states[0].clone().div_scalar(recorded.sigmas[0]));
    let mut noises = recorded.noises.iter();
    let run = Run {
        levels: &levels,
        options: &SamplerOptions::default(),
        model: &mut model,
        noise: &mut || noises.next().expect("noise for each step").clone(),
        brownian: &mut |_, _| panic!("Euler a takes no noise of a Brownian motion"),
    };
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
    let table = NoiseTable::stable_diffusion();
    for count in [10, 30] {
        let timesteps = golden.floats(&format!("k.compvis.{count}.timesteps"));
        let sigmas = golden.floats(&format!("k.compvis.{count}.sigmas"));
        for (timestep, sigma) in timesteps.into_iter().zip(sigmas) {
            let own = table.timestep(sigma);
            // σ is rounded to f32, and at its lowest timestep 0 a thousandth of a step is 5e-6 of it.
            assert!((own - timestep).abs() < 1e-3, "{own} instead of {timestep}");
            assert_close_max("sigma", &[table.sigma(own)], &[sigma], 1e-6);
        }
    }
    assert_eq!(table.timestep(100.0), 999.0);
    assert_eq!(table.timestep(0.001), 0.0);
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

/// A run of `sampler` over `levels` with the Gaussian model and noise of its own: how often the network was called, and
/// the end.
fn run_gaussian(sampler: Sampler, levels: &Levels, gaussian: &Gaussian, x: Tensor<4>) -> (usize, Tensor<4>) {
    // Where nothing of the latents is left, the noise says nothing of them.
    let prediction = if levels.table().ends_in_noise() { Prediction::V } else { Prediction::Epsilon };
    let mut calls = 0;
    let mut model = |x: Tensor<4>, call: &Call| {
        assert_eq!(call.number, calls, "{sampler}");
        assert!(call.step <= call.number, "{sampler}");
        assert!((0.0..=999.0).contains(&call.timestep), "{sampler}: timestep {}", call.timestep);
        calls += 1;
        let answer = gaussian.answer(prediction, call.network_input(x.clone()), call.alpha);
        Ok::<Answer, Infallible>(call.read(prediction, answer, x).into())
    };
    let mut seed = 0;
    let mut noise = |_: f32, _: f32| {
        seed += 1;
        unit_noise(seed, &gaussian.mean)
    };
    let mut other_seed = 1000;
    let run = Run {
        levels,
        options: &SamplerOptions::default(),
        model: &mut model,
        noise: &mut || {
            other_seed += 1;
            unit_noise(other_seed, &gaussian.mean)
        },
        brownian: &mut noise,
    };
    let Ok(end) = sampler.sample(x, run);
    (calls, end)
}

/// How far the furthest value of `end` is from the data's mean.
fn distance(end: Tensor<4>, gaussian: &Gaussian) -> f32 {
    values(end - gaussian.mean.clone()).into_iter().fold(0.0, |most: f32, d| most.max(d.abs()))
}

#[test]
fn every_sampler_ends_on_the_data_with_every_scheduler() {
    let golden = Golden::open(SAMPLERS);
    let table = NoiseTable::stable_diffusion();
    let gaussian = Gaussian::recorded(&golden);
    let start = golden.tensors("ddim.epsilon.10.x").remove(0);
    for sampler in Sampler::ALL {
        for scheduler in Scheduler::ALL {
            if sampler.goes_by_timesteps() && *scheduler != Scheduler::Automatic {
                continue;
            }
            let levels = sampler.levels(*scheduler, &table, 40, &SamplerOptions::default()).expect("in range");
            let (calls, end) = run_gaussian(*sampler, &levels, &gaussian, levels.initial(start.clone()));
            if let Some(expected) = sampler.calls(&levels) {
                assert_eq!(calls, expected, "{sampler}, {scheduler}");
            }
            // 64 values of spread 0.5: six spreads. A state left unscaled lies at up to 40.
            let distance = distance(end, &gaussian);
            assert!(distance < 3.0, "{sampler}, {scheduler}: {distance} from the mean");
        }
    }
}

#[test]
fn odd_numbers_of_steps_give_finite_latents() {
    let golden = Golden::open(SAMPLERS);
    let gaussian = Gaussian::recorded(&golden);
    let start = golden.tensors("ddim.epsilon.10.x").remove(0);
    for table in [NoiseTable::stable_diffusion(), NoiseTable::stable_diffusion().zero_terminal_snr()] {
        for sampler in Sampler::ALL {
            for count in [1, 2, 3, 4, 7, 150] {
                let found = sampler.levels(Scheduler::Automatic, &table, count, &SamplerOptions::default());
                let Ok(levels) = found else {
                    assert_eq!((*sampler, count), (Sampler::DdimDiffusers, 1));
                    continue;
                };
                let (calls, end) = run_gaussian(*sampler, &levels, &gaussian, levels.initial(start.clone()));
                if let Some(expected) = sampler.calls(&levels) {
                    assert_eq!(calls, expected, "{sampler}, {count} steps");
                }
                assert!(values(end).iter().all(|value| value.is_finite()), "{sampler}, {count} steps");
            }
        }
    }
}

#[test]
fn every_sampler_goes_on_from_a_picture() {
    let golden = Golden::open(SAMPLERS);
    let table = NoiseTable::stable_diffusion();
    let gaussian = Gaussian::recorded(&golden);
    let noise = golden.tensors("ddim.epsilon.10.x").remove(0);
    for sampler in Sampler::ALL {
        for (count, strength) in [(20, 0.0), (20, 0.04), (20, 0.5), (20, 1.0), (2, 0.5), (3, 1.0)] {
            let steps = Img2ImgSteps::new(count, strength, StepRule::Share);
            let levels = levels(*sampler, &table, steps.schedule).for_picture(steps);
            let x = levels.initial_of_picture(gaussian.mean.clone(), noise.clone(), 0.0);
            let (calls, end) = run_gaussian(*sampler, &levels, &gaussian, x);
            if let Some(expected) = sampler.calls(&levels) {
                assert_eq!(calls, expected, "{sampler}, {count} steps at {strength}");
            }
            // With few steps Heun and its like are far off, and DDIM and its like keep their noise.
            let bound = if count < 20 { f32::INFINITY } else { 3.0 };
            let distance = distance(end, &gaussian);
            assert!(distance < bound, "{sampler}, {count} steps at {strength}: {distance} from the mean");
        }
    }
}

/// Steps that do not lead down, as steep options make them, change nothing and break nothing.
#[test]
fn equal_noise_levels_give_finite_latents() {
    let golden = Golden::open(SAMPLERS);
    let table = NoiseTable::stable_diffusion();
    let gaussian = Gaussian::recorded(&golden);
    let start = golden.tensors("ddim.epsilon.10.x").remove(0);
    let options = SamplerOptions { rho: Some(40.0), ..SamplerOptions::default() };
    for sampler in Sampler::ALL {
        let levels = sampler.levels(Scheduler::Polyexponential, &table, 30, &options).expect("in range");
        let (_, end) = run_gaussian(*sampler, &levels, &gaussian, levels.initial(start.clone()));
        assert!(values(end).iter().all(|value| value.is_finite()), "{sampler}");
    }
}

#[test]
fn an_error_of_the_model_ends_the_sampling() {
    let x = Golden::open(SAMPLERS).tensor("gaussian.mean");
    for sampler in Sampler::ALL {
        let mut calls = 0;
        let mut model = |x: Tensor<4>, _: &Call| {
            calls += 1;
            if calls == 3 { Err("cancelled") } else { Ok(x.into()) }
        };
        let levels = levels(*sampler, &NoiseTable::stable_diffusion(), 10);
        let run = Run {
            levels: &levels,
            options: &SamplerOptions::default(),
            model: &mut model,
            noise: &mut || x.clone(),
            brownian: &mut |_, _| x.clone(),
        };
        assert_eq!(sampler.sample(x.clone(), run).err(), Some("cancelled"));
        assert_eq!(calls, 3);
    }
}

/// What extensions see lags behind: numbers of the recorded web UI.
#[test]
fn the_step_that_extensions_see_lags_by_a_call() {
    let x = Golden::open(SAMPLERS).tensor("gaussian.mean");
    for (sampler, count, expected) in [
        (Sampler::Euler, 6, vec![0, 0, 1, 2, 3, 4]),
        (Sampler::Heun, 4, vec![0, 0, 0, 1, 1, 2, 2]),
        (Sampler::DpmppSde, 4, vec![0, 0, 0, 1, 1, 2, 2]),
        (Sampler::Plms, 5, vec![0, 0, 0, 1, 2]),
        (Sampler::UniPc, 5, vec![0, 0, 0, 1, 2]),
    ] {
        let mut seen = Vec::new();
        let mut model = |x: Tensor<4>, call: &Call| {
            seen.push(call.step);
            Ok::<Answer, Infallible>(x.into())
        };
        let levels = levels(sampler, &NoiseTable::stable_diffusion(), count);
        let run = Run {
            levels: &levels,
            options: &SamplerOptions::default(),
            model: &mut model,
            noise: &mut || x.clone(),
            brownian: &mut |_, _| x.clone(),
        };
        let Ok(_) = sampler.sample(x.clone(), run);
        assert_eq!(seen, expected, "{sampler}");
    }
}

#[test]
fn impossible_numbers_of_steps_are_refused() {
    for count in [0, 1, 501] {
        let error = StepsOutOfRange { count, possible: 2..=500 };
        assert_eq!(StepCount::try_from(count), Err(error.clone()));
        assert!(error.to_string().contains("use 2 to 500, for instance 20"));
    }
    assert_eq!(StepCount::try_from(500).map(StepCount::get), Ok(500));
    let table = NoiseTable::stable_diffusion();
    for (sampler, count) in [(Sampler::Euler, 0), (Sampler::Euler, usize::MAX), (Sampler::Ddim, 1001)] {
        let found = sampler.levels(Scheduler::Automatic, &table, count, &SamplerOptions::default());
        assert!(found.is_err(), "{sampler}, {count}");
    }
}

#[test]
fn options_without_sense_are_told_all_at_once() {
    assert!(SamplerOptions::default().problems().is_empty());
    assert!(SamplerOptions::default().old_karras_sigmas().problems().is_empty());
    let options = SamplerOptions {
        eta: Some(-1.0),
        s_churn: f64::NAN,
        sigma_min: Some(3.0),
        sigma_max: Some(2.0),
        rho: Some(-1.0),
        ..SamplerOptions::default()
    };
    let problems: Vec<String> = options.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "--eta: -1 is not possible; use 0 to 1",
            "--s_churn: NaN is not possible; use 0 or more, for instance 10",
            "--rho: -1 is not possible; use 0.01 to 1000, for instance 7",
            "--sigma_min: 3 is not possible; use less than --sigma_max",
        ]
    );
}

/// The quantiles of an arcsine distribution have a formula; the recorded schedules have only one pair of parameters.
#[test]
fn the_beta_scheduler_takes_other_distributions() {
    let beta = BetaShape { alpha: 0.5, beta: 0.5 };
    let options = SamplerOptions { beta, sigma_min: Some(1.0), sigma_max: Some(2.0), ..SamplerOptions::default() };
    let table = NoiseTable::stable_diffusion();
    let levels = Sampler::Euler.levels(Scheduler::Beta, &table, 5, &options).expect("in range");
    let quantile = |share: f64| 1.0 + (share * std::f64::consts::FRAC_PI_2).sin().powi(2);
    let expected = [1.0, 0.75, 0.5, 0.25, 0.0].map(|share| quantile(share) as f32);
    assert_close_max("levels", &levels.sigmas().expect("of k-diffusion")[..5], &expected, 1e-6);
}
