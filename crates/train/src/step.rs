//! One forward and backward pass as a pure function: inputs → loss and gradients. Nothing random is drawn here, so a
//! recorded trace of another trainer can be replayed through it.

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_diffusion::{Loss, Measure, add_noise, loss};
use lorabake_model::{Bundle, Sizes};

use crate::chances::Chances;
use crate::encode::Tokens;
use crate::network::{Attached, Network};
use crate::objective::Objective;

/// What a batch brings.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// [B, 4, h, w]
    pub shape: [usize; 4],
    /// Scaled latents, row-major.
    pub latents: Vec<f32>,
    /// Noise that the network should predict, row-major.
    pub noise: Vec<f32>,
    /// What is added to the noise of the network's input, row-major.
    pub input_noise: Option<Vec<f32>>,
    /// 0 to 999, one per sample.
    pub timesteps: Vec<usize>,
    /// What chance decides about the adapters.
    pub chances: Chances,
    /// The captions.
    pub tokens: Tokens,
    /// What SDXL is told of each image; other families do not look.
    pub sizes: Vec<Sizes>,
    /// One per sample: 1, or `--prior_loss_weight` for a regularization image.
    pub loss_weights: Vec<f32>,
    /// Where the loss counts, [B, h, w], 0 to 1; `None` = everywhere.
    pub mask: Option<Vec<f32>>,
}

/// What stays the same from step to step.
pub struct Frozen<'a> {
    /// The networks.
    pub bundle: &'a Bundle,
    /// What is asked for.
    pub objective: &'a Objective,
    /// 1 = last layer of the text encoder.
    pub clip_skip: u32,
    /// Where it runs.
    pub device: &'a Device,
}

/// Gradients in the order of [`Network::trainables`]; `None` where nothing was to be trained.
pub type Gradients = Vec<Option<Vec<f32>>>;

/// What a batch gives.
#[derive(Debug, Clone)]
pub struct Output {
    /// Weighted mean over the batch.
    pub loss: f64,
    /// Mean error of each sample before weighting.
    pub per_sample: Vec<f32>,
    /// The UNet's prediction, [B, 4, h, w].
    pub prediction: Vec<f32>,
    /// dL/dθ.
    pub gradients: Gradients,
}

/// One forward and backward pass.
pub fn step(frozen: &Frozen<'_>, network: &Network, inputs: &Inputs) -> Output {
    let (attached, leaves) = network.track(frozen.device, &inputs.chances);
    let (loss, prediction) = forward(frozen, &attached, inputs);
    let value = f64::from(loss.mean.clone().into_scalar::<f32>());
    let mut tape = loss.mean.backward();
    let gradients = leaves.iter().map(|leaf| leaf.as_ref()?.grad_remove(&mut tape).map(numbers)).collect();
    Output { loss: value, per_sample: numbers(loss.per_sample), prediction: numbers(prediction), gradients }
}

/// The loss alone, by adapters without tape.
pub fn judge(frozen: &Frozen<'_>, attached: &Attached, inputs: &Inputs) -> f64 {
    f64::from(forward(frozen, attached, inputs).0.mean.into_scalar::<f32>())
}

/// The loss, and the UNet's prediction apart from the tape.
fn forward(frozen: &Frozen<'_>, attached: &Attached, inputs: &Inputs) -> (Loss, Tensor<4>) {
    let Frozen { objective: Objective { schedule, prediction: asked, loss: kind, weighting }, device, .. } = *frozen;
    let tensor = |values: &[f32]| Tensor::<4>::from_data(TensorData::new(values.to_vec(), inputs.shape), device);
    let (latents, noise) = (tensor(&inputs.latents), tensor(&inputs.noise));
    let target = asked.target(schedule, latents.clone(), noise.clone(), &inputs.timesteps);
    let added = inputs.input_noise.as_ref().map_or(noise.clone(), |more| noise + tensor(more));
    let noisy = add_noise(schedule, latents, added, &inputs.timesteps);

    let encoded = inputs.tokens.encoded(frozen.bundle, frozen.clip_skip, device, &attached.texts);
    let told = encoded.with(inputs.sizes.clone());
    let times: Vec<f32> = inputs.timesteps.iter().map(|t| *t as f32).collect();
    let prediction = frozen.bundle.unet.forward(noisy, &times, told, &attached.unet);

    let factors = weighting.factors(schedule, *asked, (&inputs.loss_weights, &inputs.timesteps));
    let kept = prediction.clone().inner();
    let (timesteps, mask) = (inputs.timesteps.as_slice(), inputs.mask.as_deref());
    let measure = Measure { kind: *kind, factors: &factors, schedule, timesteps, mask };
    (loss(prediction, target, measure), kept)
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32 tensor")
}
