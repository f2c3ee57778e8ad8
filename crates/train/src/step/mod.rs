//! One forward and backward pass as a pure function: inputs → loss and gradients. Nothing random is drawn here, so a
//! recorded trace of another trainer can be replayed through it.

mod collate;
pub(crate) mod prior;
mod side_by_side;

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_diffusion::{Loss, LossInputs, add_noise, loss};
use lorabake_lora::{AdapterDraws, Attached, LoraNetwork, Tracked};
use lorabake_model::unet::AdapterPair;
use lorabake_model::{Bundle, Conditioning, TimeIds};

use crate::cache::Tokens;
use crate::cache::share::share;
use crate::objective::Objective;

pub(crate) use collate::{Collation, SampleInputs};
pub use side_by_side::step_side_by_side;
pub(crate) use side_by_side::thread_groups;

/// What a batch brings.
#[derive(Debug, Clone)]
pub struct StepInputs {
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
    pub adapter_draws: AdapterDraws,
    /// The captions.
    pub tokens: Tokens,
    /// What SDXL is told of each image; other families do not look.
    pub sizes: Vec<TimeIds>,
    /// One per sample: 1, or `--prior_loss_weight` for a regularization image.
    pub loss_weights: Vec<f32>,
    /// One per sample: whether it should give what the networks predict without adapters; none = no sample does.
    pub prior: Vec<bool>,
    /// Where the loss counts, [B, h, w], 0 to 1; `None` = everywhere.
    pub mask: Option<Vec<f32>>,
}

impl StepInputs {
    /// Some of the samples.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        let [batch, c, h, w] = self.shape;
        let own = |values: &Vec<f32>| share(values, &range, batch).to_vec();
        Self {
            shape: [range.len(), c, h, w],
            latents: own(&self.latents),
            noise: own(&self.noise),
            input_noise: self.input_noise.as_ref().map(own),
            timesteps: share(&self.timesteps, &range, batch).to_vec(),
            adapter_draws: self.adapter_draws.clone(),
            tokens: self.tokens.part(&range),
            sizes: share(&self.sizes, &range, batch).to_vec(),
            loss_weights: own(&self.loss_weights),
            prior: share(&self.prior, &range, batch).to_vec(),
            mask: self.mask.as_ref().map(own),
        }
    }
}

/// What stays the same from step to step.
pub struct StepContext<'a> {
    /// The networks.
    pub bundle: &'a Bundle,
    /// What is asked for.
    pub objective: &'a Objective,
    /// 1 = last layer of the text encoder.
    pub clip_skip: u32,
    /// How many pieces of the UNet are computed twice to keep less; 0 = none.
    pub recompute: usize,
    /// Where it runs.
    pub device: &'a Device,
    /// What the loss is multiplied by on its way back; the gradients are divided by it again.
    pub loss_scale: f32,
}

/// Gradients in the order of [`LoraNetwork::trainables`]; `None` where nothing was to be trained.
pub type Gradients = Vec<Option<Vec<f32>>>;

/// What a batch gives.
#[derive(Debug, Clone)]
pub struct StepOutput {
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
pub fn step(context: &StepContext<'_>, network: &LoraNetwork, inputs: &StepInputs) -> StepOutput {
    let Tracked { attached, leaves } = network.track(context.device, &inputs.adapter_draws);
    let mut gradients = vec![None; leaves.len()];
    let mut collect = |tape: &mut burn::tensor::Gradients| {
        for (gradient, leaf) in gradients.iter_mut().zip(&leaves) {
            if let Some(found) = leaf.as_ref().and_then(|leaf| leaf.grad_remove(tape)) {
                *gradient = Some(unscaled(to_f32_vec(found), context.loss_scale));
            }
        }
    };
    let scaled = |loss: &Loss| loss.mean.clone().mul_scalar(context.loss_scale);
    let batch = NoisyBatch::new(context, &attached, inputs);
    let unet = &context.bundle.unet;
    let noisy = batch.noisy.clone();
    let (loss, prediction) = if context.recompute == 0 {
        let prediction = unet.forward(noisy, &batch.times, batch.conditioning.clone(), &attached.unet);
        let loss = batch.loss(prediction.clone());
        collect(&mut scaled(&loss).backward());
        (loss, prediction.inner())
    } else {
        let plain = network.untracked(context.device, &inputs.adapter_draws);
        let pair = AdapterPair { untracked: &plain.unet, tracked: &attached.unet };
        let (prediction, recorded) =
            unet.forward_recorded(noisy, &batch.times, batch.conditioning.clone(), pair, context.recompute);
        let leaf = prediction.clone().autodiff().require_grad();
        let loss = batch.loss(leaf.clone());
        let mut tape = scaled(&loss).backward();
        recorded.backward(leaf.grad_remove(&mut tape).expect("the loss is of the prediction"), collect);
        (loss, prediction)
    };
    let value = f64::from(loss.mean.into_scalar::<f32>());
    StepOutput { loss: value, per_sample: to_f32_vec(loss.per_sample), prediction: to_f32_vec(prediction), gradients }
}

/// The loss of a batch alone, by adapters without tape.
pub fn forward_loss(context: &StepContext<'_>, attached: &Attached, inputs: &StepInputs) -> f64 {
    let batch = NoisyBatch::new(context, attached, inputs);
    let unet = &context.bundle.unet;
    let prediction = unet.forward(batch.noisy.clone(), &batch.times, batch.conditioning.clone(), &attached.unet);
    f64::from(batch.loss(prediction).mean.into_scalar::<f32>())
}

/// What the UNet is given, and what it should answer.
struct NoisyBatch<'a> {
    noisy: Tensor<4>,
    times: Vec<f32>,
    conditioning: Conditioning,
    target: Tensor<4>,
    objective: &'a Objective,
    inputs: &'a StepInputs,
}

