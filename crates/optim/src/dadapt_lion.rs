//! D-Adapt Lion as the package dadaptation 3.2 computes it: D-Adaptation (Defazio & Mishchenko, 2023) over Lion (Chen
//! et al., 2023). It steps with the d of the step before. Not here: a growth limit (it has none), sharding.

use lorabake_recipe::optim::optimizer as settings;

use crate::adaptive::{DSums, blend, l1, save_scalars, shared_rate, sign, take_scalars};
use crate::memory::{Memory, Slot, Turn};
use crate::{Error, Group, Optimizer, State, Trainable};

/// dadaptation.DAdaptLion.
#[derive(Debug, Clone)]
pub struct DAdaptLion {
    settings: settings::DAdaptLion,
    /// Momentum, and the weighted sum of updates.
    memory: Memory<2>,
    d: f64,
    numerator: f64,
}

impl DAdaptLion {
    /// An optimizer without history.
    pub fn new(settings: &settings::DAdaptLion) -> Self {
        let memory = Memory::new(["exp_avg", "s"]);
        Self { settings: settings.clone(), memory, d: settings.d0, numerator: 0.0 }
    }
}

/// Updates one trainable; what it adds to d's numerator, and to its denominator.
fn update(own: &settings::DAdaptLion, turn: Turn<2>, decay: f64, dlr: f64) -> DSums {
    turn.slot.steps += 1;
    let (beta1, beta2) = own.betas;
    let sqrt_beta2 = beta2.sqrt();
    let keep = beta1 as f32;
    let add = (1.0 - beta1) as f32;
    let [exp_avg, s] = &mut turn.slot.tensors;
    let update: Vec<f32> = exp_avg.iter().zip(turn.grad).map(|(m, g)| sign(m * keep + g * add)).collect();
    let shrink = (1.0 - dlr * decay) as f32;
    let minus_dlr = -dlr as f32;
    for (p, u) in turn.value.iter_mut().zip(&update) {
        *p = *p * shrink + minus_dlr * u;
    }
    blend(exp_avg, beta2, turn.grad, (1.0 - beta2) * dlr);
    let dot: f64 = update.iter().zip(s.iter()).map(|(u, s)| f64::from(*u) * f64::from(*s)).sum();
    blend(s, sqrt_beta2, &update, (1.0 - sqrt_beta2) * dlr);
    DSums { numerator: dlr * dot, denominator: l1(s) }
}

impl Optimizer for DAdaptLion {
    fn step(&mut self, params: &mut [Trainable], groups: &[Group]) {
        let own = &self.settings;
        let lr = shared_rate(groups);
        let dlr = self.d * lr;
        let mut total = DSums::default();
        for group in groups {
            let decay = group.weight_decay_or(own.weight_decay);
            for sums in self.memory.walk(params, group, Slot::zeros_like, |turn| update(own, turn, decay, dlr)) {
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
            self.d = self.d.max(self.numerator / ((1.0 - sqrt_beta2) * total.denominator));
        }
    }

    fn d(&self) -> Option<f64> {
        Some(self.d)
    }

    fn state(&self) -> State {
        let mut state = State::default();
        self.memory.save(&mut state);
        save_scalars(&mut state, &[("d", self.d), ("numerator_weighted", self.numerator)]);
        state
    }

    fn load_state(&mut self, mut state: State, shapes: &[&[usize]]) -> Result<(), Error> {
        let memory = self.memory.load_whole(&mut state, shapes)?;
        let [d, numerator] = take_scalars(&mut state, ["d", "numerator_weighted"])?;
        state.finish()?;
        *self = Self { settings: self.settings.clone(), memory, d, numerator };
        Ok(())
    }
}
