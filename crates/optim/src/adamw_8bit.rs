//! AdamW with 8-bit moments as bitsandbytes 0.50 computes it (`AdamW8bit`). Not here: paging, AMSGrad.

use lorabake_recipe::optim::optimizer as settings;

use crate::adaptive::{blend, blend_square};
use crate::blockwise::{Block, Kind, Moments, signed_map, unsigned_map};
use crate::{Error, Group, Optimizer, State, Trainable};

/// bitsandbytes.optim.AdamW8bit.
#[derive(Clone)]
pub struct AdamW8bit {
    settings: settings::AdamW8bit,
    moments: Moments<2>,
}

impl AdamW8bit {
    /// An optimizer without history.
    pub fn new(settings: &settings::AdamW8bit) -> Self {
        let kinds = [Kind { name: "exp_avg", map: signed_map() }, Kind { name: "exp_avg_sq", map: unsigned_map() }];
        Self { settings: settings.clone(), moments: Moments::new(kinds, settings.min_8bit_size) }
    }
}

/// One block. States in 32 bits, for which bitsandbytes writes the same formula in another order, go the same way.
fn update(own: &settings::AdamW8bit, block: Block<2>, lr: f64, decay: f64) {
    let (beta1, beta2) = own.betas;
    let steps = block.steps as f64;
    let correction1 = 1.0 - beta1.powf(steps);
    let correction2 = (1.0 - beta2.powf(steps)).sqrt();
    let [m, v] = block.moments;
    blend(m, beta1, block.grad, 1.0 - beta1);
    blend_square(v, beta2, block.grad, 1.0 - beta2);
    let shrink = (1.0 - lr * decay) as f32;
    let root = correction2 as f32;
    let eps = own.eps as f32;
    let step = (-lr / correction1) as f32;
    for ((p, m), v) in block.value.iter_mut().zip(m.iter()).zip(v.iter()) {
        *p = *p * shrink + step * m / (v.sqrt() / root + eps);
    }
}

impl Optimizer for AdamW8bit {
    fn step(&mut self, params: &mut [Trainable], groups: &[Group]) {
        let own = &self.settings;
        for group in groups {
            let decay = group.weight_decay_or(own.weight_decay);
            self.moments.walk(params, group, |block| update(own, block, group.lr, decay));
        }
    }

    fn state(&self) -> State {
        self.moments.save()
    }

    fn load_state(&mut self, state: State, shapes: &[&[usize]]) -> Result<(), Error> {
        self.moments.load(state, shapes)
    }
}
