//! Tensors of one file or of several, under names of our choice.
//!
//! A single-file checkpoint is one file under its own names. A folder of diffusers is many files whose tensors are
//! renamed; a separate VAE takes the place of the one in a checkpoint. Nothing is read before it is asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;

use safetensors::Dtype;

use crate::Error;
use crate::formats::tensor_file::{TensorFile, Values};

/// A tensor in memory with its name in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// The key in the file.
    pub name: String,
    /// Length of each axis; empty for a scalar.
    pub shape: Vec<usize>,
    /// The values, as many as the product of `shape`, row-major.
    pub values: Vec<f32>,
}

/// A tensor of a file, and how it is called and seen here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenamedTensor {
    /// The name in the file.
    pub in_file: String,
    /// The name here.
    pub name: String,
    /// What is done to its shape.
    pub view: View,
}

/// Open files and what their tensors are called here.
#[derive(Debug)]
pub struct Tensors {
    label: String,
    files: Vec<TensorFile>,
    locations: BTreeMap<String, Location>,
    /// All names, as they came.
    order: Vec<String>,
    metadata: BTreeMap<String, String>,
}

/// Where a tensor is and how it is seen.
#[derive(Debug)]
struct Location {
    /// Index into [`Tensors::files`]; never beyond its end.
    file: usize,
    /// The name in that file.
    name: String,
    /// The shape here.
    shape: Vec<usize>,
    /// Rows and columns in the file are columns and rows here.
    transposed: bool,
}

/// How a tensor of a file is seen under its new name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// The tensor as it is.
    Same,
    /// A matrix as a convolution with a 1×1 kernel.
    Kernel,
    /// A matrix with rows and columns changed.
    Transposed,
}

impl From<TensorFile> for Tensors {
    fn from(file: TensorFile) -> Self {
        let mut tensors = Self::empty(file.label());
        tensors.metadata = file.metadata().clone();
        let mut same = Vec::new();
        for name in file.names() {
            same.push(RenamedTensor { in_file: name.clone(), name, view: View::Same });
        }
        tensors.add(file, same);
        tensors
    }
}

impl Tensors {
    /// None yet; `label` is the path as given, for messages.
    pub fn empty(label: &str) -> Self {
        Self {
            label: label.to_string(),
            files: Vec::new(),
            locations: BTreeMap::new(),
            order: Vec::new(),
            metadata: BTreeMap::new(),
        }
    }

    /// Adds tensors of a file. What is not in `renamed` stays out; a name that is here already keeps its tensor.
    pub fn add(&mut self, file: TensorFile, renamed: Vec<RenamedTensor>) {
        let index = self.files.len();
        for RenamedTensor { in_file, name, view } in renamed {
            let Some(shape) = file.shape(&in_file) else { continue };
            if self.locations.contains_key(&name) {
                continue;
            }
            let location = match (view, shape) {
                (View::Kernel, [rows, columns]) => {
                    Location { file: index, name: in_file, shape: vec![*rows, *columns, 1, 1], transposed: false }
                }
                (View::Transposed, [rows, columns]) => {
                    Location { file: index, name: in_file, shape: vec![*columns, *rows], transposed: true }
                }
                _ => Location { file: index, name: in_file, shape: shape.to_vec(), transposed: false },
            };
            self.order.push(name.clone());
            self.locations.insert(name, location);
        }
        self.files.push(file);
    }

    /// Leaves out the tensors for which `stays` is false, and takes all of `other` in.
    pub fn replace(&mut self, stays: impl Fn(&str) -> bool, other: Self) {
        self.order.retain(|name| stays(name));
        self.locations.retain(|name, _| stays(name));
        for (name, location) in other.locations {
            let location = Location { file: self.files.len() + location.file, ..location };
            if self.locations.insert(name.clone(), location).is_none() {
                self.order.push(name);
            }
        }
        self.files.extend(other.files);
    }

