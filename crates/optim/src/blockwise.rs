//! 8-bit optimizer states as bitsandbytes 0.50 keeps them: Dettmers et al., "8-bit Optimizers via Block-wise
//! Quantization" (2021). Each block of 256 values has its largest magnitude and one code per value out of a map whose
//! steps grow with the size. The arithmetic is that of its CPU backend, which looks codes up in 65536 equal bins and so
//! may take the neighbour of the nearest code; its CUDA kernels take the nearest and keep the sign. No optimizer here.

use std::sync::LazyLock;

use rayon::prelude::*;

use crate::memory::PARALLEL_FROM;
use crate::{Error, Group, State, Trainable};

/// Values that share a scale.
pub(crate) const BLOCK: usize = 256;

/// Bins of the table from value to code.
const BINS: usize = 1 << 16;

/// What the 256 codes mean, in ascending order, and the code of each of 65536 bins from -1 to 1.
pub struct Code {
    /// Value of each code, -1 to 1.
    pub values: [f32; 256],
    bins: Vec<u8>,
}

static SIGNED: LazyLock<Code> = LazyLock::new(|| Code::dynamic(true));
static UNSIGNED: LazyLock<Code> = LazyLock::new(|| Code::dynamic(false));

/// bitsandbytes' dynamic map for values of both signs.
pub fn signed_map() -> &'static Code {
    &SIGNED
}

/// bitsandbytes' dynamic map for values that are not negative.
pub fn unsigned_map() -> &'static Code {
    &UNSIGNED
}

impl Code {
    /// Seven decades; each has twice as many steps as the one below it.
    fn dynamic(signed: bool) -> Self {
        let mut values = vec![0.0, 1.0];
        for i in 0..7 {
            let steps = (1usize << i) * if signed { 1 } else { 2 };
            let decade = 10f64.powi(i - 6) as f32;
            for step in 0..steps {
                let middle = (edge(step, steps) + edge(step + 1, steps)) / 2.0;
                values.push(decade * middle);
                if signed {
                    values.push(-decade * middle);
                }
            }
        }
        values.sort_by(f32::total_cmp);
        let values: [f32; 256] = values.try_into().expect("the decades have 254 steps together");
        let mut code = 0;
        let bins = (0..BINS).map(|bin| {
            let value = -1.0 + (2 * bin) as f32 / (BINS - 1) as f32;
            while code < 255 && 0.5 * (values[code] + values[code + 1]) < value {
                code += 1;
            }
            code as u8
        });
        let bins = bins.collect();
        Self { values, bins }
    }

    /// Codes of a block and its largest magnitude.
    fn encode(&self, block: &[f32], codes: &mut [u8]) -> f32 {
        let largest = block.iter().fold(0f32, |most, x| most.max(x.abs()));
        if largest == 0.0 {
            codes.fill(0);
            return 0.0;
        }
        let inverse = 1.0 / largest;
        for (code, x) in codes.iter_mut().zip(block) {
            let unit = (x * inverse).clamp(-1.0, 1.0);
            *code = self.bins[((unit + 1.0) * 0.5 * (BINS - 1) as f32 + 0.5) as usize];
        }
        largest
    }

    fn decode(&self, codes: &[u8], largest: f32, block: &mut [f32]) {
        block.iter_mut().zip(codes).for_each(|(x, code)| *x = self.values[usize::from(*code)] * largest);
    }
}

/// One of `steps + 1` equally spaced numbers from 0.1 to 1, as torch.linspace rounds them: from both ends inwards, each
/// with one rounding.
fn edge(index: usize, steps: usize) -> f32 {
    let step = f64::from((1.0f32 - 0.1) / steps as f32);
    let below = index < steps.div_ceil(2);
    let exact = if below { f64::from(0.1f32) + step * index as f64 } else { 1.0 - step * (steps - index) as f64 };
    exact as f32
}

/// One tensor of state.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Moment {
    /// Small tensors stay as they are.
    Whole(Vec<f32>),
    /// Codes, and the largest magnitude of each block.
    Coded { codes: Vec<u8>, largest: Vec<f32> },
}

impl Moment {
    fn zeros(len: usize, coded: bool) -> Self {
        match coded {
            false => Self::Whole(vec![0.0; len]),
            true => Self::Coded { codes: vec![0; len], largest: vec![0.0; len.div_ceil(BLOCK)] },
        }
    }

    /// The values of block `at`, `into.len()` of them.
    fn read(&self, map: &Code, at: usize, into: &mut [f32]) {
        let range = at * BLOCK..at * BLOCK + into.len();
        match self {
            Self::Whole(values) => into.copy_from_slice(&values[range]),
            Self::Coded { codes, largest } => map.decode(&codes[range], largest[at], into),
        }
    }

    fn write(&mut self, map: &Code, at: usize, block: &[f32]) {
        let range = at * BLOCK..at * BLOCK + block.len();
        match self {
            Self::Whole(values) => values[range].copy_from_slice(block),
            Self::Coded { codes, largest } => largest[at] = map.encode(block, &mut codes[range]),
        }
    }
}

/// One of the state tensors of an optimizer.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// Name in a saved state.
    pub(crate) name: &'static str,
    /// What the codes of its values mean.
    pub(crate) map: &'static Code,
}

