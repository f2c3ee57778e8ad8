//! SGD with Nesterov momentum as torch.optim.SGD computes it: Sutskever et al., "On the importance of initialization
//! and momentum in deep learning" (2013). Not here: dampening, plain momentum, 8-bit states.

use lorabake_recipe::optim::optimizer as settings;

use crate::adaptive::{blend, with_decay};
use crate::memory::{Memory, Slot};
use crate::{Error, Group, Optimizer, State, Trainable};

/// torch.optim.SGD with `nesterov=True`, as sd-scripts makes it for `SGDNesterov`.
#[derive(Debug, Clone)]
pub struct SGDNesterov {
    settings: settings::SGDNesterov,
    memory: Memory<1>,
}

impl SGDNesterov {
    /// An optimizer without history.
    pub fn new(settings: &settings::SGDNesterov) -> Self {
        Self { settings: settings.clone(), memory: Memory::new(["momentum_buffer"]) }
    }
}

impl Optimizer for SGDNesterov {
    fn step(&mut self, params: &mut [Trainable], groups: &[Group]) {
        let momentum = self.settings.momentum;
        for group in groups {
            let decay = group.weight_decay_or(self.settings.weight_decay);
            let minus_lr = -group.lr as f32;
            self.memory.walk(params, group, Slot::zeros_like, |turn| {
                turn.slot.steps += 1;
                let [buffer] = &mut turn.slot.tensors;
                let grad = with_decay(turn.grad, turn.value, decay);
                // The first buffer is the gradient itself: the zeros that it starts from add nothing.
                blend(buffer, momentum, &grad, 1.0);
                for ((p, g), b) in turn.value.iter_mut().zip(grad.iter()).zip(buffer.iter()) {
                    *p += minus_lr * (g + momentum as f32 * b);
                }
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
