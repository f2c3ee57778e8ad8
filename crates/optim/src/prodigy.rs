//! Prodigy as the package prodigyopt 1.1.2 computes it: Mishchenko & Defazio, "Prodigy: An Expeditiously Adaptive
//! Parameter-Free Learner" (2023). Not here: the variants Prodigy+ScheduleFree and 8-bit Prodigy, nor sharding.

use lorabake_recipe::optim::optimizer as settings;

use crate::adaptive::{DSums, blend, blend_square, l1, save_scalars, shared_rate, take_scalars, with_decay};
use crate::memory::{Memory, Slot, Turn};
use crate::{Error, Group, Optimizer, State, Trainable};

/// prodigyopt.Prodigy.
#[derive(Debug, Clone)]
pub struct Prodigy {
    settings: settings::Prodigy,
    /// Where the trainable started, the weighted sum of gradients (both sliced), and Adam's moments.
    memory: Memory<4>,
    d: f64,
    d_max: f64,
    d_numerator: f64,
    /// Updates so far.
    k: u64,
}

/// The numbers of one update.
struct Pace {
    lr: f64,
    d: f64,
    /// d · lr · bias correction
    dlr: f64,
    beta3: f64,
}

impl Prodigy {
    /// An optimizer without history.
    pub fn new(settings: &settings::Prodigy) -> Self {
        let d = settings.d0;
        let memory = Memory::new(["p0", "s", "exp_avg", "exp_avg_sq"]);
        Self { settings: settings.clone(), memory, d, d_max: d, d_numerator: 0.0, k: 0 }
    }

    fn pace(&self, groups: &[Group]) -> Pace {
        let own = &self.settings;
        let (beta1, beta2) = own.betas;
        let next = (self.k + 1) as f64;
        let mut correction = 1.0;
        if own.use_bias_correction {
            correction = (1.0 - beta2.powf(next)).sqrt() / (1.0 - beta1.powf(next));
        }
        let lr = shared_rate(groups);
        Pace { lr, d: self.d, dlr: self.d * lr * correction, beta3: own.beta3.unwrap_or(beta2.sqrt()) }
    }

    /// Moments and statistics of all groups: what they add to d's numerator, and its denominator.
    fn gather(&mut self, params: &mut [Trainable], groups: &[Group], pace: &Pace) -> DSums {
        let own = &self.settings;
        let mut total = DSums::default();
        for group in groups {
            let decay = if own.decouple { 0.0 } else { group.weight_decay_or(own.weight_decay) };
            let learns = group.lr > 0.0;
            let all = self.memory.walk(
                params,
                group,
                |param| first_slot(own, param),
                |turn| {
                    if learns { observe(own, turn, decay, pace) } else { DSums::default() }
                },
            );
            for sums in all {
                total += sums;
            }
        }
        total
    }
}

/// How many values of a trainable the statistics look at.
fn sliced(own: &settings::Prodigy, len: usize) -> usize {
    len.div_ceil(own.slice_p.max(1) as usize)
}

fn first_slot(own: &settings::Prodigy, param: &Trainable) -> Slot<4> {
    let len = param.value.len();
    let every = own.slice_p.max(1) as usize;
    let start = param.value.iter().step_by(every).copied().collect();
    let tensors = [start, vec![0.0; sliced(own, len)], vec![0.0; len], vec![0.0; len]];
    Slot { steps: 0, tensors }
}

/// First pass over one trainable.
fn observe(own: &settings::Prodigy, turn: Turn<4>, decay: f64, pace: &Pace) -> DSums {
    let (beta1, beta2) = own.betas;
    let every = own.slice_p.max(1) as usize;
    let grad = with_decay(turn.grad, turn.value, decay);
    let [p0, s, exp_avg, exp_avg_sq] = &mut turn.slot.tensors;
    let looked_at = grad.iter().zip(turn.value.iter()).step_by(every).zip(p0.iter());
    let dot: f64 = looked_at.map(|((g, p), p0)| f64::from(*g) * f64::from(p0 - p)).sum();
    let numerator = pace.d / own.d0 * pace.dlr * dot;
    blend(exp_avg, beta1, &grad, pace.d * (1.0 - beta1));
    blend_square(exp_avg_sq, beta2, &grad, pace.d * pace.d * (1.0 - beta2));
    let weight = pace.d / own.d0 * if own.safeguard_warmup { pace.d } else { pace.dlr };
    let keep = pace.beta3 as f32;
    let add = weight as f32;
    for (s, g) in s.iter_mut().zip(grad.iter().step_by(every)) {
        *s = *s * keep + g * add;
    }
    DSums { numerator, denominator: l1(s) }
}

/// Second pass over one trainable, with the new d.
fn advance(own: &settings::Prodigy, turn: Turn<4>, decay: f64, d: f64, dlr: f64) {
    turn.slot.steps += 1;
    let [_, _, exp_avg, exp_avg_sq] = &turn.slot.tensors;
    let coupled = if own.decouple { 0.0 } else { decay };
    let grad = with_decay(turn.grad, turn.value, coupled);
    let shrink = if own.decouple { (-decay * dlr) as f32 } else { 0.0 };
    let eps = (d * own.eps) as f32;
    let momentum = own.betas.0 > 0.0;
    let step = if momentum { -dlr as f32 } else { (-dlr * d) as f32 };
    let direction = if momentum { exp_avg } else { grad.as_ref() };
    for ((p, m), v) in turn.value.iter_mut().zip(direction).zip(exp_avg_sq) {
        *p += shrink * *p;
        *p += step * m / (v.sqrt() + eps);
    }
}

impl Optimizer for Prodigy {
    fn step(&mut self, params: &mut [Trainable], groups: &[Group]) {
        let pace = self.pace(groups);
        let sums = self.gather(params, groups, &pace);
        // No gradient said anything, or the rate is 0 (the first step of a warmup).
        if sums.denominator == 0.0 || pace.lr == 0.0 {
            return;
        }
        let own = &self.settings;
        self.d_numerator = self.d_numerator * pace.beta3 + sums.numerator;
        let d_hat = own.d_coef * self.d_numerator / sums.denominator;
        if self.d == own.d0 {
            self.d = self.d.max(d_hat);
        }
        self.d_max = self.d_max.max(d_hat);
        self.d = self.d_max.min(self.d * own.growth_rate);
        let d = self.d;
        for group in groups {
            let decay = group.weight_decay_or(own.weight_decay);
            self.memory.walk(
                params,
                group,
                |param| first_slot(own, param),
                |turn| advance(own, turn, decay, d, pace.dlr),
            );
        }
        self.k += 1;
    }

    fn d(&self) -> Option<f64> {
        Some(self.d)
    }

    fn state(&self) -> State {
        let mut state = State::default();
        self.memory.save(&mut state);
        let scalars = [("d", self.d), ("d_max", self.d_max), ("d_numerator", self.d_numerator), ("k", self.k as f64)];
        save_scalars(&mut state, &scalars);
        state
    }

    fn load_state(&mut self, mut state: State, shapes: &[&[usize]]) -> Result<(), Error> {
        let memory = self.memory.load(&mut state, shapes, |shape| {
            let len = shape.iter().product();
            [sliced(&self.settings, len), sliced(&self.settings, len), len, len]
        })?;
        let [d, d_max, d_numerator, k] = take_scalars(&mut state, ["d", "d_max", "d_numerator", "k"])?;
        state.finish()?;
        *self = Self { settings: self.settings.clone(), memory, d, d_max, d_numerator, k: k as u64 };
        Ok(())
    }
}
