//! Strict reading of one network from a checkpoint, by diffusers names.
//!
//! Whoever builds the network asks for every tensor that it needs; problems are collected, not thrown one at a time,
//! and [`Loader::finish`] reports them all together with the tensors that nobody asked for. No network is known here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lorabake_recipe::model::Family;

use crate::formats::tensor_file::Values;
use crate::keys::{self, Part, text};
use crate::tensors::Tensors;
use crate::{Checkpoint, Error};

/// How many names of each kind a message shows.
const SHOWN: usize = 8;

/// A network in a file, for its loader.
#[derive(Debug)]
pub(crate) struct Network<'c> {
    /// The tensors of the file, and maybe others.
    pub tensors: &'c Arc<Tensors>,
    /// The path of the file, for messages.
    pub label: &'c str,
    /// What it is.
    pub kind: Kind,
    /// The family of the model that it is of, or stands beside.
    pub family: Family,
    /// Key in the file and diffusers name of each tensor that is its own, or is unknown.
    pub names: Vec<(&'c str, String)>,
    /// What is added to its tensors of the same name.
    pub base: Option<&'c Base>,
}

/// What a network is in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A part of a checkpoint.
    Part(Part),
    /// A network with a file of its own, called so.
    Alone(&'static str),
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Part(part) => part.name(),
            Self::Alone(name) => name,
        }
    }

    /// What helps when its values are no numbers.
    fn remedy(self) -> &'static str {
        match self {
            Self::Part(Part::Vae) => "another copy, or another VAE by --vae FILE",
            _ => "another copy",
        }
    }
}

/// A network whose tensors are added to those of another of the same names.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    /// Where its tensors are.
    pub tensors: Arc<Tensors>,
    /// Diffusers name → key.
    pub keys: BTreeMap<String, String>,
}

/// Hands out the tensors of one part and remembers what did not fit.
#[derive(Debug)]
pub struct Loader<'c> {
    tensors: &'c Arc<Tensors>,
    label: &'c str,
    kind: Kind,
    family: Family,
    base: Option<&'c Base>,
    /// Diffusers name → key in the file.
    keys: BTreeMap<String, &'c str>,
    /// Keys in the file that nobody has asked for yet.
    unused: BTreeSet<&'c str>,
    missing: Vec<String>,
    misfits: Vec<String>,
    /// Tensors that were read and whose values are not finite, by diffusers name.
    not_finite: Vec<(String, Error)>,
}

/// A tensor of a checkpoint that is read when it is wanted.
#[derive(Debug, Clone)]
pub struct DeferredTensor {
    tensors: Arc<Tensors>,
    /// Where the values are; `None` if the tensor does not fit.
    source: Option<Source>,
    /// How many values were asked for.
    values: usize,
    /// What is added to them, of as many values.
    more: Option<More>,
    kind: Kind,
    /// Set once values were read that are not finite.
    is_not_finite: Arc<AtomicBool>,
}

/// A tensor that is added to one of another file.
#[derive(Debug, Clone)]
struct More {
    tensors: Arc<Tensors>,
    key: String,
}

/// Where a checkpoint has the values of a tensor.
#[derive(Debug, Clone)]
struct Source {
    /// The key in the file.
    key: String,
    /// Which third of its rows it is, in files that join three tensors in one.
    third: Option<usize>,
}

impl DeferredTensor {
    /// The values, row-major; zeros for a tensor that does not fit, which [`Loader::finish`] reports.
    ///
    /// # Errors
    /// When the file no longer has them, or holds them damaged.
    pub fn read(&self) -> Result<Vec<f32>, Error> {
        let Some(source) = &self.source else { return Ok(vec![0.0; self.values]) };
        let Values { mut values, finite } = self.tensors.read(&source.key)?;
        if !finite {
            self.is_not_finite.store(true, Ordering::Relaxed);
        }
        if let Some(More { tensors, key }) = &self.more {
            values.iter_mut().zip(tensors.read_f32(key)?).for_each(|(own, more)| *own += more);
        }
        let Some(third) = source.third else { return Ok(values) };
        let count = values.len();
        Ok(values[third * count / 3..(third + 1) * count / 3].to_vec())
    }

