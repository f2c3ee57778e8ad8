//! SGD with 8-bit momentum as bitsandbytes 0.50 computes it (`SGD8bit`), which sd-scripts uses for `SGDNesterov8bit`.
//! bitsandbytes takes `nesterov` and ignores it, so this is plain momentum, as there. Not here: dampening, likewise
//! ignored there.

use lorabake_recipe::optim::optimizer as settings;

use crate::adaptive::{blend, with_decay};
use crate::blockwise::{Kind, Moments, signed_map};
use crate::{Error, Group, Optimizer, State, Trainable};

/// bitsandbytes.optim.SGD8bit.
#[derive(Clone)]
pub struct SGDNesterov8bit {
    settings: settings::SGDNesterov8bit,
    moments: Moments<1>,
}

impl SGDNesterov8bit {
    /// An optimizer without history.
    pub fn new(settings: &settings::SGDNesterov8bit) -> Self {
        let kinds = [Kind { name: "momentum_buffer", map: signed_map() }];
        Self { settings: settings.clone(), moments: Moments::new(kinds, settings.min_8bit_size) }
    }
}

impl Optimizer for SGDNesterov8bit {
    fn step(&mut self, params: &mut [Trainable], groups: &[Group]) {
        let momentum = self.settings.momentum;
        for group in groups {
            let decay = group.weight_decay_or(self.settings.weight_decay);
            let minus_lr = -group.lr as f32;
            self.moments.walk(params, group, |block| {
                let [buffer] = block.moments;
                let grad = with_decay(block.grad, block.value, decay);
                // The first buffer is the gradient itself: the zeros that it starts from add nothing.
                blend(buffer, momentum, &grad, 1.0);
                for (p, b) in block.value.iter_mut().zip(buffer.iter()) {
                    *p += minus_lr * b;
                }
            });
        }
    }

    fn state(&self) -> State {
        self.moments.save()
    }

    fn load_state(&mut self, state: State, shapes: &[&[usize]]) -> Result<(), Error> {
        self.moments.load(state, shapes)
    }
}
