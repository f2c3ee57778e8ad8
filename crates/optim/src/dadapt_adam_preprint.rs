//! D-Adapt Adam as its first version computed it, which sd-scripts uses for `DAdaptation`: the package dadaptation 3.2,
//! `experimental.DAdaptAdamPreprint`. Not here: bias correction (it has none), sharding.

use lorabake_recipe::optim::optimizer as settings;

use crate::adaptive::{blend, blend_square, l1, save_scalars, shared_rate, take_scalars, with_decay};
use crate::memory::{Memory, Slot, Turn};
use crate::{Error, Group, Optimizer, State, Trainable};

/// dadaptation.experimental.DAdaptAdamPreprint.
#[derive(Debug, Clone)]
pub struct DAdaptAdamPreprint {
    settings: settings::DAdaptAdamPreprint,
    /// The weighted sum of gradients and Adam's moments.
    memory: Memory<3>,
    d: f64,
    gsq_weighted: f64,
}

/// What one pass over the trainables adds up.
#[derive(Default)]
struct Sums {
    g_sq: f64,
    sksq_weighted: f64,
    sk_l1: f64,
}

impl DAdaptAdamPreprint {
    /// An optimizer without history.
    pub fn new(settings: &settings::DAdaptAdamPreprint) -> Self {
        let memory = Memory::new(["s", "exp_avg", "exp_avg_sq"]);
        Self { settings: settings.clone(), memory, d: settings.d0, gsq_weighted: 0.0 }
    }
}

/// First pass over one trainable.
fn observe(own: &settings::DAdaptAdamPreprint, turn: Turn<3>, decay: f64, dlr: f64) -> Sums {
    let (beta1, beta2) = own.betas;
    let eps = own.eps as f32;
    let grad = with_decay(turn.grad, turn.value, decay);
    let [s, exp_avg, exp_avg_sq] = &mut turn.slot.tensors;
    blend(exp_avg, beta1, &grad, dlr * (1.0 - beta1));
    blend_square(exp_avg_sq, beta2, &grad, 1.0 - beta2);
    blend(s, beta2, &grad, dlr * (1.0 - beta2));
    let mut sums = Sums { sk_l1: l1(s), ..Sums::default() };
    for ((g, s), v) in grad.iter().zip(s.iter()).zip(exp_avg_sq.iter()) {
        let denominator = v.sqrt() + eps;
        sums.g_sq += f64::from(g * g / denominator);
        sums.sksq_weighted += f64::from(s * s / denominator);
    }
    sums
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

impl Optimizer for DAdaptAdamPreprint {
    fn step(&mut self, params: &mut [Trainable], groups: &[Group]) {
        let lr = shared_rate(groups);
        let dlr = self.d * lr;
        let own = &self.settings;
        let mut total = Sums::default();
        for group in groups.iter() {
            let decay = if own.decouple { 0.0 } else { group.weight_decay_or(own.weight_decay) };
            let learns = group.lr > 0.0;
            let sums = self.memory.walk(params, group, Slot::zeros_like, |turn| {
                if learns { observe(own, turn, decay, dlr) } else { Sums::default() }
            });
            for sums in sums {
                total.g_sq += sums.g_sq;
                total.sksq_weighted += sums.sksq_weighted;
                total.sk_l1 += sums.sk_l1;
            }
        }
        // No gradient said anything, or the rate is 0 (the first step of a warmup).
        if total.sk_l1 == 0.0 {
            return;
        }
        let beta2 = own.betas.1;
        self.gsq_weighted = beta2 * self.gsq_weighted + total.g_sq * dlr.powi(2) * (1.0 - beta2);
        if lr > 0.0 {
            let d_hat = (total.sksq_weighted / (1.0 - beta2) - self.gsq_weighted) / total.sk_l1;
            self.d = self.d.max(d_hat.min(self.d * own.growth_rate));
        }
        for group in groups {
            let decays = own.decouple && group.lr > 0.0;
            let shrink = if decays { group.weight_decay_or(own.weight_decay) * dlr } else { 0.0 } as f32;
            self.memory.walk(params, group, Slot::zeros_like, |turn| advance(turn, shrink, own.eps as f32));
        }
    }

    fn d(&self) -> Option<f64> {
        Some(self.d)
    }

    fn state(&self) -> State {
        let mut state = State::default();
        self.memory.save(&mut state);
        save_scalars(&mut state, &[("d", self.d), ("gsq_weighted", self.gsq_weighted)]);
        state
    }

    fn load_state(&mut self, mut state: State, shapes: &[&[usize]]) -> Result<(), Error> {
        let memory = self.memory.load_whole(&mut state, shapes)?;
        let [d, gsq_weighted] = take_scalars(&mut state, ["d", "gsq_weighted"])?;
        state.finish()?;
        *self = Self { settings: self.settings.clone(), memory, d, gsq_weighted };
        Ok(())
    }
}