    /// What is wrong with the values, if they were read and are not finite.
    pub fn fault(&self) -> Option<Error> {
        let source = self.source.as_ref()?;
        if !self.is_not_finite.load(Ordering::Relaxed) {
            return None;
        }
        Some(self.tensors.not_finite(&source.key, self.kind.remedy()))
    }
}

impl<'c> Loader<'c> {
    /// A loader for one part of `checkpoint`.
    pub fn new(checkpoint: &'c Checkpoint, part: Part) -> Self {
        let all: Vec<&str> = checkpoint.names().iter().map(String::as_str).collect();
        let mut names = Vec::new();
        for (key, name) in keys::diffusers_names(part, &all) {
            // What has no name in the network stands among `Checkpoint::unexpected_tensors`.
            if let Some(name) = name
                && !keys::is_harmless(key)
            {
                names.push((key, name));
            }
        }
        Self::of(Network {
            tensors: checkpoint.tensors(),
            label: checkpoint.label_of(part),
            kind: Kind::Part(part),
            family: checkpoint.family(),
            names,
            base: None,
        })
    }

    /// A loader for a network.
    pub(crate) fn of(network: Network<'c>) -> Self {
        let Network { tensors, label, kind, family, names, base } = network;
        let mut keys = BTreeMap::new();
        let mut unused = BTreeSet::new();
        for (key, name) in names {
            unused.insert(key);
            keys.entry(name).or_insert(key);
        }
        Self {
            tensors,
            label,
            kind,
            family,
            base,
            keys,
            unused,
            missing: Vec::new(),
            misfits: Vec::new(),
            not_finite: Vec::new(),
        }
    }

    /// The family of the checkpoint.
    pub fn family(&self) -> Family {
        self.family
    }

