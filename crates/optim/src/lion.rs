//! Lion as the package lion-pytorch computes it: Chen et al., "Symbolic Discovery of Optimization Algorithms" (2023).
//! Not here: 8-bit states.

use lorabake_recipe::optim::optimizer as settings;

use crate::adaptive::{blend, sign};
use crate::memory::{Memory, Slot};
use crate::{Error, Group, Optimizer, State, Trainable};

/// lion_pytorch.Lion.
#[derive(Debug, Clone)]
pub struct Lion {
    settings: settings::Lion,
    /// What weight decay is divided by: the first rate if decay is meant apart from it, else 1.
    decay_unit: f64,
    memory: Memory<1>,
}

impl Lion {
    /// An optimizer without history. `learning_rate` is the general one, by which `decoupled_weight_decay` divides.
    pub fn new(settings: &settings::Lion, learning_rate: f64) -> Self {
        let decay_unit = if settings.decoupled_weight_decay { learning_rate } else { 1.0 };
        Self { settings: settings.clone(), decay_unit, memory: Memory::new(["exp_avg"]) }
    }
}

impl Optimizer for Lion {
    fn step(&mut self, params: &mut [Trainable], groups: &[Group]) {
        let (beta1, beta2) = self.settings.betas;
        let keep = beta1 as f32;
        let add = (1.0 - beta1) as f32;
        for group in groups {
            let decay = group.weight_decay_or(self.settings.weight_decay) / self.decay_unit;
            let shrink = (1.0 - group.lr * decay) as f32;
            let minus_lr = -group.lr as f32;
            self.memory.walk(params, group, Slot::zeros_like, |turn| {
                turn.slot.steps += 1;
                let [exp_avg] = &mut turn.slot.tensors;
                for ((p, g), m) in turn.value.iter_mut().zip(turn.grad).zip(exp_avg.iter()) {
                    *p = *p * shrink + minus_lr * sign(m * keep + g * add);
                }
                blend(exp_avg, beta2, turn.grad, 1.0 - beta2);
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
