//! AdaFactor as transformers.optimization.Adafactor computes it: Shazeer & Stern, "Adafactor: Adaptive Learning Rates
//! with Sublinear Memory Cost" (2018). Not here: `AdafactorSchedule`, which only reads [`Optimizer::own_rates`].

use lorabake_recipe::optim::optimizer as settings;

use crate::memory::{Memory, Slot, Turn};
use crate::{Error, Group, Optimizer, State, Trainable};

/// transformers.optimization.Adafactor.
#[derive(Debug, Clone)]
pub struct Adafactor {
    settings: settings::AdaFactor,
    /// Second moments by row and column, or whole for vectors; first moment if there is a beta1; the last rate (one
    /// value).
    memory: Memory<5>,
}

/// Where the last rate stands among the tensors.
const RATE: usize = 4;

/// The numbers of one update of one group.
struct Pace<'a> {
    own: &'a settings::AdaFactor,
    lr: f64,
    decay: f64,
}

impl Adafactor {
    /// An optimizer without history.
    pub fn new(settings: &settings::AdaFactor) -> Self {
        let names = ["exp_avg_sq_row", "exp_avg_sq_col", "exp_avg_sq", "exp_avg", "rate"];
        Self { settings: settings.clone(), memory: Memory::new(names) }
    }
}

/// Lengths of the tensors kept of a trainable with these sides.
fn lengths(own: &settings::AdaFactor, shape: &[usize]) -> [usize; 5] {
    let len: usize = shape.iter().product();
    let first = if own.beta1.is_some() { len } else { 0 };
    match shape {
        [.., rows, columns] => [len / columns.max(&1), len / rows.max(&1), 0, first, 1],
        _ => [0, 0, len, first, 1],
    }
}

fn first_slot(own: &settings::AdaFactor, param: &Trainable) -> Slot<5> {
    assert_eq!(param.value.len(), param.shape.iter().product::<usize>(), "values do not fill the shape");
    Slot { steps: 0, tensors: lengths(own, param.shape).map(|len| vec![0.0; len]) }
}

/// √(mean of squares), which torch computes as a norm in f32.
fn rms(values: &[f32]) -> f32 {
    let squares: f64 = values.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    squares.sqrt() as f32 / (values.len() as f64).sqrt() as f32
}

/// Mean of `count` values, summed in f64.
fn mean<'a>(values: impl Iterator<Item = &'a f32>, count: usize) -> f32 {
    (values.map(|x| f64::from(*x)).sum::<f64>() / count as f64) as f32
}

/// Rate of this step: f32 as soon as the size of the trainable enters, as in torch.
fn rate(pace: &Pace, steps: u64, value: &[f32]) -> f64 {
    let own = pace.own;
    let steps = steps as f64;
    let relative = if own.relative_step {
        let least = if own.warmup_init { 1e-6 * steps } else { 1e-2 };
        f64::min(least, 1.0 / steps.sqrt())
    } else {
        pace.lr
    };
    if own.scale_parameter { f64::from(rms(value).max(own.eps.1 as f32) * relative as f32) } else { relative }
}

/// Second moments by row and column; the update, not yet scaled, replaces the squares in `update`.
fn factored(slot: &mut Slot<5>, grad: &[f32], shape: &[usize], beta2: f64, update: &mut [f32]) {
    let [.., rows, columns] = shape else { unreachable!("only matrices are factored") };
    let rows = *rows;
    let columns = *columns;
    let keep = beta2 as f32;
    let add = (1.0 - beta2) as f32;
    let [row, column, ..] = &mut slot.tensors;
    let matrices = update.chunks_mut(rows * columns).zip(grad.chunks(rows * columns));
    for ((squares, grad), (row, column)) in matrices.zip(row.chunks_mut(rows).zip(column.chunks_mut(columns))) {
        for (r, line) in row.iter_mut().zip(squares.chunks(columns)) {
            let mean = mean(line.iter(), columns);
            *r = *r * keep + mean * add;
        }
        for (i, c) in column.iter_mut().enumerate() {
            let mean = mean(squares.iter().skip(i).step_by(columns), rows);
            *c = *c * keep + mean * add;
        }
        let mean = mean(row.iter(), rows);
        for ((r, line), grads) in row.iter().zip(squares.chunks_mut(columns)).zip(grad.chunks(columns)) {
            let across = 1.0 / (r / mean).sqrt();
            for ((u, c), g) in line.iter_mut().zip(column.iter()).zip(grads) {
                *u = across * (1.0 / c.sqrt()) * g;
            }
        }
    }
}

/// Updates one trainable.
fn update(pace: &Pace, turn: Turn<5>) {
    let own = pace.own;
    turn.slot.steps += 1;
    let lr = rate(pace, turn.slot.steps, turn.value);
    turn.slot.tensors[RATE][0] = lr as f32;
    let beta2 = 1.0 - (turn.slot.steps as f64).powf(own.decay_rate);
    let floor = own.eps.0 as f32;
    let mut update: Vec<f32> = turn.grad.iter().map(|g| g * g + floor).collect();
    if turn.shape.len() >= 2 {
        factored(turn.slot, turn.grad, turn.shape, beta2, &mut update);
    } else {
        let keep = beta2 as f32;
        let add = (1.0 - beta2) as f32;
        let squares = &mut turn.slot.tensors[2];
        for ((u, v), g) in update.iter_mut().zip(squares).zip(turn.grad) {
            *v = *v * keep + *u * add;
            *u = 1.0 / v.sqrt() * g;
        }
    }
    let clip = (rms(&update) / own.clip_threshold as f32).max(1.0);
    for u in &mut update {
        *u = *u / clip * lr as f32;
    }
    if let Some(beta1) = own.beta1 {
        let keep = beta1 as f32;
        let add = (1.0 - beta1) as f32;
        for (u, m) in update.iter_mut().zip(&mut turn.slot.tensors[3]) {
            *m = *m * keep + *u * add;
            *u = *m;
        }
    }
    let shrink = (-pace.decay * lr) as f32;
    for (p, u) in turn.value.iter_mut().zip(&update) {
        *p += shrink * *p;
        *p -= u;
    }
}

impl Optimizer for Adafactor {
    fn step(&mut self, params: &mut [Trainable], groups: &[Group]) {
        let own = &self.settings;
        for group in groups {
            let pace = Pace { own, lr: group.lr, decay: group.weight_decay_or(own.weight_decay) };
            self.memory.walk(params, group, |param| first_slot(own, param), |turn| update(&pace, turn));
        }
    }

    fn own_rates(&self, groups: &[Group]) -> Option<Vec<f64>> {
        if !self.settings.relative_step {
            return None;
        }
        let mut rates = Vec::new();
        for group in groups {
            let slot = self.memory.slot(group.range.start)?;
            rates.push(f64::from(slot.tensors[RATE][0]));
        }
        Some(rates)
    }

    fn state(&self) -> State {
        let mut state = State::default();
        self.memory.save(&mut state);
        state
    }

    fn load_state(&mut self, mut state: State, shapes: &[&[usize]]) -> Result<(), Error> {
        let memory = self.memory.load(&mut state, shapes, |shape| lengths(&self.settings, shape))?;
        state.finish()?;
        self.memory = memory;
        Ok(())
    }
}
