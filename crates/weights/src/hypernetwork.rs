//! Hypernetworks of the web UI: small networks that change what attention takes for keys and for values.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::Error;
use crate::formats::tensor_file::TensorFile;

/// A hypernetwork as its file has it.
#[derive(Debug, Clone, PartialEq)]
pub struct HypernetworkFile {
    /// By the width of attention's input: the network for keys, the one for values.
    pub networks: BTreeMap<usize, [Vec<LayerTensors>; 2]>,
    /// Name of the activation behind each linear layer, in small letters; `linear` for none.
    pub activation: String,
    /// Whether the last linear layer has an activation too.
    pub activates_output: bool,
}

/// The tensors of one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerTensors {
    /// [out, in] of a linear layer, `[width]` of a layer norm.
    pub shape: Vec<usize>,
    /// The weight, row-major.
    pub weight: Vec<f32>,
    /// The bias, `[out]` or `[width]`.
    pub bias: Vec<f32>,
}

impl HypernetworkFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is no hypernetwork, or one whose layers do not follow each other.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = TensorFile::open_hypernetwork(path)?;
        let wrong = |reason: String| Error::WrongKind { file: file.label().to_string(), reason };
        let mut numbers: BTreeMap<usize, [BTreeSet<Layer>; 2]> = BTreeMap::new();
        for name in file.names() {
            let Some((width, which, layer)) = Layer::of(&name) else {
                return Err(wrong(format!("it has a tensor {name}, which no hypernetwork of the web UI has")));
            };
            numbers.entry(width).or_default()[which].insert(layer);
        }
        let mut networks = BTreeMap::new();
        for (width, pair) in numbers {
            let mut both = [Vec::new(), Vec::new()];
            for (which, layers) in pair.into_iter().enumerate() {
                for layer in layers {
                    both[which].push(layer.read(&file, &format!("{width}.{which}"))?);
                }
                if let Some(reason) = misfit(width, &both[which]) {
                    return Err(wrong(format!("its layers for width {width} {reason}")));
                }
            }
            networks.insert(width, both);
        }
        let says = |key: &str| file.metadata().get(key).map(String::as_str);
        Ok(Self {
            networks,
            activation: says("activation_func").unwrap_or("linear").to_lowercase(),
            activates_output: says("activate_output") != Some("false"),
        })
    }
}

/// A layer's place in its network and how its tensors are called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Layer {
    number: usize,
    name: String,
}

impl Layer {
    /// Width, network and layer of a tensor's name: `768.0.linear.3.weight`, in old files `768.0.linear1.weight`.
    fn of(name: &str) -> Option<(usize, usize, Self)> {
        let (width, rest) = name.split_once('.')?;
        let (which, rest) = rest.split_once('.')?;
        let (layer, _) = rest.rsplit_once('.')?;
        let number = layer.strip_prefix("linear")?.trim_start_matches('.').parse().ok()?;
        let which = match which {
            "0" => 0,
            "1" => 1,
            _ => return None,
        };
        Some((width.parse().ok()?, which, Self { number, name: layer.to_string() }))
    }

    fn read(&self, file: &TensorFile, prefix: &str) -> Result<LayerTensors, Error> {
        let weight = format!("{prefix}.{}.weight", self.name);
        let shape = file.shape(&weight).unwrap_or_default().to_vec();
        let bias = file.read_f32(&format!("{prefix}.{}.bias", self.name))?;
        Ok(LayerTensors { shape, weight: file.read_f32(&weight)?, bias })
    }
}

/// What is wrong with layers that are to lead from `width` back to it, if something is.
fn misfit(width: usize, layers: &[LayerTensors]) -> Option<String> {
    let mut current = width;
    for layer in layers {
        match layer.shape[..] {
            [outputs, inputs] if inputs == current && outputs > 0 && layer.bias.len() == outputs => current = outputs,
            [same] if same == current && layer.bias.len() == same => {}
            _ => return Some(format!("do not follow each other: one has shape {:?}", layer.shape)),
        }
        if layer.weight.iter().chain(&layer.bias).any(|value| !value.is_finite()) {
            return Some("hold values that are infinite or not a number".into());
        }
    }
    if current != width || layers.is_empty() {
        return Some(format!("end with width {current}"));
    }
    None
}
