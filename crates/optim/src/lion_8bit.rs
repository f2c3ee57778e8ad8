//! Lion with 8-bit momentum as bitsandbytes 0.50 computes it (`Lion8bit`). Not here: paging.

use lorabake_recipe::optim::optimizer as settings;

use crate::adaptive::{blend, sign};
use crate::blockwise::{Kind, Moments, signed_map};
use crate::{Error, Group, Optimizer, State, Trainable};

/// bitsandbytes.optim.Lion8bit.
#[derive(Clone)]
pub struct Lion8bit {
    settings: settings::Lion8bit,
    moments: Moments<1>,
}

impl Lion8bit {
    /// An optimizer without history.
    pub fn new(settings: &settings::Lion8bit) -> Self {
        let kinds = [Kind { name: "exp_avg", map: signed_map() }];
        Self { settings: settings.clone(), moments: Moments::new(kinds, settings.min_8bit_size) }
    }
}

impl Optimizer for Lion8bit {
    fn step(&mut self, params: &mut [Trainable], groups: &[Group]) {
        let (beta1, beta2) = self.settings.betas;
        let keep = beta1 as f32;
        let add = (1.0 - beta1) as f32;
        for group in groups {
            let decay = group.weight_decay_or(self.settings.weight_decay);
            let shrink = (1.0 - group.lr * decay) as f32;
            let minus_lr = -group.lr as f32;
            self.moments.walk(params, group, |block| {
                let [m] = block.moments;
                for ((p, g), m) in block.value.iter_mut().zip(block.grad).zip(m.iter()) {
                    *p = *p * shrink + minus_lr * sign(m * keep + g * add);
                }
                blend(m, beta2, block.grad, 1.0 - beta2);
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
