//! What an optimizer remembers between steps, as named numbers that any file format can hold. Not a file format.

use std::collections::BTreeMap;

use crate::Error;

/// Named state of an optimizer. Entries of the trainable with index `i` end in `.i`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// Per-parameter tensors, flat.
    pub tensors: BTreeMap<String, Vec<f32>>,
    /// Step counts and other single numbers.
    pub scalars: BTreeMap<String, f64>,
}

impl State {
    /// Removes and returns a tensor that must be `len` long.
    pub(crate) fn take_tensor(&mut self, name: &str, len: usize) -> Result<Vec<f32>, Error> {
        let tensor = self.tensors.remove(name).ok_or_else(|| Error::StateMissing(name.to_owned()))?;
        if tensor.len() != len {
            return Err(Error::StateSize { name: name.to_owned(), found: tensor.len(), expected: len });
        }
        Ok(tensor)
    }

    /// Removes and returns a step count; 0 if there is none.
    pub(crate) fn take_steps(&mut self, name: &str) -> Result<u64, Error> {
        let value = self.scalars.remove(name).unwrap_or(0.0);
        // 2^53: beyond it f64 no longer holds every whole number.
        if value.fract() != 0.0 || !(0.0..9007199254740992.0).contains(&value) {
            return Err(Error::StateStep { name: name.to_owned(), value });
        }
        Ok(value as u64)
    }

    /// Error if anything was not taken.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self.tensors.into_keys().chain(self.scalars.into_keys()).next() {
            Some(name) => Err(Error::StateUnknown(name)),
            None => Ok(()),
        }
    }
}
