//! A network of an ONNX file, with its inputs and outputs.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::{self, Debug, Display, Formatter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rten::{
    DataType, Dimension, LoadError, LoadErrorKind, Model, ModelOptions, NodeId, RunOptions, ThreadPool, Value,
    ValueType,
};
use rten_tensor::prelude::*;

use crate::bounds::excess;
use crate::error::{Error, one_line};
use crate::listing::{self, Listing};
use crate::own_thread::on_own_thread;

/// Files beyond this many GB are not read: encoders of pictures and taggers have 0.1 to 1.3.
const MOST_GIGABYTES: u64 = 4;
const GIGABYTE: u64 = 1 << 30;

/// A network that can be computed.
pub struct Network {
    path: PathBuf,
    model: Model,
    threads: Arc<ThreadPool>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    listing: Listing,
}

/// An input or an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its sides, if the file tells them.
    pub shape: Option<Vec<Side>>,
    /// Whether its values are f32, as far as the file tells.
    pub is_f32: bool,
}

/// A side of a shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Always so long.
    Fixed(usize),
    /// As long as what is given.
    Free,
}

/// Values with their shape, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// Lengths of the sides.
    pub shape: Vec<usize>,
    /// All values.
    pub values: Vec<f32>,
}

impl Network {
    /// Reads the network at `path`. Weights in a second file are found beside it, as `NAME.onnx.data` or `NAME.onnx_data`.
    ///
    /// # Errors
    /// When the file cannot be read, is larger than 4 GB or no ONNX file, has an operator that is not built in, or would make
    /// more values than fit anywhere.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let bytes = read(path)?;
        let listing = Listing::of(&bytes);
        if let Some(why) = excess(&bytes) {
            return Err(Error::Excessive { path: path.to_owned(), why });
        }
        let mut beside_it: Vec<(String, Vec<u8>)> = Vec::new();
        for suffix in [".data", "_data"] {
            let beside = with_suffix(path, suffix);
            if let (true, Some(name)) = (beside.is_file(), beside.file_name().and_then(|name| name.to_str())) {
                beside_it.push((name.to_owned(), read(&beside)?));
            }
        }
        let load = || {
            let mut options = ModelOptions::with_all_ops();
            for (name, bytes) in beside_it {
                options.external_data(&name, bytes);
            }
            options.load(bytes)
        };
        // The runtime trusts files more than we do: what it stumbles over is the file's fault.
        let model = match on_own_thread(load) {
            Ok(Ok(model)) => model,
            Ok(Err(error)) if matches!(error.kind(), LoadErrorKind::OperatorInvalid) => {
                return Err(Error::Unsupported { path: path.to_owned(), why: all_unsupported(path, &error) });
            }
            Ok(Err(error)) => return Err(refusal(path, &error)),
            Err(_) => return Err(Error::Invalid { path: path.to_owned(), why: "it cannot be taken apart".to_owned() }),
        };
        let ports = |ids: &[NodeId]| ids.iter().map(|id| Port::of(&model, *id)).collect();
        let inputs = ports(model.input_ids());
        let outputs = ports(model.output_ids());
        let threads = Arc::new(ThreadPool::with_num_threads(rayon::current_num_threads()));
        Ok(Self { path: path.to_owned(), threads, inputs, outputs, listing, model })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is given.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// What it gives.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// What its file says of itself.
    pub fn listing(&self) -> &Listing {
        &self.listing
    }

    /// What its file says under `name` beside the network, such as the names of classes.
    pub fn metadata(&self, name: &str) -> Option<&str> {
        self.model.metadata().get(name)
    }

    /// How many weights it has.
    pub fn weights(&self) -> usize {
        self.model.total_params()
    }

    /// What the output with the number `output` is for `values` as the first input.
    ///
    /// # Errors
    /// When these have another shape than the network wants, or it cannot be computed.
    ///
    /// # Panics
    /// If there is no such output.
    pub fn run(&self, values: Values, output: usize) -> Result<Values, Error> {
        Ok(self.run_all(values, &[output])?.remove(0))
    }

    /// What each of the outputs with these numbers is for `values` as the first input; whole numbers come as f32.
    ///
    /// # Errors
    /// As for [`Network::run`].
    ///
    /// # Panics
    /// If there is no such output.
    pub fn run_all(&self, values: Values, outputs: &[usize]) -> Result<Vec<Values>, Error> {
        let wanted: Vec<NodeId> = outputs.iter().map(|output| self.model.output_ids()[*output]).collect();
        let Some(input) = self.model.input_ids().first() else { return Err(self.failed("it has no input")) };
        self.check_shape(&values.shape)?;
        let given = Value::from_shape(&values.shape, values.values).map_err(|why| self.failed(&why.to_string()))?;
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.threads)));
        let run = || self.model.run(vec![(*input, given.into())], &wanted, Some(options));
        let results = match on_own_thread(run) {
            Ok(results) => results.map_err(|why| self.failed(&why.to_string()))?,
            Err(_) => return Err(self.failed("the runtime gave up")),
        };
        let mut all = Vec::with_capacity(results.len());
        for value in results {
            all.push(self.values_of(value)?);
        }
        if all.len() < outputs.len() {
            return Err(self.failed("it gave nothing"));
        }
        Ok(all)
    }

    fn values_of(&self, value: Value) -> Result<Values, Error> {
        match value {
            Value::FloatTensor(tensor) => Ok(Values { shape: tensor.shape().to_vec(), values: tensor.to_vec() }),
            Value::Int32Tensor(tensor) => {
                let values = tensor.to_vec().into_iter().map(|number| number as f32).collect();
                Ok(Values { shape: tensor.shape().to_vec(), values })
            }
            _ => Err(self.failed("what it gives are no f32 values")),
        }
    }

    fn check_shape(&self, given: &[usize]) -> Result<(), Error> {
        let Some(port) = self.inputs.first() else { return Ok(()) };
        let Some(wanted) = &port.shape else { return Ok(()) };
        let mut fits = wanted.len() == given.len();
        for (wanted, given) in wanted.iter().zip(given) {
            fits &= *wanted == Side::Free || *wanted == Side::Fixed(*given);
        }
        if fits {
            return Ok(());
        }
        let given: Vec<Side> = given.iter().map(|side| Side::Fixed(*side)).collect();
        Err(Error::WrongShape {
            path: self.path.clone(),
            input: port.name.clone(),
            wanted: shape_in_words(wanted),
            given: shape_in_words(&given),
        })
    }

    fn failed(&self, why: &str) -> Error {
        Error::Failed { path: self.path.clone(), why: one_line(why) }
    }
}

