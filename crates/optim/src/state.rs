//! What an optimizer remembers between steps, as named numbers that any file format can hold. Not a file format.

use std::collections::BTreeMap;

use crate::Error;

/// Named state of an optimizer. Entries of the trainable with index `i` end in `.i`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// Per-parameter tensors, flat.
    pub tensors: BTreeMap<String, Vec<f32>>,
    /// Per-parameter tensors of 8-bit codes, flat.
    pub bytes: BTreeMap<String, Vec<u8>>,
    /// Step counts and other single numbers. To go on bit for bit, a file has to keep all 64 bits of them.
    pub scalars: BTreeMap<String, f64>,
}

impl State {
    /// This state for trainables in another order: what belonged to index `i` belongs to `index(i)`.
    pub fn renumbered(self, index: impl Fn(usize) -> usize) -> Self {
        Self {
            tensors: renumber(self.tensors, &index),
            bytes: renumber(self.bytes, &index),
            scalars: renumber(self.scalars, &index),
        }
    }

    /// Removes and returns a tensor that must be `len` long.
    pub(crate) fn take_tensor(&mut self, name: &str, len: usize) -> Result<Vec<f32>, Error> {
        sized(self.tensors.remove(name), name, len)
    }

    /// Removes and returns codes that must be `len` long.
    pub(crate) fn take_bytes(&mut self, name: &str, len: usize) -> Result<Vec<u8>, Error> {
        sized(self.bytes.remove(name), name, len)
    }

    /// Removes and returns a number.
    pub(crate) fn take_scalar(&mut self, name: &str) -> Result<f64, Error> {
        self.scalars.remove(name).ok_or_else(|| Error::StateMissing(name.to_owned()))
    }

    /// Removes and returns a step count, if there is one.
    pub(crate) fn take_steps(&mut self, name: &str) -> Result<Option<u64>, Error> {
        let Some(value) = self.scalars.remove(name) else { return Ok(None) };
        // 2^53: beyond it f64 no longer holds every whole number.
        if value.fract() != 0.0 || !(0.0..9007199254740992.0).contains(&value) {
            return Err(Error::StateStep { name: name.to_owned(), value });
        }
        Ok(Some(value as u64))
    }

    /// Error if anything was not taken.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let names = self.tensors.into_keys().chain(self.bytes.into_keys()).chain(self.scalars.into_keys());
        match names.into_iter().next() {
            Some(name) => Err(Error::StateUnknown(name)),
            None => Ok(()),
        }
    }
}

fn renumber<T>(entries: BTreeMap<String, T>, index: impl Fn(usize) -> usize) -> BTreeMap<String, T> {
    let mut renumbered = BTreeMap::new();
    for (name, value) in entries {
        let name = match split_index(&name) {
            Some((entry, old)) => format!("{entry}.{}", index(old)),
            None => name,
        };
        renumbered.insert(name, value);
    }
    renumbered
}

/// `exp_avg.3` as `exp_avg` and 3; `None` if the entry belongs to no single trainable.
fn split_index(name: &str) -> Option<(&str, usize)> {
    let (entry, index) = name.rsplit_once('.')?;
    Some((entry, index.parse().ok()?))
}

fn sized<T>(entry: Option<Vec<T>>, name: &str, expected: usize) -> Result<Vec<T>, Error> {
    let entry = entry.ok_or_else(|| Error::StateMissing(name.to_owned()))?;
    if entry.len() != expected {
        return Err(Error::StateSize { name: name.to_owned(), found: entry.len(), expected });
    }
    Ok(entry)
}