/// The `N` state tensors of each trainable, those of large ones in 8 bits.
#[derive(Clone)]
pub(crate) struct Moments<const N: usize> {
    kinds: [Kind; N],
    /// Trainables with fewer values keep their state in 32 bits.
    min_coded: usize,
    slots: Vec<Option<Slot<N>>>,
}

#[derive(Clone)]
struct Slot<const N: usize> {
    steps: u64,
    moments: [Moment; N],
}

/// One block of a trainable at the moment of an update; the changed `moments` are kept.
pub(crate) struct Block<'a, const N: usize> {
    pub(crate) value: &'a mut [f32],
    pub(crate) grad: &'a [f32],
    pub(crate) moments: [&'a mut [f32]; N],
    /// Updates of this trainable, this one included.
    pub(crate) steps: u64,
}

impl<const N: usize> Moments<N> {
    pub(crate) fn new(kinds: [Kind; N], min_coded: u64) -> Self {
        Self { kinds, min_coded: min_coded as usize, slots: Vec::new() }
    }

    /// Runs `update` over all blocks of a group's trainables that have a gradient, several trainables at a time.
    pub(crate) fn walk(&mut self, params: &mut [Trainable], group: &Group, update: impl Fn(Block<N>) + Sync) {
        if self.slots.is_empty() {
            self.slots.resize_with(params.len(), || None);
        }
        assert_eq!(self.slots.len(), params.len(), "the list of trainables changed between steps");
        let kinds = &self.kinds;
        let min_coded = self.min_coded;
        let params = &mut params[group.range.clone()];
        let slots = &mut self.slots[group.range.clone()];
        let values: usize = params.iter().map(|param| param.value.len()).sum();
        let turn = |param: &mut Trainable, slot: &mut Option<Slot<N>>| {
            let Some(grad) = param.grad else { return };
            let len = param.value.len();
            assert_eq!(len, grad.len(), "value and gradient differ in length");
            let slot = slot.get_or_insert_with(|| Slot::zeros(len, len >= min_coded));
            slot.update(kinds, param.value, grad, &update);
        };
        if values < PARALLEL_FROM {
            params.iter_mut().zip(slots).for_each(|(param, slot)| turn(param, slot));
        } else {
            params.par_iter_mut().zip(slots).for_each(|(param, slot)| turn(param, slot));
        }
    }

    pub(crate) fn save(&self) -> State {
        let mut state = State::default();
        for (i, slot) in self.slots.iter().enumerate() {
            let Some(slot) = slot else { continue };
            state.scalars.insert(format!("step.{i}"), slot.steps as f64);
            for (Kind { name, .. }, moment) in self.kinds.iter().zip(&slot.moments) {
                match moment {
                    Moment::Whole(values) => {
                        state.tensors.insert(format!("{name}.{i}"), values.clone());
                    }
                    Moment::Coded { codes, largest } => {
                        state.bytes.insert(format!("{name}.{i}"), codes.clone());
                        state.tensors.insert(format!("{name}.absmax.{i}"), largest.clone());
                    }
                }
            }
        }
        state
    }

    pub(crate) fn load(&mut self, mut state: State, shapes: &[&[usize]]) -> Result<(), Error> {
        let mut slots = Vec::with_capacity(shapes.len());
        for (i, shape) in shapes.iter().enumerate() {
            let len: usize = shape.iter().product();
            let Some(steps) = state.take_steps(&format!("step.{i}"))? else {
                slots.push(None);
                continue;
            };
            let mut moments = std::array::from_fn(|_| Moment::zeros(0, false));
            for (Kind { name, .. }, moment) in self.kinds.iter().zip(&mut moments) {
                *moment = if len < self.min_coded {
                    Moment::Whole(state.take_tensor(&format!("{name}.{i}"), len)?)
                } else {
                    let codes = state.take_bytes(&format!("{name}.{i}"), len)?;
                    let largest = state.take_tensor(&format!("{name}.absmax.{i}"), len.div_ceil(BLOCK))?;
                    Moment::Coded { codes, largest }
                };
            }
            slots.push(Some(Slot { steps, moments }));
        }
        state.finish()?;
        self.slots = slots;
        Ok(())
    }
}

impl<const N: usize> Slot<N> {
    /// The state before the first update, in codes or in 32 bits.
    fn zeros(len: usize, coded: bool) -> Self {
        Self { steps: 0, moments: std::array::from_fn(|_| Moment::zeros(len, coded)) }
    }

    fn update(&mut self, kinds: &[Kind; N], value: &mut [f32], grad: &[f32], update: &impl Fn(Block<N>)) {
        self.steps += 1;
        let mut scratch = [[0f32; BLOCK]; N];
        for (at, (value, grad)) in value.chunks_mut(BLOCK).zip(grad.chunks(BLOCK)).enumerate() {
            let len = value.len();
            for ((buffer, moment), kind) in scratch.iter_mut().zip(&self.moments).zip(kinds) {
                moment.read(kind.map, at, &mut buffer[..len]);
            }
            let moments = scratch.each_mut().map(|buffer| &mut buffer[..len]);
            update(Block { value, grad, moments, steps: self.steps });
            for ((buffer, moment), kind) in scratch.iter().zip(&mut self.moments).zip(kinds) {
                moment.write(kind.map, at, &buffer[..len]);
            }
        }
    }
}