impl Debug for Network {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { path, inputs, outputs, .. } = self;
        f.debug_struct("Network").field("path", path).field("inputs", inputs).field("outputs", outputs).finish()
    }
}

impl Port {
    fn of(model: &Model, id: NodeId) -> Self {
        let Some(info) = model.node_info(id) else { return Self { name: String::new(), shape: None, is_f32: true } };
        let side = |dimension: Dimension| match dimension {
            Dimension::Fixed(length) => Side::Fixed(length),
            Dimension::Symbolic(_) => Side::Free,
        };
        Self {
            name: info.name().unwrap_or_default().to_owned(),
            shape: info.shape().map(|shape| shape.into_iter().map(side).collect()),
            is_f32: info.dtype().is_none_or(|dtype| dtype == ValueType::Tensor(DataType::Float)),
        }
    }
}

impl Display for Port {
    /// `name, 1 × 3 × 224 × 224`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let shape =
            self.shape.as_ref().map_or_else(|| "of a shape that is not told".to_owned(), |shape| shape_in_words(shape));
        let kind = if self.is_f32 { "" } else { ", whole numbers" };
        write!(f, "{}, {shape}{kind}", one_line(&self.name))
    }
}

/// A shape as people write it, `1 × 3 × 224 × 224`; a side that is free is `any`.
pub(crate) fn shape_in_words(shape: &[Side]) -> String {
    let side = |side: &Side| match side {
        Side::Fixed(length) => length.to_string(),
        Side::Free => "any".to_owned(),
    };
    shape.iter().map(side).collect::<Vec<_>>().join(" × ")
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let unreadable = |why| Error::Unreadable { path: path.to_owned(), why };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > MOST_GIGABYTES * GIGABYTE {
        let gigabytes = size as f64 / GIGABYTE as f64;
        return Err(Error::TooLarge { path: path.to_owned(), gigabytes, most: MOST_GIGABYTES });
    }
    std::fs::read(path).map_err(unreadable)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// What is wrong with a file that the runtime refused.
fn refusal(path: &Path, error: &LoadError) -> Error {
    let why = one_line(&error.to_string());
    let path = path.to_owned();
    match error.kind() {
        LoadErrorKind::UnknownFileType | LoadErrorKind::FormatNotEnabled => {
            Error::NotOnnx { path, why: "it begins as another kind of file does".to_owned() }
        }
        LoadErrorKind::ParseError | LoadErrorKind::IoError => Error::NotOnnx { path, why },
        LoadErrorKind::ExternalDataError => {
            let data = with_suffix(&path, ".data").file_name().unwrap_or_default().to_string_lossy().into_owned();
            Error::WeightsElsewhere { path, data, why }
        }
        _ => Error::Invalid { path, why },
    }
}

/// Each operator that is not built in, once; `error` is what the runtime stumbled over first.
fn all_unsupported(path: &Path, error: &LoadError) -> String {
    const NAMED: usize = 8;
    let first = one_line(&error.to_string());
    let Ok(file) = read(path) else { return first };
    let mut seen = BTreeSet::new();
    let mut refused: Vec<String> = Vec::new();
    for node in listing::nodes(&file) {
        if !seen.insert(node.operator.clone()) {
            continue;
        }
        let alone = node.alone(&file);
        let is_refused = match on_own_thread(|| ModelOptions::with_all_ops().load(alone)) {
            Ok(Err(error)) => matches!(error.kind(), LoadErrorKind::OperatorInvalid),
            Ok(Ok(_)) => false,
            Err(_) => true,
        };
        if is_refused {
            refused.push(node.words);
        }
    }
    match refused.len() {
        0 | 1 => first,
        count if count > NAMED => format!("{} and {} more", refused[..NAMED].join(", "), count - NAMED),
        _ => refused.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_told_as_people_write_them() {
        assert_eq!(shape_in_words(&[Side::Free, Side::Fixed(3), Side::Fixed(224)]), "any × 3 × 224");
        assert_eq!(one_line("a\nb"), "a b");
        assert_eq!(one_line(&"x".repeat(300)).chars().count(), 201);
    }
}
