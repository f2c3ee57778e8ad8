//! Tensors of one file or of several, under names of our choice.
//!
//! A single-file checkpoint is one file under its own names. A folder of diffusers is many files whose tensors are
//! renamed; a separate VAE takes the place of the one in a checkpoint. Nothing is read before it is asked for.

use std::collections::BTreeMap;

use safetensors::Dtype;

use crate::Error;
use crate::tensor_file::TensorFile;

/// Open files and what their tensors are called here.
#[derive(Debug)]
pub struct Tensors {
    label: String,
    files: Vec<TensorFile>,
    places: BTreeMap<String, Place>,
    /// All names, as they came.
    order: Vec<String>,
    metadata: BTreeMap<String, String>,
}

/// Where a tensor is and how it is seen.
#[derive(Debug)]
struct Place {
    file: usize,
    name: String,
    shape: Vec<usize>,
    transposed: bool,
}

/// How a tensor of a file is seen under its new name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// As it is.
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
        let same = |name: String| (name.clone(), name, View::Same);
        let names = file.names().into_iter().map(same).collect();
        tensors.add(file, names);
        tensors
    }
}

impl Tensors {
    /// None yet; `label` is the path as given, for messages.
    pub fn empty(label: &str) -> Self {
        Self {
            label: label.to_string(),
            files: Vec::new(),
            places: BTreeMap::new(),
            order: Vec::new(),
            metadata: BTreeMap::new(),
        }
    }

    /// Adds tensors of a file: (name in the file, name here, view). What is not named stays out; a name that is here
    /// already keeps its tensor.
    pub fn add(&mut self, file: TensorFile, names: Vec<(String, String, View)>) {
        for (name, new, view) in names {
            let Some(shape) = file.shape(&name) else { continue };
            if self.places.contains_key(&new) {
                continue;
            }
            let (shape, transposed) = match (view, shape) {
                (View::Kernel, [rows, columns]) => (vec![*rows, *columns, 1, 1], false),
                (View::Transposed, [rows, columns]) => (vec![*columns, *rows], true),
                _ => (shape.to_vec(), false),
            };
            self.order.push(new.clone());
            self.places.insert(new, Place { file: self.files.len(), name, shape, transposed });
        }
        self.files.push(file);
    }

    /// Leaves out the tensors for which `stays` is false, and takes all of `other` in.
    pub fn replace(&mut self, stays: impl Fn(&str) -> bool, other: Self) {
        self.order.retain(|name| stays(name));
        self.places.retain(|name, _| stays(name));
        for (name, place) in other.places {
            let place = Place { file: self.files.len() + place.file, ..place };
            if self.places.insert(name.clone(), place).is_none() {
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

    /// The same, to be added to.
    pub fn metadata_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.metadata
    }

    /// Shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.places.get(name).map(|place| place.shape.as_slice())
    }

    /// Type of a tensor's numbers.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        let place = self.places.get(name)?;
        self.files.get(place.file)?.dtype(&place.name)
    }

    /// Whether a tensor's numbers can be read, as far as is known without reading them.
    ///
    /// # Errors
    /// As for [`Tensors::read_f32`].
    pub fn check_numbers(&self, name: &str) -> Result<(), Error> {
        let (place, file) = self.find(name)?;
        file.check_numbers(&place.name)
    }

    fn find(&self, name: &str) -> Result<(&Place, &TensorFile), Error> {
        let found = self.places.get(name).and_then(|place| Some((place, self.files.get(place.file)?)));
        found.ok_or_else(|| Error::NoTensor { file: self.label.clone(), name: name.to_string() })
    }

    /// A tensor's values as f32, row-major.
    ///
    /// # Errors
    /// When there is no such tensor or its numbers are of a type that is not read.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, Error> {
        let (place, file) = self.find(name)?;
        let values = file.read_f32(&place.name)?;
        match (place.transposed, place.shape.as_slice()) {
            (true, &[rows, columns]) => {
                Ok((0..rows * columns).map(|at| values[at % columns * rows + at / columns]).collect())
            }
            _ => Ok(values),
        }
    }
}
