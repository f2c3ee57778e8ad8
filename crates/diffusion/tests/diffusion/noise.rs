//! Draws: distribution, ranges, and dependence on the generator alone.

use lorabake_diffusion::{add_noise_offset, draw_timesteps, unit_normal};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Mean, variance and fourth moment.
fn moments(values: &[f32]) -> [f64; 3] {
    let mean = |power| values.iter().map(|x| f64::from(*x).powi(power)).sum::<f64>() / values.len() as f64;
    [mean(1), mean(2), mean(4)]
}

#[test]
fn noise_is_unit_normal() {
    let values = unit_normal(&mut rng(1), 400_000);
    let [mean, variance, fourth] = moments(&values);
    // Four standard errors each: 1/√n, √2/√n, √96/√n.
    assert!(mean.abs() < 0.0064, "mean {mean}");
    assert!((variance - 1.0).abs() < 0.009, "variance {variance}");
    assert!((fourth - 3.0).abs() < 0.062, "fourth moment {fourth}");
    let product = values.chunks_exact(2).map(|pair| f64::from(pair[0] * pair[1])).sum::<f64>() / 200_000.0;
    assert!(product.abs() < 0.009, "neighbours depend on each other: {product}");
}

#[test]
fn the_generator_alone_decides() {
    assert_eq!(unit_normal(&mut rng(1), 64), unit_normal(&mut rng(1), 64));
    assert_ne!(unit_normal(&mut rng(1), 64), unit_normal(&mut rng(2), 64));
    assert_eq!(draw_timesteps(&mut rng(1), 64, 0..1000), draw_timesteps(&mut rng(1), 64, 0..1000));
    assert_ne!(draw_timesteps(&mut rng(1), 64, 0..1000), draw_timesteps(&mut rng(2), 64, 0..1000));
}

#[test]
fn timesteps_are_uniform_over_all_thousand() {
    let timesteps = draw_timesteps(&mut rng(3), 200_000, 0..1000);
    let mut count = [0_usize; 1000];
    timesteps.iter().for_each(|t| count[*t] += 1);
    // Expected 200 each, standard deviation 14: six of them.
    assert!(count.iter().all(|n| (115..=285).contains(n)), "{count:?}");
}

#[test]
fn noise_offset_moves_each_channel_of_each_sample_as_a_whole() {
    let samples_and_channels = 20_000;
    let plane = 6;
    let strength = 0.1_f32;
    let plain = unit_normal(&mut rng(4), samples_and_channels * plane);
    let mut moved = plain.clone();
    add_noise_offset(&mut moved, plane, &vec![strength; samples_and_channels], &mut rng(5));
    let shifts: Vec<f32> = moved.iter().zip(&plain).map(|(a, b)| a - b).collect();
    for channel in shifts.chunks_exact(plane) {
        assert!(channel.iter().all(|shift| (shift - channel[0]).abs() < 1e-6), "{channel:?}");
    }
    let units: Vec<f32> = shifts.iter().step_by(plane).map(|shift| shift / strength).collect();
    let [mean, variance, _] = moments(&units);
    assert!(mean.abs() < 0.029, "mean {mean}");
    assert!((variance - 1.0).abs() < 0.04, "variance {variance}");
}