    /// The path as given, for messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// All tensor names; those of one file in the order of its data.
    pub fn names(&self) -> &[String] {
        &self.order
    }

    /// The text metadata.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The text metadata, to be added to.
    pub fn metadata_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.metadata
    }

    /// Shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.locations.get(name).map(|location| location.shape.as_slice())
    }

    /// Whether some name begins with `start`.
    pub fn has_start(&self, start: &str) -> bool {
        let from = self.locations.range::<str, _>((Bound::Included(start), Bound::Unbounded)).next();
        from.is_some_and(|(name, _)| name.starts_with(start))
    }

    /// Type of a tensor's numbers.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        let location = self.locations.get(name)?;
        self.files.get(location.file)?.dtype(&location.name)
    }

    /// A tensor's bytes as they are in its file, if they lie there in this order.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        let location = self.locations.get(name)?;
        self.files.get(location.file)?.bytes(&location.name)
    }

    /// A tensor's bytes in the order and shape that it has here, to be copied into another file.
    ///
    /// # Errors
    /// When there is no such tensor, its file has changed, or its numbers are damaged.
    pub fn copied(&self, name: &str) -> Result<Cow<'_, [u8]>, Error> {
        let location = self.find(name)?;
        let file = &self.files[location.file];
        let bytes = file.copied(&location.name)?;
        let ([rows, columns], true) = (&location.shape[..], location.transposed) else { return Ok(bytes) };
        let width = file.dtype(&location.name).map_or(0, |dtype| dtype.bitsize() / 8);
        let mut transposed = Vec::with_capacity(bytes.len());
        for row in 0..*rows {
            for column in 0..*columns {
                let place = (column * rows + row) * width;
                transposed.extend_from_slice(&bytes[place..place + width]);
            }
        }
        Ok(Cow::Owned(transposed))
    }

    /// Says that the bytes of a tensor have been used: they need not stay in memory.
    pub fn release(&self, name: &str) {
        if let Some(location) = self.locations.get(name) {
            self.files[location.file].release(&location.name);
        }
    }

    /// Whether a tensor's numbers can be read, as far as is known without reading them.
    ///
    /// # Errors
    /// As for [`Tensors::read_f32`].
    pub fn check_numbers(&self, name: &str) -> Result<(), Error> {
        let location = self.find(name)?;
        self.files[location.file].check_numbers(&location.name)
    }

    fn find(&self, name: &str) -> Result<&Location, Error> {
        match self.locations.get(name) {
            Some(location) => Ok(location),
            None => Err(Error::NoTensor { file: self.label.clone(), name: name.to_string() }),
        }
    }

    /// A tensor's values as f32, row-major.
    ///
    /// # Errors
    /// When there is no such tensor or its numbers are of a type that is not read.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, Error> {
        Ok(self.read(name)?.values)
    }

    /// A tensor's values as [`Tensors::read_f32`] gives them, and whether all are finite.
    ///
    /// # Errors
    /// As for [`Tensors::read_f32`].
    pub fn read(&self, name: &str) -> Result<Values, Error> {
        let location = self.find(name)?;
        let mut read = self.files[location.file].read(&location.name)?;
        if let [rows, columns] = location.shape[..]
            && location.transposed
        {
            let mut transposed = Vec::with_capacity(read.values.len());
            for row in 0..rows {
                for column in 0..columns {
                    transposed.push(read.values[column * rows + row]);
                }
            }
            read.values = transposed;
        }
        Ok(read)
    }

    /// The error that says that the values of a tensor are not finite; `remedy` is what helps.
    pub(crate) fn not_finite(&self, name: &str, remedy: &'static str) -> Error {
        let (file, name) = match self.locations.get(name) {
            Some(location) => (self.files[location.file].label(), location.name.as_str()),
            None => (self.label.as_str(), name),
        };
        Error::NotFinite { file: file.to_string(), name: name.to_string(), remedy }
    }
}
