//! AdamW as torch.optim.AdamW computes it: Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (2019).
//!
//! Moments are f32; bias corrections are f64 and enter as f32 factors; `eps` is added after the corrected root. Not
//! here: AMSGrad, `maximize`, and 8-bit states.

use lorabake_recipe::optim::optimizer as settings;
use rayon::prelude::*;

use crate::memory::{Memory, PARALLEL_FROM, Slot};
use crate::{Error, Group, Optimizer, State, Trainable};

/// torch.optim.AdamW.
#[derive(Debug, Clone)]
pub struct AdamW {
    settings: settings::AdamW,
    memory: Memory<2>,
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
    pub fn new(settings: &settings::AdamW) -> Self {
        Self { settings: settings.clone(), memory: Memory::new(["exp_avg", "exp_avg_sq"]) }
    }
}

fn factors(own: &settings::AdamW, group: &Group, steps: u64) -> Factors {
    let (beta1, beta2) = own.betas;
    let steps = steps as f64;
    let correction1 = 1.0 - beta1.powf(steps);
    let correction2 = 1.0 - beta2.powf(steps);
    let weight_decay = group.weight_decay_or(own.weight_decay);
    Factors {
        decay: (1.0 - group.lr * weight_decay) as f32,
        one_minus_beta1: (1.0 - beta1) as f32,
        beta2: beta2 as f32,
        one_minus_beta2: (1.0 - beta2) as f32,
        correction2_sqrt: correction2.sqrt() as f32,
        eps: own.eps as f32,
        minus_step_size: (-(group.lr / correction1)) as f32,
    }
}

impl Optimizer for AdamW {
    fn step(&mut self, params: &mut [Trainable], groups: &[Group]) {
        let own = &self.settings;
        for group in groups {
            self.memory.walk(params, group, Slot::zeros_like, |turn| {
                turn.slot.steps += 1;
                let factors = factors(own, group, turn.slot.steps);
                let [exp_avg, exp_avg_sq] = &mut turn.slot.tensors;
                update(turn.value, turn.grad, exp_avg, exp_avg_sq, factors);
            });
        }
    }

    fn state(&self) -> State {
        let mut state = State::default();
        self.memory.save(&mut state);
        state
    }

    fn load_state(&mut self, mut state: State, shapes: &[&[usize]]) -> Result<(), Error> {
        let memory = self.memory.load_whole(&mut state, shapes)?;
        state.finish()?;
        self.memory = memory;
        Ok(())
    }
}

/// One pass over value, gradient and both moments; no sum crosses elements, so splitting it changes no bit.
fn update(value: &mut [f32], grad: &[f32], m: &mut [f32], v: &mut [f32], f: Factors) {
    assert_eq!(value.len(), m.len(), "value and optimizer state differ in length");
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

/// The arithmetic, in torch's order: decay, moments, denominator, step.
fn fused(value: &mut [f32], grad: &[f32], exp_avg: &mut [f32], exp_avg_sq: &mut [f32], f: Factors) {
    for (((p, &g), m), v) in value.iter_mut().zip(grad).zip(exp_avg).zip(exp_avg_sq) {
        *m += f.one_minus_beta1 * (g - *m);
        *v = *v * f.beta2 + f.one_minus_beta2 * g * g;
        let denominator = v.sqrt() / f.correction2_sqrt + f.eps;
        *p = *p * f.decay + f.minus_step_size * *m / denominator;
    }
}
