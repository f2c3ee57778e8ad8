//! Strict reading of one network from a checkpoint, by diffusers names.
//!
//! Whoever builds the network asks for every tensor that it needs; problems are collected, not thrown one at a time,
//! and [`Loader::finish`] reports them all together with the tensors that nobody asked for. No network is known here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lorabake_recipe::model::Family;

use crate::keys::{self, Part, text};
use crate::tensors::Tensors;
use crate::{Checkpoint, Error};

/// How many names of each kind a message shows.
const SHOWN: usize = 8;

/// Hands out the tensors of one part and remembers what did not fit.
#[derive(Debug)]
pub struct Loader<'c> {
    checkpoint: &'c Checkpoint,
    part: Part,
    /// Diffusers name → key in the file.
    keys: BTreeMap<String, &'c str>,
    /// Keys in the file that nobody has asked for yet.
    unused: BTreeSet<&'c str>,
    missing: Vec<String>,
    misfits: Vec<String>,
}

/// A tensor of a checkpoint that is read when it is wanted.
#[derive(Debug, Clone)]
pub struct DeferredTensor {
    tensors: Arc<Tensors>,
    /// Key in the file, and which third of its rows if files join three of its kind; `None` if it does not fit.
    place: Option<(String, Option<usize>)>,
    values: usize,
}

impl DeferredTensor {
    /// Its values, row-major; zeros for one that does not fit, of which [`Loader::finish`] tells.
    ///
    /// # Errors
    /// When the file no longer has them, or holds them damaged.
    pub fn read(&self) -> Result<Vec<f32>, Error> {
        let Some((key, third)) = &self.place else { return Ok(vec![0.0; self.values]) };
        let values = self.tensors.read_f32(key)?;
        Ok(match third {
            Some(third) => values[third * values.len() / 3..(third + 1) * values.len() / 3].to_vec(),
            None => values,
        })
    }
}

impl<'c> Loader<'c> {
    /// A loader for one part of `checkpoint`.
    pub fn new(checkpoint: &'c Checkpoint, part: Part) -> Self {
        let names: Vec<&str> = checkpoint.names().iter().map(String::as_str).collect();
        let mut keys = BTreeMap::new();
        let mut unused = BTreeSet::new();
        for (key, name) in keys::diffusers_names(part, &names) {
            if keys::is_harmless(key) {
                continue;
            }
            unused.insert(key);
            if let Some(name) = name {
                keys.entry(name).or_insert(key);
            }
        }
        Self { checkpoint, part, keys, unused, missing: Vec::new(), misfits: Vec::new() }
    }

    /// The family of the checkpoint.
    pub fn family(&self) -> Family {
        self.checkpoint.family()
    }

    /// All diffusers names that this part has in the file, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// The shape that a tensor has in the file, by its diffusers name; for inferring sizes. Does not count as use.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let (key, third) = self.find(name)?;
        let mut shape = self.checkpoint.shape(key)?.to_vec();
        if third.is_some() {
            *shape.first_mut()? /= 3;
        }
        Some(shape)
    }

    /// The key in the file of a tensor, and which third of its rows it is, if files join three of its kind.
    fn find(&self, name: &str) -> Option<(&'c str, Option<usize>)> {
        if let Some(key) = self.keys.get(name) {
            return Some((key, None));
        }
        let (fused, third) = text::joined(name)?;
        Some((self.keys.get(&fused)?, Some(third)))
    }

    /// Tensors whose diffusers name begins with `start` need not be asked for: no use is made of them.
    pub fn leave(&mut self, start: &str) {
        for (name, key) in &self.keys {
            if name.starts_with(start) {
                self.unused.remove(key);
            }
        }
    }

    /// The values (row-major) of the tensor with this diffusers name. When it is missing or of another shape than
    /// `expected`, zeros are returned (nothing, for a shape beyond all reason) and the problem is kept for
    /// [`Loader::finish`]. A 1×1 convolution and a matrix of the same numbers count as the same shape.
    pub fn take(&mut self, name: &str, expected: &[usize]) -> Vec<f32> {
        let tensor = self.deferred(name, expected);
        tensor.read().unwrap_or_else(|error| {
            self.misfits.push(error.to_string());
            vec![0.0; tensor.values]
        })
    }

    /// The same tensor, to be read when it is wanted. What can be told without reading is checked now.
    pub fn deferred(&mut self, name: &str, expected: &[usize]) -> DeferredTensor {
        let tensors = self.checkpoint.tensors();
        let mut deferred = DeferredTensor { tensors: tensors.clone(), place: None, values: values_of(expected) };
        let Some((key, third)) = self.find(name) else {
            self.missing.push(name.to_string());
            return deferred;
        };
        self.unused.remove(key);
        let found = self.checkpoint.shape(key).unwrap_or_default();
        let mut expected = expected.to_vec();
        if third.is_some() {
            expected[0] *= 3;
        }
        if without_kernel(found) != without_kernel(&expected) {
            self.misfits.push(format!("{key} (expected {expected:?}, found {found:?})"));
        } else if let Err(error) = tensors.check_numbers(key) {
            self.misfits.push(error.to_string());
        } else {
            deferred.place = Some((key.to_string(), third));
        }
        deferred
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When a tensor was missing or did not fit, or when the file has tensors of this part that nobody asked for.
    pub fn finish(self) -> Result<(), Error> {
        let missing: Vec<String> = self.missing.iter().map(|name| self.name_in_file(name)).collect();
        let extra: Vec<String> = self.unused.iter().map(ToString::to_string).collect();
        let problems: Vec<String> =
            [("missing", missing), ("of another shape or type", self.misfits), ("unknown", extra)]
                .into_iter()
                .filter_map(|(what, names): (&str, Vec<String>)| list(what, &names))
                .collect();
        if problems.is_empty() {
            return Ok(());
        }
        let file = self.checkpoint.label_of(self.part).to_string();
        Err(Error::Unfit { file, part: self.part.name(), problems: problems.join("; ") })
    }

    /// The name that a missing tensor would have in the file, or its diffusers name if the file has no place for it.
    fn name_in_file(&self, name: &str) -> String {
        let all: Vec<&str> = self.checkpoint.names().iter().map(String::as_str).collect();
        keys::file_key(self.part, name, &all).unwrap_or_else(|| name.to_string())
    }
}

/// Number of values of a shape; 0 for one that no real network has, since sizes come from the file and must not decide
/// how much memory is taken for nothing.
fn values_of(shape: &[usize]) -> usize {
    const MOST: usize = 1 << 28;
    let values = shape.iter().try_fold(1, |values: usize, axis| values.checked_mul(*axis));
    values.filter(|values| *values <= MOST).unwrap_or(0)
}

/// Drops the two ones of a 1×1 kernel.
fn without_kernel(shape: &[usize]) -> &[usize] {
    match shape {
        [channels @ .., 1, 1] if channels.len() == 2 => channels,
        _ => shape,
    }
}

fn list(what: &str, names: &[String]) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let shown = names[..names.len().min(SHOWN)].join(", ");
    let more = if names.len() > SHOWN { format!(", and {} more", names.len() - SHOWN) } else { String::new() };
    Some(format!("{} tensors {what}: {shown}{more}", names.len()))
}