    /// All diffusers names that this part has in the file, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// The shape that a tensor has in the file, by its diffusers name; for inferring sizes. Does not count as use.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let source = self.find(name)?;
        let mut shape = self.tensors.shape(&source.key)?.to_vec();
        if source.third.is_some() {
            *shape.first_mut()? /= 3;
        }
        Some(shape)
    }

    /// Where the file has the tensor with this diffusers name.
    fn find(&self, name: &str) -> Option<Source> {
        if let Some(key) = self.keys.get(name) {
            return Some(Source { key: key.to_string(), third: None });
        }
        let (fused, third) = text::joined(name)?;
        let key = self.keys.get(&fused)?;
        Some(Source { key: key.to_string(), third: Some(third) })
    }

    /// Tensors whose diffusers name begins with `start` need not be asked for: no use is made of them.
    pub fn leave(&mut self, start: &str) {
        for (name, key) in &self.keys {
            if name.starts_with(start) {
                self.unused.remove(key);
            }
        }
    }

    /// The values of tensors whose diffusers name begins with `start` may be what they are: no use is made of them.
    pub fn forgive(&mut self, start: &str) {
        self.not_finite.retain(|(name, _)| !name.starts_with(start));
    }

    /// The values (row-major) of the tensor with this diffusers name. When it is missing or of another shape than
    /// `expected`, zeros are returned (nothing, for a shape beyond all reason) and the problem is kept for
    /// [`Loader::finish`]. A 1×1 convolution and a matrix of the same numbers count as the same shape.
    pub fn take(&mut self, name: &str, expected: &[usize]) -> Vec<f32> {
        let tensor = self.deferred(name, expected);
        let values = tensor.read().unwrap_or_else(|error| {
            self.misfits.push(error.to_string());
            vec![0.0; tensor.values]
        });
        if let Some(error) = tensor.fault() {
            self.not_finite.push((name.to_string(), error));
        }
        values
    }

    /// The tensor with this diffusers name, to be read when it is wanted. What can be told without reading is checked now,
    /// as [`Loader::take`] does.
    pub fn deferred(&mut self, name: &str, expected: &[usize]) -> DeferredTensor {
        let tensors = self.tensors;
        let mut deferred = DeferredTensor {
            tensors: tensors.clone(),
            source: None,
            values: values_of(expected),
            more: None,
            kind: self.kind,
            is_not_finite: Arc::default(),
        };
        let Some(source) = self.find(name) else {
            self.missing.push(name.to_string());
            return deferred;
        };
        let key = source.key.as_str();
        self.unused.remove(key);
        let found = tensors.shape(key).unwrap_or_default();
        let mut expected = expected.to_vec();
        if source.third.is_some() {
            expected[0] *= 3;
        }
        if without_kernel(found) != without_kernel(&expected) {
            self.misfits.push(format!("{key} (expected {expected:?}, found {found:?})"));
        } else if let Err(error) = tensors.check_numbers(key) {
            self.misfits.push(error.to_string());
        } else {
            deferred.more = self.more(name, &expected);
            deferred.source = Some(source);
        }
        deferred
    }

    /// What is added to the tensor of this name and shape; a base of another shape is a misfit.
    fn more(&mut self, name: &str, expected: &[usize]) -> Option<More> {
        let base = self.base?;
        let key = base.keys.get(name)?;
        let found = base.tensors.shape(key).unwrap_or_default();
        if without_kernel(found) != without_kernel(expected) {
            self.misfits.push(format!("{key} of the model (expected {expected:?}, found {found:?})"));
            return None;
        }
        if let Err(error) = base.tensors.check_numbers(key) {
            self.misfits.push(error.to_string());
            return None;
        }
        Some(More { tensors: base.tensors.clone(), key: key.clone() })
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When a tensor was missing or did not fit, when the file has tensors of this part that nobody asked for, or when
    /// values that were read are not finite.
    pub fn finish(self) -> Result<(), Error> {
        let missing: Vec<String> = self.missing.iter().map(|name| self.name_in_file(name)).collect();
        let unknown: Vec<String> = self.unused.iter().map(ToString::to_string).collect();
        let mut problems = Vec::new();
        problems.extend(list("missing", &missing));
        problems.extend(list("of another shape or type", &self.misfits));
        problems.extend(list("unknown", &unknown));
        if problems.is_empty() {
            return match self.not_finite.into_iter().next() {
                Some((_, error)) => Err(error),
                None => Ok(()),
            };
        }
        if self.kind == Kind::Part(Part::Vae) {
            problems.push("another may be given by --vae FILE".to_string());
        }
        Err(Error::Unfit { file: self.label.to_string(), part: self.kind.name(), problems: problems.join("; ") })
    }

    /// The name that a missing tensor would have in the file, or its diffusers name if the file has no place for it.
    fn name_in_file(&self, name: &str) -> String {
        let Kind::Part(part) = self.kind else { return name.to_string() };
        let all: Vec<&str> = self.tensors.names().iter().map(String::as_str).collect();
        keys::file_key(part, name, &all).unwrap_or_else(|| name.to_string())
    }
}

/// Number of values of a shape; 0 for one that no real network has, since sizes come from the file and must not decide
/// how much memory is taken for nothing.
fn values_of(shape: &[usize]) -> usize {
    const MOST: usize = 1 << 28;
    match shape.iter().try_fold(1, |values: usize, axis| values.checked_mul(*axis)) {
        Some(values) if values <= MOST => values,
        _ => 0,
    }
}

/// Drops the two ones of a 1×1 kernel.
fn without_kernel(shape: &[usize]) -> &[usize] {
    match shape {
        [channels @ .., 1, 1] if channels.len() == 2 => channels,
        _ => shape,
    }
}

/// Names of tensors with what is wrong with all of them; `None` if there are none.
fn list(what: &str, names: &[String]) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let shown = names[..names.len().min(SHOWN)].join(", ");
    let more = if names.len() > SHOWN { format!(", and {} more", names.len() - SHOWN) } else { String::new() };
    Some(format!("{} tensors {what}: {shown}{more}", names.len()))
}
