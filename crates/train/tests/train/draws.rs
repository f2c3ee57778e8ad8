//! What a batch draws, by the recipe's noise options.

use lorabake_recipe::diffusion::{Diffusion, InputNoise, Multires, NoiseOffset};
use lorabake_recipe::seed::{BatchId, Seed};
use lorabake_train::noise_draws::NoiseDraws;

const SHAPE: [usize; 4] = [2, 4, 8, 8];

fn draw(batch: u64, settings: &Diffusion) -> NoiseDraws {
    // Channels of sample 0 have mean 0, those of sample 1 mean 2.
    let latents: Vec<f32> = (0..512).map(|index| if index < 256 { 0.0 } else { -2.0 }).collect();
    NoiseDraws::new(Seed(1), BatchId { epoch: 0, batch }, &latents, SHAPE, settings)
}

/// What `settings` add to the noise of a batch, per channel.
fn shifts(batch: u64, settings: &Diffusion) -> Vec<f32> {
    let (with, without) = (draw(batch, settings), draw(batch, &Diffusion::default()));
    with.noise.iter().zip(&without.noise).map(|(a, b)| a - b).step_by(64).collect()
}

fn offset(random: bool, adaptive: Option<f64>) -> Diffusion {
    let noise_offset = Some(NoiseOffset { strength: 0.5, random, adaptive });
    Diffusion { noise_offset, ..Diffusion::default() }
}

/// Root mean square.
fn size(values: &[f32]) -> f32 {
    (values.iter().map(|x| x * x).sum::<f32>() / values.len() as f32).sqrt()
}

#[test]
fn a_random_offset_is_weaker_and_differs_from_batch_to_batch() {
    let sizes = |settings: &Diffusion| (0..400).map(|batch| size(&shifts(batch, settings))).collect::<Vec<_>>();
    let (fixed, random) = (size(&sizes(&offset(false, None))), size(&sizes(&offset(true, None))));
    assert!((0.47..0.53).contains(&fixed), "{fixed}");
    // The root of the mean square of a strength between 0 and 0.5: 0.5 / √3.
    assert!((0.26..0.32).contains(&random), "{random}");
    assert!(sizes(&offset(true, None)).iter().any(|size| *size < 0.05));
}

#[test]
fn an_adaptive_offset_follows_the_latents() {
    let part = |adaptive, sample: usize| {
        let all = (0..300).flat_map(|batch| shifts(batch, &offset(false, Some(adaptive)))[4 * sample..][..4].to_vec());
        size(&all.collect::<Vec<_>>())
    };
    assert!((0.46..0.54).contains(&part(0.25, 0)) && (0.92..1.08).contains(&part(0.25, 1)));
    assert_eq!(part(-0.25, 1), 0.0);
}

#[test]
fn noise_for_the_input_stands_apart() {
    let settings = |random| Diffusion { input_noise: Some(InputNoise { gamma: 0.1, random }), ..Diffusion::default() };
    let plain = draw(0, &Diffusion::default());
    let with = draw(0, &settings(false));
    assert_eq!((&with.noise, &with.timesteps, plain.input_noise), (&plain.noise, &plain.timesteps, None));
    let strength = |batch, random| size(&draw(batch, &settings(random)).input_noise.unwrap());
    assert!((0.09..0.11).contains(&strength(0, false)), "{}", strength(0, false));
    let random: Vec<f32> = (0..200).map(|batch| strength(batch, true)).collect();
    assert!(random.iter().all(|s| *s < 0.115) && random.iter().any(|s| *s < 0.02) && random.iter().any(|s| *s > 0.08));
}

#[test]
fn noise_of_several_sizes_keeps_its_size_and_has_smooth_parts() {
    let settings = Diffusion { multires: Some(Multires { iterations: 6, discount: 0.9 }), ..Diffusion::default() };
    let noise = draw(0, &settings).noise;
    assert!((size(&noise) - 1.0).abs() < 0.05, "{}", size(&noise));
    let plane_means = |noise: &[f32]| size(&noise.chunks(64).map(|p| p.iter().sum::<f32>() / 64.0).collect::<Vec<_>>());
    assert!(plane_means(&noise) > 2.0 * plane_means(&draw(0, &Diffusion::default()).noise));
    assert_eq!(noise, draw(0, &settings).noise);
}

#[test]
fn timesteps_keep_to_their_range() {
    let settings = Diffusion { min_timestep: 100, max_timestep: 103, ..Diffusion::default() };
    let drawn: Vec<usize> = (0..100).flat_map(|batch| draw(batch, &settings).timesteps).collect();
    assert!([100, 101, 102].iter().all(|t| drawn.contains(t)) && drawn.iter().all(|t| (100..103).contains(t)));
}
