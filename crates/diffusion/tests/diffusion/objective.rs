//! Losses, weights, noises and the rescaled schedule against sd-scripts' formulas in torch (`oracle/loss_golden.py`).

use lorabake_diffusion::{LossInputs, MultiresLevel, Prediction, Schedule, TRAIN_STEPS};
use lorabake_diffusion::{Weighting, add_multires_noise, add_noise_offset, draw_multires_levels, draw_timesteps, loss};
use lorabake_diffusion::{offset_strengths, unit_normal};
use lorabake_recipe::diffusion::{HuberSchedule, HuberThreshold, LossKind};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use lorabake_testkit::assert_close_max;

use crate::golden::{Golden, values};

const SHAPE: [usize; 4] = [2, 4, 9, 13];
const PLANE: usize = 9 * 13;

fn golden() -> Golden {
    Golden::open("loss.safetensors")
}

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

#[test]
fn the_rescaled_schedule_ends_in_noise_alone() {
    let schedule = Schedule::stable_diffusion().zero_terminal_snr();
    // torch goes by way of betas in f32; a thousand roundings.
    assert_close_max(
        "alphas_cumprod",
        &schedule.alphas_cumprod,
        &golden().floats("zero_terminal.alphas_cumprod"),
        2e-5,
    );
    assert_eq!(schedule.alphas_cumprod[TRAIN_STEPS - 1], 0.0);
    let plain = Schedule::stable_diffusion();
    assert!((0..TRAIN_STEPS).all(|t| schedule.snr(t) == plain.snr(t)), "weights go by the schedule from before");
}

#[test]
fn errors_and_their_gradients_equal_those_of_torch() {
    let golden = golden();
    let output = golden.tensor("loss.output");
    let target = golden.tensor("loss.target");
    let timesteps = golden.timesteps("timesteps");
    let plain = Schedule::stable_diffusion();
    let zero = plain.clone().zero_terminal_snr();
    let mut cases = vec![("l2".to_string(), LossKind::L2, &plain), ("l1".into(), LossKind::L1, &plain)];
    let schedules = [
        ("constant", HuberSchedule::Constant),
        ("exponential", HuberSchedule::Exponential),
        ("snr", HuberSchedule::Snr),
    ];
    for (name, schedule) in schedules {
        for (sizes, c, scale) in [("c01", 0.1, 1.0), ("c03x2", 0.3, 2.0)] {
            let threshold = HuberThreshold { schedule, c, scale };
            for (suffix, noising) in [("", &plain), (".zero_terminal", &zero)] {
                let case = |kind: &str| format!("{kind}.{name}.{sizes}{suffix}");
                cases.push((case("huber"), LossKind::Huber(threshold), noising));
                cases.push((case("smooth_l1"), LossKind::SmoothL1(threshold), noising));
            }
        }
    }
    assert_eq!(cases.len(), 26);
    for (name, kind, schedule) in cases {
        let leaf = output.clone().autodiff().require_grad();
        let inputs = LossInputs { kind, factors: &[1.0; 8], schedule, timesteps: &timesteps, mask: None };
        let result = loss(leaf.clone(), target.clone(), inputs);
        // The square root is taken of small differences in f32: a few roundings of 1 ÷ c.
        let errors = golden.floats(&format!("loss.{name}"));
        assert_close_max(&name, &values(result.per_sample), &errors, 4e-6);
        let gradient = leaf.grad(&result.mean.backward()).expect("a gradient");
        assert_close_max(&name, &values(gradient), &golden.floats(&format!("gradient.{name}")), 4e-6);
    }
}

