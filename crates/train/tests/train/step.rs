//! One step by itself: in parts, and towards what the model predicts without the LoRA.

use std::ops::Range;

use burn::tensor::Device;
use lorabake_device::ThreadGroups;
use lorabake_lora::{AdapterDraws, LoraNetwork};
use lorabake_model::Bundle;
use lorabake_model::tokenizer::{EOS, Tokenizer};
use lorabake_recipe::diffusion::Diffusion;
use lorabake_recipe::seed::{BatchId, Seed};
use lorabake_testkit::{assert_close, assert_close_max};
use lorabake_train::cache::Tokens;
use lorabake_train::noise_draws::NoiseDraws;
use lorabake_train::objective::Objective;
use lorabake_train::step::{StepContext, StepInputs, step, step_side_by_side};

use crate::sandbox::{bundle, recipe};

const SEED: Seed = Seed(3);
const PROMPTS: [&str; 4] = ["a cat", "a dog, running", "", "sky"];

/// A model, adapters that change nothing yet, and a batch of four for them.
struct Bench {
    bundle: Bundle,
    network: LoraNetwork,
    objective: Objective,
    device: Device,
    latents: Vec<f32>,
    draws: NoiseDraws,
}

impl Bench {
    fn new() -> Self {
        let bundle = bundle();
        let network = LoraNetwork::fresh(&recipe("").network, &bundle, SEED);
        let settings = Diffusion { min_snr_gamma: Some(5.0), ..Diffusion::default() };
        let draw = |epoch, latents: &[f32]| {
            NoiseDraws::new(SEED, BatchId { epoch, batch: 0 }, latents, [4, 4, 16, 16], &settings)
        };
        let latents = draw(1, &[0.0; 4096]).noise;
        let draws = draw(0, &latents);
        Self { objective: Objective::new(&settings), bundle, network, device: Device::flex(), latents, draws }
    }

    /// 128 px: at 64 px the lowest level is one pixel wide, and its group norms of one channel × one pixel amplify
    /// rounding by 1/√ε.
    fn inputs(&self, range: Range<usize>, prior: [bool; 4]) -> StepInputs {
        let values = range.start * 1024..range.end * 1024;
        let prompts = PROMPTS[range.clone()].iter().copied();
        StepInputs {
            shape: [range.len(), 4, 16, 16],
            latents: self.latents[values.clone()].to_vec(),
            noise: self.draws.noise[values].to_vec(),
            input_noise: None,
            timesteps: self.draws.timesteps[range.clone()].to_vec(),
            adapter_draws: AdapterDraws::None,
            tokens: Tokens::new(&Tokenizer::new(), prompts, 75, false, &[EOS]),
            sizes: Vec::new(),
            loss_weights: [1.0, 0.5, 1.0, 1.0][range.clone()].to_vec(),
            prior: prior[range].to_vec(),
            mask: None,
        }
    }

    fn frozen(&self) -> StepContext<'_> {
        let Self { bundle, objective, device, .. } = self;
        StepContext { bundle, objective, clip_skip: 1, recompute: 0, device, loss_scale: 1.0 }
    }

    /// Adapters that change a good deal.
    fn taught(&self) -> LoraNetwork {
        let mut network = self.network.clone();
        network.modules.iter_mut().for_each(|module| module.values[1].fill(0.02));
        network
    }
}

fn flat(gradients: Vec<Option<Vec<f32>>>) -> Vec<f32> {
    gradients.into_iter().flatten().flatten().collect()
}

#[test]
fn a_batch_in_parts_equals_the_whole() {
    // Checked on the step itself: what shards do, and accumulation too, which adds up in the same way.
    let bench = Bench::new();
    let (frozen, network, inputs) = (bench.frozen(), bench.taught(), bench.inputs(0..4, [false, true, false, false]));
    let whole = step(&frozen, &network, &inputs);
    assert_eq!((whole.per_sample.len(), whole.prediction.len()), (4, 4096));
    let gradients = flat(whole.gradients);
    for groups in [1, 2, 3, 9] {
        let shared = step_side_by_side(&ThreadGroups::new(groups), &frozen, &network, &inputs);
        assert!((shared.loss - whole.loss).abs() < 1e-6);
        assert_close_max("losses", &shared.per_sample, &whole.per_sample, 4e-6);
        assert_close_max("prediction", &shared.prediction, &whole.prediction, 1e-5);
        assert_close("gradients", &flat(shared.gradients), &gradients, 1e-5);
    }
    let scaled = step(&StepContext { loss_scale: 1024.0, ..bench.frozen() }, &network, &inputs);
    assert_eq!(scaled.loss, whole.loss);
    assert_close("gradients", &flat(scaled.gradients), &gradients, 1e-5);
    for recompute in [1, 8, bench.bundle.unet.recomputable(), usize::MAX] {
        let twice = step(&StepContext { recompute, ..bench.frozen() }, &network, &inputs);
        assert!((twice.loss - whole.loss).abs() < 1e-6);
        assert_close("gradients", &flat(twice.gradients), &gradients, 1e-5);
    }
}

#[test]
fn the_prior_is_what_the_model_predicts_without_the_lora() {
    let bench = Bench::new();
    let (frozen, taught) = (bench.frozen(), bench.taught());
    let noise = step(&frozen, &bench.network, &bench.inputs(0..4, [false; 4]));
    // A LoRA that changes nothing has nothing to unlearn: its prediction is the target.
    let before = step(&frozen, &bench.network, &bench.inputs(0..4, [true; 4]));
    assert!(before.per_sample.iter().all(|error| *error < 1e-10), "{:?}", before.per_sample);
    assert!(noise.per_sample.iter().all(|error| *error > 0.1), "{:?}", noise.per_sample);
    assert_eq!(before.prediction, noise.prediction);
    // Another one is as wrong as its prediction is far from the first's, and the sample that has no prior as ever.
    let asked = step(&frozen, &taught, &bench.inputs(0..4, [true, false, true, true]));
    let plain = step(&frozen, &taught, &bench.inputs(0..4, [false; 4]));
    assert_eq!((&asked.prediction, asked.per_sample[1]), (&plain.prediction, plain.per_sample[1]));
    for sample in [0, 2, 3] {
        let own = sample * 1024..(sample + 1) * 1024;
        let pairs = asked.prediction[own.clone()].iter().zip(&before.prediction[own]);
        let expected = pairs.map(|(a, b)| (a - b).powi(2)).sum::<f32>() / 1024.0;
        let error = asked.per_sample[sample];
        assert!(expected > 1e-4 && (error - expected).abs() < 1e-4 * expected, "{error} and {expected}");
    }
}
