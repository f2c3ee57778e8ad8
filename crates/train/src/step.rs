//! One forward and backward pass as a pure function: inputs → loss and gradients. Nothing random is drawn here, so a
//! recorded trace of another trainer can be replayed through it.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_diffusion::{Loss, LossInputs, add_noise, loss};
use lorabake_model::unet::AdapterPair;
use lorabake_model::{Bundle, Conditioning, TimeIds};

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
    pub sizes: Vec<TimeIds>,
    /// One per sample: 1, or `--prior_loss_weight` for a regularization image.
    pub loss_weights: Vec<f32>,
    /// One per sample: whether it should give what the networks predict without adapters; none = no sample does.
    pub prior: Vec<bool>,
    /// Where the loss counts, [B, h, w], 0 to 1; `None` = everywhere.
    pub mask: Option<Vec<f32>>,
}

impl Inputs {
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
            chances: self.chances.clone(),
            tokens: self.tokens.part(&range),
            sizes: share(&self.sizes, &range, batch).to_vec(),
            loss_weights: own(&self.loss_weights),
            prior: share(&self.prior, &range, batch).to_vec(),
            mask: self.mask.as_ref().map(own),
        }
    }
}

/// What `values` of a batch belong to the samples of `range`; nothing if there are none at all.
pub(crate) fn share<'v, T>(values: &'v [T], range: &Range<usize>, batch: usize) -> &'v [T] {
    let each = values.len() / batch;
    &values[range.start * each..range.end * each]
}

/// What stays the same from step to step.
pub struct Frozen<'a> {
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
    let mut gradients = vec![None; leaves.len()];
    let mut collect = |tape: &mut burn::tensor::Gradients| {
        for (gradient, leaf) in gradients.iter_mut().zip(&leaves) {
            if let Some(found) = leaf.as_ref().and_then(|leaf| leaf.grad_remove(tape)) {
                *gradient = Some(unscaled(numbers(found), frozen.loss_scale));
            }
        }
    };
    let scaled = |loss: &Loss| loss.mean.clone().mul_scalar(frozen.loss_scale);
    let task = Task::new(frozen, &attached, inputs);
    let (unet, noisy) = (&frozen.bundle.unet, task.noisy.clone());
    let (loss, prediction) = if frozen.recompute == 0 {
        let prediction = unet.forward(noisy, &task.times, task.told.clone(), &attached.unet);
        let loss = task.loss(prediction.clone());
        collect(&mut scaled(&loss).backward());
        (loss, prediction.inner())
    } else {
        let plain = network.untracked(frozen.device, &inputs.chances);
        let pair = AdapterPair { untracked: &plain.unet, tracked: &attached.unet };
        let (prediction, recorded) =
            unet.forward_recorded(noisy, &task.times, task.told.clone(), pair, frozen.recompute);
        let leaf = prediction.clone().autodiff().require_grad();
        let loss = task.loss(leaf.clone());
        let mut tape = scaled(&loss).backward();
        recorded.backward(leaf.grad_remove(&mut tape).expect("the loss is of the prediction"), collect);
        (loss, prediction)
    };
    let value = f64::from(loss.mean.into_scalar::<f32>());
    Output { loss: value, per_sample: numbers(loss.per_sample), prediction: numbers(prediction), gradients }
}

/// The loss alone, by adapters without tape.
pub fn judge(frozen: &Frozen<'_>, attached: &Attached, inputs: &Inputs) -> f64 {
    let task = Task::new(frozen, attached, inputs);
    let prediction = frozen.bundle.unet.forward(task.noisy.clone(), &task.times, task.told.clone(), &attached.unet);
    f64::from(task.loss(prediction).mean.into_scalar::<f32>())
}

/// What the UNet is given, and what it should answer.
struct Task<'a> {
    noisy: Tensor<4>,
    times: Vec<f32>,
    told: Conditioning,
    target: Tensor<4>,
    objective: &'a Objective,
    inputs: &'a Inputs,
}

impl<'a> Task<'a> {
    fn new(frozen: &Frozen<'a>, attached: &Attached, inputs: &'a Inputs) -> Self {
        let Frozen { bundle, objective, device, clip_skip, .. } = *frozen;
        let tensor = |values: &[f32]| Tensor::<4>::from_data(TensorData::new(values.to_vec(), inputs.shape), device);
        let (latents, noise) = (tensor(&inputs.latents), tensor(&inputs.noise));
        let (schedule, timesteps) = (&objective.schedule, &inputs.timesteps);
        let target = objective.prediction.target(schedule, latents.clone(), noise.clone(), timesteps);
        let added = inputs.input_noise.as_ref().map_or(noise.clone(), |more| noise + tensor(more));
        let noisy = add_noise(schedule, latents, added, timesteps);
        let target = with_prior(target, &noisy, frozen, inputs);
        let encoded = inputs.tokens.encoded(bundle, clip_skip, device, &attached.texts);
        let times = timesteps.iter().map(|t| *t as f32).collect();
        Self { noisy, times, told: encoded.with(inputs.sizes.clone()), target, objective, inputs }
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
fn with_prior(target: Tensor<4>, noisy: &Tensor<4>, frozen: &Frozen<'_>, inputs: &Inputs) -> Tensor<4> {
    let rows: Vec<usize> = inputs.prior.iter().enumerate().filter_map(|(row, prior)| prior.then_some(row)).collect();
    if rows.is_empty() {
        return target;
    }
    let plain = Attached::default();
    let one = |tensor: &Tensor<4>, row: usize| tensor.clone().narrow(0, row, 1);
    let told = |row: usize| {
        let encoded =
            inputs.tokens.part(&(row..row + 1)).encoded(frozen.bundle, frozen.clip_skip, frozen.device, &plain.texts);
        encoded.with(share(&inputs.sizes, &(row..row + 1), inputs.shape[0]).to_vec())
    };
    let of_row = |row: usize| {
        if !rows.contains(&row) {
            return one(&target, row);
        }
        let times = [inputs.timesteps[row] as f32];
        frozen.bundle.unet.forward(one(noisy, row), &times, told(row), &plain.unet)
    };
    Tensor::cat((0..inputs.shape[0]).map(of_row).collect(), 0)
}

fn unscaled(mut gradient: Vec<f32>, scale: f32) -> Vec<f32> {
    if scale != 1.0 {
        gradient.iter_mut().for_each(|x| *x /= scale);
    }
    gradient
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32 tensor")
}