impl<'a> NoisyBatch<'a> {
    fn new(context: &StepContext<'a>, attached: &Attached, inputs: &'a StepInputs) -> Self {
        let StepContext { bundle, objective, device, clip_skip, .. } = *context;
        let tensor = |values: &[f32]| Tensor::<4>::from_data(TensorData::new(values.to_vec(), inputs.shape), device);
        let (latents, noise) = (tensor(&inputs.latents), tensor(&inputs.noise));
        let (schedule, timesteps) = (&objective.schedule, &inputs.timesteps);
        let target = objective.prediction.target(schedule, latents.clone(), noise.clone(), timesteps);
        let added = inputs.input_noise.as_ref().map_or(noise.clone(), |more| noise + tensor(more));
        let noisy = add_noise(schedule, latents, added, timesteps);
        let target = with_prior(target, &noisy, context, inputs);
        let encoded = inputs.tokens.encoded(bundle, clip_skip, device, &attached.texts);
        let times = timesteps.iter().map(|t| *t as f32).collect();
        Self { noisy, times, conditioning: encoded.with(inputs.sizes.clone()), target, objective, inputs }
    }

    fn loss(&self, prediction: Tensor<4>) -> Loss {
        let Objective { schedule, prediction: asked, loss: kind, weighting } = self.objective;
        let factors = weighting.factors(schedule, *asked, &self.inputs.loss_weights, &self.inputs.timesteps);
        let (timesteps, mask) = (self.inputs.timesteps.as_slice(), self.inputs.mask.as_deref());
        let inputs = LossInputs { kind: *kind, factors: &factors, schedule, timesteps, mask };
        loss(prediction, self.target.clone(), inputs)
    }
}

/// `target`, with what the networks predict without adapters for the samples that are to keep it: prior preservation
/// that has no noise in what it asks for.
fn with_prior(target: Tensor<4>, noisy: &Tensor<4>, context: &StepContext<'_>, inputs: &StepInputs) -> Tensor<4> {
    let rows: Vec<usize> = inputs.prior.iter().enumerate().filter_map(|(row, prior)| prior.then_some(row)).collect();
    if rows.is_empty() {
        return target;
    }
    let plain = Attached::default();
    let one = |tensor: &Tensor<4>, row: usize| tensor.clone().narrow(0, row, 1);
    let conditioning = |row: usize| {
        let tokens = inputs.tokens.part(&(row..row + 1));
        let encoded = tokens.encoded(context.bundle, context.clip_skip, context.device, &plain.texts);
        encoded.with(share(&inputs.sizes, &(row..row + 1), inputs.shape[0]).to_vec())
    };
    let of_row = |row: usize| {
        if !rows.contains(&row) {
            return one(&target, row);
        }
        let times = [inputs.timesteps[row] as f32];
        context.bundle.unet.forward(one(noisy, row), &times, conditioning(row), &plain.unet)
    };
    Tensor::cat((0..inputs.shape[0]).map(of_row).collect(), 0)
}

fn unscaled(mut gradient: Vec<f32>, scale: f32) -> Vec<f32> {
    if scale != 1.0 {
        gradient.iter_mut().for_each(|x| *x /= scale);
    }
    gradient
}

fn to_f32_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32 tensor")
}
