//! AdamW as torch.optim.AdamW computes it: Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (2019).
//!
//! Moments are f32; bias corrections are f64 and enter as f32 factors; `eps` is added after the corrected root. Not
//! here: AMSGrad, `maximize`, and 8-bit states.

use rayon::prelude::*;

use crate::{Error, Group, Optimizer, State, Trainable};

/// Below this many values in all, threads cost more than they save.
const PARALLEL_FROM: usize = 1 << 14;

/// torch.optim.AdamW.
#[derive(Debug, Clone)]
pub struct AdamW {
    betas: (f64, f64),
    eps: f64,
    weight_decay: f64,
    slots: Vec<Slot>,
}

/// State of one trainable. Every trainable counts its own steps, since one without a gradient is passed over.
#[derive(Debug, Clone, Default)]
struct Slot {
    steps: u64,
    exp_avg: Vec<f32>,
    exp_avg_sq: Vec<f32>,
}

/// The numbers of one update of one trainable, rounded to f32 where torch rounds them.
#[derive(Clone, Copy)]
struct Factors {
    decay: f32,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    correction2_sqrt: f32,
    eps: f32,
    minus_step_size: f32,
}

impl AdamW {
    /// An optimizer without history.
    pub fn new(betas: (f64, f64), eps: f64, weight_decay: f64) -> Self {
        Self { betas, eps, weight_decay, slots: Vec::new() }
    }

    fn factors(&self, group: &Group, steps: u64) -> Factors {
        let (beta1, beta2) = self.betas;
        let steps = steps as f64;
        let correction1 = 1.0 - beta1.powf(steps);
        let correction2 = 1.0 - beta2.powf(steps);
        let weight_decay = group.weight_decay.unwrap_or(self.weight_decay);
        Factors {
            decay: (1.0 - group.lr * weight_decay) as f32,
            one_minus_beta1: (1.0 - beta1) as f32,
            beta2: beta2 as f32,
            one_minus_beta2: (1.0 - beta2) as f32,
            correction2_sqrt: correction2.sqrt() as f32,
            eps: self.eps as f32,
            minus_step_size: (-(group.lr / correction1)) as f32,
        }
    }
}

impl Optimizer for AdamW {
    fn step(&mut self, params: &mut [Trainable], groups: &[Group]) {
        if self.slots.is_empty() {
            self.slots.resize_with(params.len(), Slot::default);
        }
        assert_eq!(self.slots.len(), params.len(), "the list of trainables changed between steps");
        for group in groups {
            let range = group.range.clone();
            let mut slots = std::mem::take(&mut self.slots);
            let update = |(param, slot): (&mut Trainable, &mut Slot)| {
                let Some(grad) = param.grad else { return };
                slot.steps += 1;
                slot.exp_avg.resize(grad.len(), 0.0);
                slot.exp_avg_sq.resize(grad.len(), 0.0);
                slot.update(param.value, grad, self.factors(group, slot.steps));
            };
            let (params, group_slots) = (&mut params[range.clone()], &mut slots[range]);
            if params.iter().map(|p| p.value.len()).sum::<usize>() < PARALLEL_FROM {
                params.iter_mut().zip(group_slots).for_each(update);
            } else {
                params.par_iter_mut().zip(group_slots).for_each(update);
            }
            self.slots = slots;
        }
    }

    fn state(&self) -> State {
        let mut state = State::default();
        for (i, slot) in self.slots.iter().enumerate().filter(|(_, slot)| slot.steps > 0) {
            state.scalars.insert(format!("step.{i}"), slot.steps as f64);
            state.tensors.insert(format!("exp_avg.{i}"), slot.exp_avg.clone());
            state.tensors.insert(format!("exp_avg_sq.{i}"), slot.exp_avg_sq.clone());
        }
        state
    }

    fn load_state(&mut self, mut state: State, sizes: &[usize]) -> Result<(), Error> {
        let mut slots = Vec::with_capacity(sizes.len());
        for (i, &len) in sizes.iter().enumerate() {
            let mut slot = Slot { steps: state.take_steps(&format!("step.{i}"))?, ..Slot::default() };
            if slot.steps > 0 {
                slot.exp_avg = state.take_tensor(&format!("exp_avg.{i}"), len)?;
                slot.exp_avg_sq = state.take_tensor(&format!("exp_avg_sq.{i}"), len)?;
            }
            slots.push(slot);
        }
        state.finish()?;
        self.slots = slots;
        Ok(())
    }
}

impl Slot {
    /// One pass over value, gradient and both moments; no sum crosses elements, so splitting it changes no bit.
    fn update(&mut self, value: &mut [f32], grad: &[f32], f: Factors) {
        assert_eq!(value.len(), grad.len(), "value and gradient differ in length");
        assert_eq!(value.len(), self.exp_avg.len(), "value and optimizer state differ in length");
        let (m, v) = (&mut self.exp_avg, &mut self.exp_avg_sq);
        if value.len() < PARALLEL_FROM {
            return fused(value, grad, m, v, f);
        }
        let states = m.par_chunks_mut(PARALLEL_FROM).zip(v.par_chunks_mut(PARALLEL_FROM));
        value
            .par_chunks_mut(PARALLEL_FROM)
            .zip(grad.par_chunks(PARALLEL_FROM))
            .zip(states)
            .for_each(|((value, grad), (m, v))| fused(value, grad, m, v, f));
    }
}

/// The arithmetic, in torch's order: decay, moments, denominator, step.
fn fused(value: &mut [f32], grad: &[f32], exp_avg: &mut [f32], exp_avg_sq: &mut [f32], f: Factors) {
    for (((p, &g), m), v) in value.iter_mut().zip(grad).zip(exp_avg).zip(exp_avg_sq) {
        *m += f.one_minus_beta1 * (g - *m);
        *v = *v * f.beta2 + f.one_minus_beta2 * g * g;
        let denominator = v.sqrt() / f.correction2_sqrt + f.eps;
        *p = *p * f.decay + f.minus_step_size * *m / denominator;
    }
}