#[test]
fn weights_equal_those_of_torch() {
    let golden = golden();
    let timesteps = golden.timesteps("timesteps");
    let off = Weighting::default();
    let epsilon = Prediction::Epsilon;
    let v = Prediction::V;
    let debiased = Weighting { debiased_estimation: true, ..off };
    let both = Weighting { min_snr_gamma: Some(5.0), ..debiased };
    let cases = [
        ("debiased.epsilon", debiased, epsilon),
        ("debiased.v", debiased, v),
        ("scale_v", Weighting { like_noise_prediction: true, ..off }, v),
        ("v_like", Weighting { like_velocity: Some(0.5), ..off }, epsilon),
        ("all.v", Weighting { like_noise_prediction: true, ..both }, v),
        ("all.epsilon", Weighting { like_velocity: Some(0.5), ..both }, epsilon),
    ];
    for schedule in [Schedule::stable_diffusion(), Schedule::stable_diffusion().zero_terminal_snr()] {
        for (name, weighting, prediction) in cases {
            let factors = weighting.factors(&schedule, prediction, &[1.0; 8], &timesteps);
            for (factor, expected) in factors.iter().zip(golden.floats(&format!("factor.{name}"))) {
                assert_close_max(name, &[*factor], &[expected], 1e-6);
            }
        }
    }
}

#[test]
fn the_adaptive_offset_equals_that_of_torch() {
    let golden = golden();
    let latents = golden.floats("noise.latents");
    for (name, adaptive) in [("up", 0.2), ("down", -0.1)] {
        let strengths = offset_strengths(&latents, PLANE, 0.05, Some(adaptive));
        assert_close_max(name, &strengths, &golden.floats(&format!("noise.offset.{name}")), 1e-6);
    }
    assert_eq!(offset_strengths(&latents, PLANE, 0.05, None), [0.05; 8]);
    let mut noise = vec![0.0; 8 * PLANE];
    add_noise_offset(&mut noise, PLANE, &[0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0], &mut rng(1));
    let moved: Vec<bool> = noise.chunks_exact(PLANE).map(|channel| channel[0] != 0.0).collect();
    assert_eq!(moved, [false, true].repeat(4));
}

#[test]
fn noise_of_several_sizes_equals_that_of_torch() {
    let golden = golden();
    let mut levels = Vec::new();
    for (index, size) in [[9, 13], [3, 4], [2, 2]].into_iter().enumerate() {
        levels.push(MultiresLevel { size, values: golden.floats(&format!("noise.level.{index}")) });
    }
    let mut noise = golden.floats("noise.noise");
    add_multires_noise(&mut noise, SHAPE, &levels, 0.4);
    assert_close_max("multi-resolution noise", &noise, &golden.floats("noise.multires"), 2e-6);
}

#[test]
fn levels_shrink_until_one_is_a_line() {
    for seed in 0..50 {
        let levels = draw_multires_levels([1, 4, 64, 48], 10, &mut rng(seed));
        assert_eq!(levels[0].size, [64, 48]);
        assert!((2..=7).contains(&levels.len()), "{}", levels.len());
        for (index, level) in levels.iter().enumerate() {
            for (side, whole) in level.size.into_iter().zip([64.0, 48.0_f64]) {
                let [least, most] = [4.0, 2.0_f64].map(|shrink| whole / shrink.powi(index as i32));
                assert!((least.floor().max(1.0)..=most.max(1.0)).contains(&(side as f64)), "{index} {side}");
            }
        }
        let (last, others) = levels.split_last().unwrap();
        assert!(last.size.contains(&1) && others.iter().all(|level| !level.size.contains(&1)));
        assert!(levels.iter().all(|level| level.values.len() == 4 * level.size[0] * level.size[1]));
    }
    assert_eq!(draw_multires_levels([1, 4, 64, 48], 2, &mut rng(1)).len(), 2);
    let mut noise = unit_normal(&mut rng(2), 4 * 64 * 48);
    add_multires_noise(&mut noise, [1, 4, 64, 48], &draw_multires_levels([1, 4, 64, 48], 6, &mut rng(3)), 0.8);
    let rows: f32 = noise.windows(2).map(|pair| pair[0] * pair[1]).sum::<f32>() / noise.len() as f32;
    assert!(rows > 0.2, "neighbours should be alike: {rows}");
}

#[test]
fn timesteps_stay_in_their_range() {
    let drawn = draw_timesteps(&mut rng(1), 5000, 200..300);
    assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&200), Some(&299)));
    assert_eq!(draw_timesteps(&mut rng(1), 3, 999..999), [999; 3]);
}
