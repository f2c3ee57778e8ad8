//! Times what each sampler costs beside the network that it calls: milliseconds a call, with its noise, for a network that
//! costs nothing.
//!
//! Words: [SIDE] in pixels, 512 without; [STEPS], 20 without. Divide by the time of a guided step (`pictures.py`) for the share.

use std::convert::Infallible;
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_diffusion::{Answer, Call, NoiseTable, Run, Sampler, SamplerOptions, Scheduler};
use lorabake_generate::noise::{BrownianTree, ImageNoise, NoiseSeeds, Source};
use lorabake_ops::keep_memory;

/// Runs of which the median is told.
const ROUNDS: usize = 5;

fn main() {
    keep_memory();
    let words: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let side = words.first().copied().unwrap_or(512) / 8;
    let steps = words.get(1).copied().unwrap_or(20);
    println!("sampler, calls of the network, ms a call beside the network, {} px, {steps} steps", side * 8);
    for source in [Source::Cpu, Source::Nv] {
        for sampler in Sampler::ALL {
            let mut rounds: Vec<[f64; 2]> = (0..ROUNDS).map(|_| run(*sampler, source, side, steps)).collect();
            rounds.sort_by(|a, b| a[1].total_cmp(&b[1]));
            let [calls, seconds] = rounds[ROUNDS / 2];
            println!("{sampler} ({source:?}): {calls}, {:.3}", seconds * 1000.0 / calls);
        }
    }
}

/// How often a run calls the network, and its seconds.
fn run(sampler: Sampler, source: Source, side: usize, steps: usize) -> [f64; 2] {
    let shape = [1, 4, side, side];
    let values = shape.iter().product();
    let tensor = |values: Vec<f32>| Tensor::<4>::from_data(TensorData::new(values, shape), &Device::flex());
    let start = Instant::now();
    let options = SamplerOptions::default();
    let table = NoiseTable::stable_diffusion();
    let levels = sampler.levels(Scheduler::Automatic, &table, steps, &options).expect("a number in range");
    let mut noise = ImageNoise::new(source, [4, side, side], vec![NoiseSeeds { seed: 1, variation: None }]);
    let x = levels.initial(tensor(noise.next_draw()));
    let mut calls = 0.0;
    // A network that answers with what it was given.
    let mut model = |x: Tensor<4>, _: &Call| {
        calls += 1.0;
        Ok::<Answer, Infallible>(Answer { guided: x.clone(), unconditional: Some(x) })
    };
    let [lowest, highest] = levels.brownian_range().unwrap_or([0.0, 1.0]);
    let mut tree: Option<BrownianTree> = None;
    let run = Run {
        levels: &levels,
        options: &options,
        model: &mut model,
        noise: &mut || tensor(noise.next_draw()),
        brownian: &mut |from, to| {
            let tree = tree.get_or_insert_with(|| BrownianTree::new(source, 1, values, lowest, highest));
            tensor(tree.noise(from, to))
        },
    };
    let Ok(end) = sampler.sample(x, run);
    let _numbers = end.into_data();
    [calls, start.elapsed().as_secs_f64()]
}
