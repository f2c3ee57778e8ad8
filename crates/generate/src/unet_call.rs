//! One call of the UNet: every part of the prompt and the negative prompt, with what acts at this step.

use burn::tensor::{Device, Tensor};
use lorabake_adapter::Adapters;
use lorabake_device::ThreadGroups;
use lorabake_model::Conditioning;
use lorabake_model::unet::{Residuals, UNet};

use crate::conditioning::Conditions;
use crate::conditioning::length::{PadPrompts, Sides, repeat_last};
use crate::control::{ActiveControl, Moment};
use crate::nets::{NetMoment, Nets};
use crate::prompt::networks::Pass;

/// All that the UNet is given beside latents and noise level.
pub struct UnetCall<'a> {
    /// The network.
    pub unet: &'a UNet,
    /// Threads that take samples side by side.
    pub threads: &'a ThreadGroups,
    /// Where it is computed.
    pub device: &'a Device,
    /// What it is told.
    pub conditions: &'a Conditions,
    /// LoRAs.
    pub nets: &'a Nets,
    /// Which pass it is.
    pub pass: Pass,
    /// ControlNets with their pictures.
    pub control: &'a [ActiveControl],
    /// What an inpainting model is given beside latents: the mask and the masked picture's latents, [1, 5, H, W].
    pub masked: Option<Tensor<4>>,
    /// What is done about sides of unequal length, with the states of the empty prompt.
    pub padding: Option<Padding>,
}

/// How prompt and negative prompt are brought to one length.
pub struct Padding {
    /// The option.
    pub option: PadPrompts,
    /// The states of the empty prompt, [1, 77, D].
    pub empty: Tensor<3>,
}

/// What the UNet predicts, as it comes.
#[derive(Debug, Clone)]
pub struct Predictions {
    /// For each part of the prompt, [1, 4, H, W].
    pub parts: Vec<Tensor<4>>,
    /// For the negative prompt, unless it was left out, [1, 4, H, W].
    pub negative: Option<Tensor<4>>,
}

/// One sample of a call.
struct Sample {
    conditioning: Conditioning,
    /// Whether it is of the prompt.
    positive: bool,
}

impl UnetCall<'_> {
    /// The predictions for latents in the network's own terms.
    ///
    /// # Shapes
    /// - x: [1, 4, H, W]
    pub fn predict(&self, x: &Tensor<4>, timestep: f64, moment: Moment, with_negative: bool) -> Predictions {
        let samples = self.samples(moment.call, with_negative);
        let Moment { counter, steps, .. } = moment;
        let adapters = self.nets.unet_at(NetMoment { counter, steps, pass: self.pass });
        let one = |sample: &Sample| self.run(x, timestep as f32, moment, sample, &adapters);
        let mut outputs = Vec::with_capacity(samples.len());
        if self.threads.count() > 1 {
            for group in samples.chunks(self.threads.count()) {
                outputs.extend(self.threads.each(group, one));
            }
        } else {
            outputs.extend(samples.iter().map(one));
        }
        let negative = if with_negative { outputs.pop() } else { None };
        Predictions { parts: outputs, negative }
    }

    /// The parts of the prompt as they are at this call, then the negative prompt.
    fn samples(&self, call: usize, with_negative: bool) -> Vec<Sample> {
        let mut all: Vec<Conditioning> = Vec::new();
        for part in &self.conditions.parts {
            all.push(part.at_call(call).clone());
        }
        let contexts = repeat_last(all.iter().map(|own| own.context.clone()).collect());
        for (own, context) in all.iter_mut().zip(contexts) {
            own.context = context;
        }
        let mut negative = self.conditions.negative.at_call(call).clone();
        if let Some(Padding { option, empty }) = &self.padding {
            let cond = all[0].context.clone();
            for own in &mut all {
                let sides = Sides { cond: own.context.clone(), uncond: negative.context.clone() };
                own.context = option.pad(sides, empty).cond;
            }
            negative.context = option.pad(Sides { cond, uncond: negative.context.clone() }, empty).uncond;
        }
        let mut samples: Vec<Sample> =
            all.into_iter().map(|conditioning| Sample { conditioning, positive: true }).collect();
        if with_negative {
            samples.push(Sample { conditioning: negative, positive: false });
        }
        samples
    }

    fn run(&self, x: &Tensor<4>, timestep: f32, moment: Moment, sample: &Sample, adapters: &Adapters) -> Tensor<4> {
        let steering = self.steering(x, timestep, moment, sample);
        let input = match &self.masked {
            Some(masked) => Tensor::cat(vec![x.clone(), masked.clone()], 1),
            None => x.clone(),
        };
        self.unet.paint(input, &[timestep], sample.conditioning.clone(), adapters, steering.as_ref())
    }

    /// What all ControlNets that act at this moment add.
    fn steering(&self, x: &Tensor<4>, timestep: f32, moment: Moment, sample: &Sample) -> Option<Residuals> {
        let mut sum: Option<Residuals> = None;
        for control in self.control {
            let Some(residuals) = control.residuals(x, timestep, moment, &sample.conditioning, sample.positive) else {
                continue;
            };
            sum = Some(match sum {
                Some(sum) => sum.plus(residuals),
                None => residuals,
            });
        }
        sum
    }
}
