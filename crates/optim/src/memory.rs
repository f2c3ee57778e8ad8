//! What an optimizer keeps per trainable: a few f32 tensors under fixed names and a step count. Knows no arithmetic.

use rayon::prelude::*;

use crate::{Error, Group, State, Trainable};

/// Below this many values in all, threads cost more than they save.
pub(crate) const PARALLEL_FROM: usize = 1 << 14;

/// The slots of all trainables. `N` tensors each, saved as `NAME.INDEX`; one of length 0 is not in use.
#[derive(Debug, Clone)]
pub(crate) struct Memory<const N: usize> {
    names: [&'static str; N],
    slots: Vec<Option<Slot<N>>>,
}

/// What is kept of one trainable, from its first gradient on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slot<const N: usize> {
    /// Updates of this trainable. It has its own count, since one without a gradient is passed over.
    pub(crate) steps: u64,
    /// The tensors in the order of the names.
    pub(crate) tensors: [Vec<f32>; N],
}

/// One trainable that has a gradient, with its slot.
pub(crate) struct Turn<'a, const N: usize> {
    pub(crate) value: &'a mut [f32],
    pub(crate) shape: &'a [usize],
    pub(crate) grad: &'a [f32],
    pub(crate) slot: &'a mut Slot<N>,
}

impl<const N: usize> Slot<N> {
    /// Tensors of zeros as long as the trainable.
    pub(crate) fn zeros_like(param: &Trainable) -> Self {
        let len = param.value.len();
        Self { steps: 0, tensors: std::array::from_fn(|_| vec![0.0; len]) }
    }
}

impl<const N: usize> Memory<N> {
    pub(crate) fn new(names: [&'static str; N]) -> Self {
        Self { names, slots: Vec::new() }
    }

    /// Runs `visit` for each trainable of a group that has a gradient, several at a time; a first visit gets the slot
    /// that `first` makes of the trainable. Results in the order of the trainables, whatever the threads did.
    pub(crate) fn walk<R: Send>(
        &mut self,
        params: &mut [Trainable],
        group: &Group,
        first: impl Fn(&Trainable) -> Slot<N> + Sync,
        visit: impl Fn(Turn<N>) -> R + Sync,
    ) -> Vec<R> {
        if self.slots.is_empty() {
            self.slots.resize_with(params.len(), || None);
        }
        assert_eq!(self.slots.len(), params.len(), "the list of trainables changed between steps");
        let params = &mut params[group.range.clone()];
        let slots = &mut self.slots[group.range.clone()];
        let values: usize = params.iter().map(|param| param.value.len()).sum();
        let turn = |param: &mut Trainable, slot: &mut Option<Slot<N>>| {
            let grad = param.grad?;
            assert_eq!(param.value.len(), grad.len(), "value and gradient differ in length");
            let slot = slot.get_or_insert_with(|| first(param));
            Some(visit(Turn { value: param.value, shape: param.shape, grad, slot }))
        };
        let results: Vec<Option<R>> = if values < PARALLEL_FROM {
            params.iter_mut().zip(slots).map(|(param, slot)| turn(param, slot)).collect()
        } else {
            params.par_iter_mut().zip(slots).map(|(param, slot)| turn(param, slot)).collect()
        };
        results.into_iter().flatten().collect()
    }

    /// The slot of a trainable, if it ever had a gradient.
    pub(crate) fn slot(&self, index: usize) -> Option<&Slot<N>> {
        self.slots.get(index)?.as_ref()
    }

    pub(crate) fn save(&self, state: &mut State) {
        for (i, slot) in self.slots.iter().enumerate() {
            let Some(slot) = slot else { continue };
            state.scalars.insert(format!("step.{i}"), slot.steps as f64);
            for (name, tensor) in self.names.iter().zip(&slot.tensors).filter(|(_, tensor)| !tensor.is_empty()) {
                state.tensors.insert(format!("{name}.{i}"), tensor.clone());
            }
        }
    }

    /// Slots from a saved state; `lengths` gives those of a trainable's tensors.
    pub(crate) fn load(
        &self,
        state: &mut State,
        shapes: &[&[usize]],
        lengths: impl Fn(&[usize]) -> [usize; N],
    ) -> Result<Self, Error> {
        let mut slots = Vec::with_capacity(shapes.len());
        for (i, shape) in shapes.iter().enumerate() {
            let Some(steps) = state.take_steps(&format!("step.{i}"))? else {
                slots.push(None);
                continue;
            };
            let mut slot = Slot { steps, tensors: std::array::from_fn(|_| Vec::new()) };
            for ((name, len), tensor) in self.names.iter().zip(lengths(shape)).zip(&mut slot.tensors) {
                if len > 0 {
                    *tensor = state.take_tensor(&format!("{name}.{i}"), len)?;
                }
            }
            slots.push(Some(slot));
        }
        Ok(Self { names: self.names, slots })
    }

    /// [`Self::load`] where all tensors are as long as the trainable.
    pub(crate) fn load_whole(&self, state: &mut State, shapes: &[&[usize]]) -> Result<Self, Error> {
        self.load(state, shapes, |shape| [shape.iter().product(); N])
    }
}
