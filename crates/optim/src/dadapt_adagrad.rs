//! D-Adapt AdaGrad as the package dadaptation 3.2 computes it for dense gradients: Defazio & Mishchenko,
//! "Learning-Rate-Free Learning by D-Adaptation" (2023). Not here: sparse gradients.

use lorabake_recipe::optim::optimizer as settings;

use crate::adaptive::{blend, l1, save_scalars, shared_rate, take_scalars, with_decay};
use crate::memory::{Memory, Slot, Turn};
use crate::{Error, Group, Optimizer, State, Trainable};

/// dadaptation.DAdaptAdaGrad.
#[derive(Debug, Clone)]
pub struct DAdaptAdaGrad {
    settings: settings::DAdaptAdaGrad,
    /// Sum of squared gradients, weighted sum of gradients, where the trainable started.
    memory: Memory<3>,
    d: f64,
    gsq_weighted: f64,
    sksq_weighted: f64,
    skl1: f64,
}

/// What one pass over the trainables adds up.
#[derive(Default)]
struct Sums {
    g_sq: f64,
    sksq_weighted: f64,
    skl1: f64,
}

impl DAdaptAdaGrad {
    /// An optimizer without history.
    pub fn new(settings: &settings::DAdaptAdaGrad) -> Self {
        let memory = Memory::new(["alphak", "sk", "x0"]);
        let d = settings.d0;
        Self { settings: settings.clone(), memory, d, gsq_weighted: 0.0, sksq_weighted: 0.0, skl1: 0.0 }
    }
}

fn first_slot(param: &Trainable) -> Slot<3> {
    let len = param.value.len();
    Slot { steps: 0, tensors: [vec![1e-6; len], vec![0.0; len], param.value.to_vec()] }
}

/// Σ x² / (√α + eps)
fn weighted_square(values: &[f32], alphak: &[f32], eps: f32) -> f64 {
    values.iter().zip(alphak).map(|(x, a)| f64::from(x * x / (a.sqrt() + eps))).sum()
}

/// First pass over one trainable.
fn observe(turn: Turn<3>, decay: f64, dlr: f64, eps: f32) -> Sums {
    let grad = with_decay(turn.grad, turn.value, decay);
    let [alphak, sk, _] = &mut turn.slot.tensors;
    let old_sksq = weighted_square(sk, alphak, eps);
    let old_skl1 = l1(sk);
    for (a, g) in alphak.iter_mut().zip(grad.iter()) {
        *a += g * g;
    }
    blend(sk, 1.0, &grad, dlr);
    Sums {
        g_sq: weighted_square(&grad, alphak, eps),
        sksq_weighted: weighted_square(sk, alphak, eps) - old_sksq,
        skl1: l1(sk) - old_skl1,
    }
}

/// Second pass over one trainable.
fn advance(turn: Turn<3>, momentum: f64, eps: f32) {
    turn.slot.steps += 1;
    let [alphak, sk, x0] = &turn.slot.tensors;
    let share = 1.0 - momentum;
    let keep = (1.0 - share) as f32;
    let add = share as f32;
    for (((p, a), s), x0) in turn.value.iter_mut().zip(alphak).zip(sk).zip(x0) {
        let z = x0 - s / (a.sqrt() + eps);
        *p = if momentum == 0.0 { z } else { *p * keep + add * z };
    }
}

impl Optimizer for DAdaptAdaGrad {
    fn step(&mut self, params: &mut [Trainable], groups: &[Group]) {
        let own = &self.settings;
        let lr = shared_rate(groups);
        let dlr = self.d * lr;
        let eps = own.eps as f32;
        let mut g_sq = 0.0;
        for group in groups.iter() {
            let decay = group.weight_decay_or(own.weight_decay);
            for sums in self.memory.walk(params, group, first_slot, |turn| observe(turn, decay, dlr, eps)) {
                g_sq += sums.g_sq;
                self.sksq_weighted += sums.sksq_weighted;
                self.skl1 += sums.skl1;
            }
        }
        // No gradient said anything yet, or the rate was 0 so far (the first step of a warmup).
        if self.skl1 == 0.0 {
            return;
        }
        self.gsq_weighted += dlr * dlr * g_sq;
        if lr > 0.0 {
            let d_hat = (self.sksq_weighted - self.gsq_weighted) / self.skl1;
            self.d = self.d.max(d_hat.min(self.d * own.growth_rate));
        }
        for group in groups {
            self.memory.walk(params, group, first_slot, |turn| advance(turn, own.momentum, eps));
        }
    }

    fn d(&self) -> Option<f64> {
        Some(self.d)
    }

    fn state(&self) -> State {
        let mut state = State::default();
        self.memory.save(&mut state);
        let sums = [("gsq_weighted", self.gsq_weighted), ("sksq_weighted", self.sksq_weighted), ("skl1", self.skl1)];
        save_scalars(&mut state, &[("d", self.d)]);
        save_scalars(&mut state, &sums);
        state
    }

    fn load_state(&mut self, mut state: State, shapes: &[&[usize]]) -> Result<(), Error> {
        let memory = self.memory.load_whole(&mut state, shapes)?;
        let names = ["d", "gsq_weighted", "sksq_weighted", "skl1"];
        let [d, gsq_weighted, sksq_weighted, skl1] = take_scalars(&mut state, names)?;
        state.finish()?;
        *self = Self { settings: self.settings.clone(), memory, d, gsq_weighted, sksq_weighted, skl1 };
        Ok(())
    }
}
