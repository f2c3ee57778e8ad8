//! D-Adapt SGD as the package dadaptation 3.2 computes it: Defazio & Mishchenko, "Learning-Rate-Free Learning by
//! D-Adaptation" (2023). Not here: sharding. A first step at rate 0 (a warmup), which crashes there, waits here.

use lorabake_recipe::optim::optimizer as settings;

use crate::adaptive::{DSums, blend, save_scalars, shared_rate, take_scalars, with_decay};
use crate::memory::{Memory, Slot, Turn};
use crate::{Error, Group, Optimizer, State, Trainable};

/// dadaptation.DAdaptSGD.
#[derive(Debug, Clone)]
pub struct DAdaptSGD {
    settings: settings::DAdaptSGD,
    /// The weighted sum of gradients, and where the trainable started.
    memory: Memory<2>,
    d: f64,
    numerator: f64,
    /// Norm of the first gradients, by which all steps are divided; 0 = there was none yet.
    g0_norm: f64,
}

/// Σ x²
fn squares(values: &[f32]) -> f64 {
    values.iter().map(|x| f64::from(x * x)).sum()
}

impl DAdaptSGD {
    /// An optimizer without history.
    pub fn new(settings: &settings::DAdaptSGD) -> Self {
        let memory = Memory::new(["s", "x0"]);
        Self { settings: settings.clone(), memory, d: settings.d0, numerator: 0.0, g0_norm: 0.0 }
    }
}

fn first_slot(param: &Trainable) -> Slot<2> {
    Slot { steps: 0, tensors: [vec![0.0; param.value.len()], param.value.to_vec()] }
}

/// First pass over one trainable: what it adds to d's numerator, and to the square of its denominator.
fn observe(turn: Turn<2>, decay: f64, dlr: f64) -> DSums {
    let grad = with_decay(turn.grad, turn.value, decay);
    let [s, _] = &mut turn.slot.tensors;
    let dot: f64 = grad.iter().zip(s.iter()).map(|(g, s)| f64::from(*g) * f64::from(*s)).sum();
    blend(s, 1.0, &grad, dlr);
    DSums { numerator: dlr * dot, denominator: squares(s) }
}

/// Second pass over one trainable.
fn advance(turn: Turn<2>, momentum: f64) {
    turn.slot.steps += 1;
    let [s, x0] = &turn.slot.tensors;
    let share = 1.0 - momentum;
    let keep = (1.0 - share) as f32;
    let add = share as f32;
    for ((p, s), x0) in turn.value.iter_mut().zip(s).zip(x0) {
        *p = *p * keep + add * (x0 - s);
    }
}

impl Optimizer for DAdaptSGD {
    fn step(&mut self, params: &mut [Trainable], groups: &[Group]) {
        let own = &self.settings;
        let lr = shared_rate(groups);
        if self.g0_norm == 0.0 {
            let learning = groups.iter().filter(|group| group.lr > 0.0);
            let grads = learning.flat_map(|group| params[group.range.clone()].iter().filter_map(|param| param.grad));
            self.g0_norm = grads.map(squares).sum::<f64>().sqrt();
        }
        if lr == 0.0 || self.g0_norm == 0.0 {
            return;
        }
        let dlr = self.d * lr / self.g0_norm;
        let mut sk_sq = 0.0;
        for group in groups.iter() {
            let decay = group.weight_decay_or(own.weight_decay);
            let learns = group.lr > 0.0;
            let all = self.memory.walk(params, group, first_slot, |turn| {
                if learns { observe(turn, decay, dlr) } else { DSums::default() }
            });
            for sums in all {
                self.numerator += sums.numerator;
                sk_sq += sums.denominator;
            }
        }
        if sk_sq == 0.0 {
            return;
        }
        let d_hat = 2.0 * self.numerator / sk_sq.sqrt();
        self.d = self.d.max(d_hat.min(self.d * own.growth_rate));
        for group in groups {
            self.memory.walk(params, group, first_slot, |turn| advance(turn, own.momentum));
        }
    }

    fn d(&self) -> Option<f64> {
        Some(self.d)
    }

    fn state(&self) -> State {
        let mut state = State::default();
        self.memory.save(&mut state);
        let scalars = [("d", self.d), ("numerator_weighted", self.numerator), ("g0_norm", self.g0_norm)];
        save_scalars(&mut state, &scalars);
        state
    }

    fn load_state(&mut self, mut state: State, shapes: &[&[usize]]) -> Result<(), Error> {
        let memory = self.memory.load_whole(&mut state, shapes)?;
        let [d, numerator, g0_norm] = take_scalars(&mut state, ["d", "numerator_weighted", "g0_norm"])?;
        state.finish()?;
        *self = Self { settings: self.settings.clone(), memory, d, numerator, g0_norm };
        Ok(())
    }
}
