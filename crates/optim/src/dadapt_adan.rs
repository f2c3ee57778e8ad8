//! D-Adapt Adan as the package dadaptation 3.2 computes it: Defazio & Mishchenko, "Learning-Rate-Free Learning by
//! D-Adaptation" (2023), over Xie et al., "Adan: Adaptive Nesterov Momentum Algorithm" (2022). Not here: Adan's
//! restart.

use lorabake_recipe::optim::optimizer as settings;

use crate::adaptive::{blend, blend_square, l1, save_scalars, shared_rate, take_scalars};
use crate::memory::{Memory, Slot, Turn};
use crate::{Error, Group, Optimizer, State, Trainable};

/// dadaptation.DAdaptAdan.
#[derive(Debug, Clone)]
pub struct DAdaptAdan {
    settings: settings::DAdaptAdan,
    /// The weighted sum of gradients; moments of the gradient, of its change and of their square; the last gradient.
    memory: Memory<5>,
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

impl DAdaptAdan {
    /// An optimizer without history.
    pub fn new(settings: &settings::DAdaptAdan) -> Self {
        let memory = Memory::new(["s", "exp_avg", "exp_avg_diff", "exp_avg_sq", "pre_grad"]);
        Self { settings: settings.clone(), memory, d: settings.d0, gsq_weighted: 0.0 }
    }
}

/// First pass over one trainable.
fn observe(own: &settings::DAdaptAdan, turn: Turn<5>, dlr: f64) -> Sums {
    let (beta1, beta2, beta3) = own.betas;
    let grad = turn.grad;
    let eps = own.eps as f32;
    let [s, exp_avg, exp_avg_diff, exp_avg_sq, pre_grad] = &mut turn.slot.tensors;
    if turn.slot.steps == 0 {
        pre_grad.copy_from_slice(grad);
    }
    let change: Vec<f32> = grad.iter().zip(pre_grad.iter()).map(|(g, before)| g - before).collect();
    let update: Vec<f32> = grad.iter().zip(&change).map(|(g, change)| g + beta2 as f32 * change).collect();
    blend(exp_avg, beta1, grad, dlr * (1.0 - beta1));
    blend(exp_avg_diff, beta2, &change, dlr * (1.0 - beta2));
    blend_square(exp_avg_sq, beta3, &update, 1.0 - beta3);
    blend(s, beta3, grad, dlr * (1.0 - beta3));
    let mut sums = Sums { sk_l1: l1(s), ..Sums::default() };
    for ((g, s), v) in grad.iter().zip(s.iter()).zip(exp_avg_sq.iter()) {
        let denominator = v.sqrt() + eps;
        sums.g_sq += f64::from(g * g / denominator);
        sums.sksq_weighted += f64::from(s * s / denominator);
    }
    sums
}

/// Second pass over one trainable.
fn advance(own: &settings::DAdaptAdan, turn: Turn<5>, decay: f64, dlr: f64) {
    turn.slot.steps += 1;
    let beta2 = own.betas.1 as f32;
    let eps = own.eps as f32;
    let [_, exp_avg, exp_avg_diff, exp_avg_sq, pre_grad] = &mut turn.slot.tensors;
    let before = (1.0 - dlr * decay) as f32;
    let after = (1.0 + dlr * decay) as f32;
    for (((p, m), diff), v) in turn.value.iter_mut().zip(exp_avg).zip(exp_avg_diff).zip(exp_avg_sq) {
        let update = (*m + beta2 * *diff) / (v.sqrt() + eps);
        *p = if own.no_prox { *p * before - update } else { (*p - update) / after };
    }
    pre_grad.copy_from_slice(turn.grad);
}

impl Optimizer for DAdaptAdan {
    fn step(&mut self, params: &mut [Trainable], groups: &[Group]) {
        let own = &self.settings;
        let lr = shared_rate(groups);
        let dlr = self.d * lr;
        let mut total = Sums::default();
        for group in groups.iter() {
            for sums in self.memory.walk(params, group, Slot::zeros_like, |turn| observe(own, turn, dlr)) {
                total.g_sq += sums.g_sq;
                total.sksq_weighted += sums.sksq_weighted;
                total.sk_l1 += sums.sk_l1;
            }
        }
        // No gradient said anything, or the rate is 0 (the first step of a warmup).
        if total.sk_l1 == 0.0 {
            return;
        }
        let beta3 = own.betas.2;
        self.gsq_weighted = beta3 * self.gsq_weighted + total.g_sq * dlr.powi(2) * (1.0 - beta3);
        if lr > 0.0 {
            let d_hat = (total.sksq_weighted / (1.0 - beta3) - self.gsq_weighted) / total.sk_l1;
            self.d = self.d.max(d_hat.min(self.d * own.growth_rate));
        }
        for group in groups {
            let decay = group.weight_decay_or(own.weight_decay);
            self.memory.walk(params, group, Slot::zeros_like, |turn| advance(own, turn, decay, dlr));
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
