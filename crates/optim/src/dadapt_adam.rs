//! D-Adapt Adam as the package dadaptation 3.2 computes it: Defazio & Mishchenko, "Learning-Rate-Free Learning by
//! D-Adaptation" (2023). Not here: the preprint's version of it ([`crate::dadapt_adam_preprint`]), layer scales,
//! sharding.

use lorabake_recipe::optim::optimizer as settings;

use crate::adaptive::{DSums, blend, blend_square, l1, save_scalars, shared_rate, take_scalars, with_decay};
use crate::memory::{Memory, Slot, Turn};
use crate::{Error, Group, Optimizer, State, Trainable};

/// dadaptation.DAdaptAdam.
#[derive(Debug, Clone)]
pub struct DAdaptAdam {
    settings: settings::DAdaptAdam,
    /// The weighted sum of gradients and Adam's moments.
    memory: Memory<3>,
    d: f64,
    numerator: f64,
    /// Updates so far.
    k: u64,
}

impl DAdaptAdam {
    /// An optimizer without history.
    pub fn new(settings: &settings::DAdaptAdam) -> Self {
        let memory = Memory::new(["s", "exp_avg", "exp_avg_sq"]);
        Self { settings: settings.clone(), memory, d: settings.d0, numerator: 0.0, k: 0 }
    }

    /// d · lr · bias correction
    fn dlr(&self, lr: f64) -> f64 {
        let (beta1, beta2) = self.settings.betas;
        let next = (self.k + 1) as f64;
        let correction = if self.settings.use_bias_correction {
            (1.0 - beta2.powf(next)).sqrt() / (1.0 - beta1.powf(next))
        } else {
            1.0
        };
        self.d * lr * correction
    }
}

/// First pass over one trainable: what it adds to d's numerator, and to its denominator.
fn observe(own: &settings::DAdaptAdam, turn: Turn<3>, decay: f64, dlr: f64) -> DSums {
    let (beta1, beta2) = own.betas;
    let sqrt_beta2 = beta2.sqrt();
    let eps = own.eps as f32;
    let grad = with_decay(turn.grad, turn.value, decay);
    let [s, exp_avg, exp_avg_sq] = &mut turn.slot.tensors;
    let terms = grad.iter().zip(s.iter()).zip(exp_avg_sq.iter());
    let dot: f64 = terms.map(|((g, s), v)| f64::from(*g) * f64::from(s / (v.sqrt() + eps))).sum();
    blend(exp_avg, beta1, &grad, dlr * (1.0 - beta1));
    blend_square(exp_avg_sq, beta2, &grad, 1.0 - beta2);
    blend(s, sqrt_beta2, &grad, dlr * (1.0 - sqrt_beta2));
    DSums { numerator: dlr * dot, denominator: l1(s) }
}

/// Second pass over one trainable. `shrink` is what decoupled decay takes off.
fn advance(turn: Turn<3>, shrink: f32, eps: f32) {
    turn.slot.steps += 1;
    let [_, exp_avg, exp_avg_sq] = &turn.slot.tensors;
    for ((p, m), v) in turn.value.iter_mut().zip(exp_avg).zip(exp_avg_sq) {
        *p -= shrink * *p;
        *p -= m / (v.sqrt() + eps);
    }
}

impl Optimizer for DAdaptAdam {
    fn step(&mut self, params: &mut [Trainable], groups: &[Group]) {
        let lr = shared_rate(groups);
        let dlr = self.dlr(lr);
        let own = &self.settings;
        let mut total = DSums::default();
        for group in groups.iter() {
            let decay = if own.decouple { 0.0 } else { group.weight_decay_or(own.weight_decay) };
            let learns = group.lr > 0.0;
            let all = self.memory.walk(params, group, Slot::zeros_like, |turn| {
                if learns { observe(own, turn, decay, dlr) } else { DSums::default() }
            });
            for sums in all {
                total += sums;
            }
        }
        // No gradient said anything, or the rate is 0 (the first step of a warmup).
        if total.denominator == 0.0 {
            return;
        }
        let sqrt_beta2 = own.betas.1.sqrt();
        self.numerator = sqrt_beta2 * self.numerator + (1.0 - sqrt_beta2) * total.numerator;
        if lr > 0.0 {
            let d_hat = self.numerator / ((1.0 - sqrt_beta2) * total.denominator);
            self.d = self.d.max(d_hat.min(self.d * own.growth_rate));
        }
        for group in groups {
            let shrink = if own.decouple { group.weight_decay_or(own.weight_decay) * dlr } else { 0.0 } as f32;
            self.memory.walk(params, group, Slot::zeros_like, |turn| advance(turn, shrink, own.eps as f32));
        }
        self.k += 1;
    }

    fn d(&self) -> Option<f64> {
        Some(self.d)
    }

    fn state(&self) -> State {
        let mut state = State::default();
        self.memory.save(&mut state);
        let numerator = ("numerator_weighted", self.numerator);
        save_scalars(&mut state, &[("d", self.d), numerator, ("k", self.k as f64)]);
        state
    }

    fn load_state(&mut self, mut state: State, shapes: &[&[usize]]) -> Result<(), Error> {
        let memory = self.memory.load_whole(&mut state, shapes)?;
        let [d, numerator, k] = take_scalars(&mut state, ["d", "numerator_weighted", "k"])?;
        state.finish()?;
        *self = Self { settings: self.settings.clone(), memory, d, numerator, k: k as u64 };
        Ok(())
    }
}
