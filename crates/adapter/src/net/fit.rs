//! The tensors of a file's module → [`NetModule`], if they fit the layer.

use std::collections::BTreeMap;

use lorabake_recipe::network::adapter::Side;

use super::glora::Glora;
use super::oft::{Oft, Skew};
use super::{Magnitudes, NetChange, NetModule, Trained};
use crate::ia3::Ia3Kind;
use crate::method::Method;
use crate::parameter::NamedShapes;
use crate::site::LayerShape;

/// Channels of a latent.
const LATENT: usize = 4;
/// Channels that a UNet for inpainting is given beside the latent: mask and masked picture.
const INPAINTING: usize = 5;

/// Names of a module's tensors that say how its weight is changed, as beginnings.
const CHANGES: [&str; 9] = ["lora_", "hada_", "lokr_", "weight", "oft_", "a1.weight", "diff", "diff_b", "on_input"];
/// Names of the small tensor in the middle of the Tucker form.
const CORES: [&str; 4] = ["lora_mid.weight", "hada_t1", "hada_t2", "lokr_t2"];
/// Names of a module's other tensors.
const ASIDE: [&str; 7] = ["alpha", "scale", "dora_scale", "rescale", "a2.weight", "b1.weight", "b2.weight"];

/// A tensor of a module as a file has it.
#[derive(Debug, Clone, Copy)]
pub struct NetTensor<'v> {
    /// Length of each axis; empty for a scalar.
    pub shape: &'v [usize],
    /// The values, as many as the product of `shape`, row-major.
    pub values: &'v [f32],
}

/// The tensors of a module by their names in it.
type Tensors<'v> = BTreeMap<&'v str, NetTensor<'v>>;

impl NetModule {
    /// The module with these tensors on a layer.
    ///
    /// # Errors
    /// If they are of no kind that is known, do not fit together or the layer, or are not finite.
    pub fn fit(layer: LayerShape, tensors: &BTreeMap<&str, NetTensor<'_>>) -> Result<Self, String> {
        for (name, tensor) in tensors {
            let is_known = ASIDE.contains(name) || CHANGES.iter().any(|start| name.starts_with(start));
            if !is_known {
                return Err(format!("unknown tensor {name}"));
            }
            if tensor.values.iter().any(|value| !value.is_finite()) {
                return Err(format!("{name} holds values that are infinite or not a number"));
            }
        }
        let whole = Reader { layer, tensors }.module();
        match layer {
            // A net for four channels on a UNet for inpainting.
            LayerShape::Conv(shape) if whole.is_err() && shape.inputs == LATENT + INPAINTING => {
                let mut seen = shape;
                seen.inputs = LATENT;
                let fitted = Reader { layer: LayerShape::Conv(seen), tensors }.module();
                fitted.map(|module| Self { more_inputs: INPAINTING, ..module })
            }
            _ => whole,
        }
    }
}

/// Tensors that are being fitted to a layer.
struct Reader<'a, 'v> {
    layer: LayerShape,
    tensors: &'a Tensors<'v>,
}

impl<'v> Reader<'_, 'v> {
    fn module(&self) -> Result<NetModule, String> {
        let has = |name: &str| self.tensors.contains_key(name);
        let change = if has("oft_blocks") || has("oft_diag") {
            Some(NetChange::Oft(self.oft()?))
        } else if has("a1.weight") {
            Some(NetChange::Glora(self.glora()?))
        } else if has("diff") {
            Some(NetChange::Full(self.sized("diff", self.layer.outputs() * self.columns())?.to_vec()))
        } else if has("weight") {
            Some(NetChange::Trained(self.ia3()?))
        } else if self.tensors.keys().any(|name| CHANGES[..3].iter().any(|start| name.starts_with(start))) {
            Some(NetChange::Trained(self.trained()?))
        } else {
            None
        };
        let bias = match has("diff_b") {
            true => Some(self.sized("diff_b", self.layer.outputs())?.to_vec()),
            false => None,
        };
        if change.is_none() && bias.is_none() {
            return Err("it has nothing that changes the layer".into());
        }
        let dora = if change.is_some() { self.magnitudes()? } else { None };
        Ok(NetModule { layer: self.layer, more_inputs: 0, change, dora, bias })
    }

    /// Columns of the layer's weight.
    fn columns(&self) -> usize {
        self.layer.inputs() * self.layer.kernel() * self.layer.kernel()
    }

    /// The one number of a tensor, if it is there.
    fn scalar(&self, name: &str) -> Result<Option<f64>, String> {
        match self.tensors.get(name) {
            None => Ok(None),
            Some(NetTensor { values: [value], .. }) => Ok(Some(f64::from(*value))),
            Some(_) => Err(format!("{name} is not one number")),
        }
    }

    /// The values of a tensor of `count` numbers.
    fn sized(&self, name: &str, count: usize) -> Result<&'v [f32], String> {
        match self.tensors.get(name) {
            None => Err(format!("{name} is missing")),
            Some(tensor) if tensor.values.len() == count => Ok(tensor.values),
            Some(tensor) => Err(format!("{name} has shape {:?}, this layer needs {count} values", tensor.shape)),
        }
    }

    /// A kind that is trained here, with its own alpha, or the rank where there is none.
    fn trained(&self) -> Result<Trained, String> {
        let shapes = self.tensors.iter().map(|(name, tensor)| (*name, tensor.shape)).collect();
        let shapes = NamedShapes { shapes, on_input: None };
        let rank = Method::of_tensors(self.layer, 1.0, &shapes)?.size().map_or(1, |size| size.rank) as f64;
        let alpha = match self.scalar("scale")? {
            Some(scale) => scale * rank,
            None => self.scalar("alpha")?.unwrap_or(rank),
        };
        let method = Method::of_tensors(self.layer, alpha, &shapes)?;
        let parameters = method.parameters(self.layer);
        for core in CORES {
            let Some(tensor) = self.tensors.get(core) else { continue };
            let Some(parameter) = parameters.iter().find(|parameter| parameter.name == core) else {
                return Err(format!("{core} is for convolutions wider than one pixel, which this layer is not"));
            };
            if tensor.shape != parameter.shape {
                return Err(format!("{core} has shape {:?}, this layer needs {:?}", tensor.shape, parameter.shape));
            }
        }
        let read = |name: &str| self.tensors.get(name).map(|tensor| tensor.values);
        let values = method.kind().of_file(self.layer, &parameters, &read);
        let values = values.map_err(|name| format!("{name} is of another size"))?;
        Ok(Trained { method, parameters, values })
    }

    fn ia3(&self) -> Result<Trained, String> {
        let on_input = self.scalar("on_input")?.ok_or("on_input is missing")? != 0.0;
        let count = if on_input { self.layer.inputs() } else { self.layer.outputs() };
        let values = vec![self.sized("weight", count)?.to_vec()];
        let method = Method::Ia3(Ia3Kind { on_input });
        Ok(Trained { method, parameters: method.parameters(self.layer), values })
    }

    /// LyCORIS' present form if it fits alone, else its first one.
    fn glora(&self) -> Result<Glora, String> {
        let axis = |name: &str, axis: usize| self.tensors.get(name).and_then(|tensor| tensor.shape.get(axis)).copied();
        let inputs = self.layer.inputs();
        let outputs = self.layer.outputs();
        let is_first = axis("a1.weight", 1) == Some(inputs) && axis("b2.weight", 0) == Some(outputs);
        let is_present = axis("a1.weight", 0) == Some(inputs) && axis("b1.weight", 0) == Some(outputs);
        if is_present && !is_first {
            return self.present_glora();
        }
        if self.layer.kernel() != 1 {
            return Err("GLoRA in its first form is for layers without a kernel".into());
        }
        let of_a = self.rank("a1.weight", inputs)?;
        let of_b = self.rank("b1.weight", inputs)?;
        Ok(Glora {
            a: self.sized("a2.weight", of_a * inputs)?.to_vec(),
            after_a: self.sized("a1.weight", of_a * inputs)?.to_vec(),
            b: self.sized("b2.weight", of_b * outputs)?.to_vec(),
            after_b: self.sized("b1.weight", of_b * inputs)?.to_vec(),
            taps: 1,
            scale: self.scalar("scale")?.unwrap_or(1.0),
        })
    }

    fn present_glora(&self) -> Result<Glora, String> {
        let inputs = self.layer.inputs();
        let of_a = self.rank("a1.weight", inputs)?;
        let of_b = self.rank("b1.weight", self.layer.outputs())?;
        let scale = match self.scalar("scale")? {
            Some(scale) => scale,
            None => self.scalar("alpha")?.unwrap_or(of_a as f64) / of_a as f64,
        };
        Ok(Glora {
            a: self.sized("a1.weight", of_a * inputs)?.to_vec(),
            after_a: self.sized("a2.weight", of_a * inputs)?.to_vec(),
            b: self.sized("b1.weight", of_b * self.layer.outputs())?.to_vec(),
            after_b: self.sized("b2.weight", of_b * self.columns())?.to_vec(),
            taps: self.layer.kernel() * self.layer.kernel(),
            scale,
        })
    }

    /// The shorter side of a factor whose other one is `side`.
    fn rank(&self, name: &str, side: usize) -> Result<usize, String> {
        match self.tensors.get(name) {
            Some(tensor) if !tensor.values.is_empty() && tensor.values.len().is_multiple_of(side) => {
                Ok(tensor.values.len() / side)
            }
            Some(tensor) => Err(format!("{name} has shape {:?}, which does not fit this layer", tensor.shape)),
            None => Err(format!("{name} is missing")),
        }
    }

    fn oft(&self) -> Result<Oft, String> {
        let outputs = self.layer.outputs();
        let (name, blocks) = match self.tensors.get("oft_blocks") {
            Some(blocks) => ("oft_blocks", blocks),
            None => ("oft_diag", &self.tensors["oft_diag"]),
        };
        let misfit = || format!("{name} has shape {:?}, which does not fit {outputs} outputs", blocks.shape);
        let (stages, side) = match blocks.shape {
            [count, side, other] if side == other && count * side == outputs => (None, *side),
            [stages, count, side, other] if side == other && count * side == outputs => (Some(*stages), *side),
            _ => return Err(misfit()),
        };
        if let Some(stages) = stages {
            let reach = u32::try_from(stages).ok().and_then(|stages| side.checked_shl(stages.saturating_sub(1)));
            if side % 2 != 0 || stages == 0 || !reach.is_some_and(|reach| outputs.is_multiple_of(reach)) {
                return Err(misfit());
            }
        }
        let rotations = if name == "oft_diag" {
            blocks.values.to_vec()
        } else {
            let constraint = self.scalar("alpha")?.filter(|alpha| *alpha != 0.0).map(|alpha| alpha * outputs as f64);
            Skew { blocks: blocks.values, side, constraint }.rotations()?
        };
        let rotations = rotations.chunks_exact(outputs * side).map(<[f32]>::to_vec).collect();
        let rescale = match self.tensors.contains_key("rescale") {
            true => Some(self.sized("rescale", outputs)?.to_vec()),
            false => None,
        };
        let scale = self.scalar("scale")?.unwrap_or(1.0);
        Ok(Oft { rotations, side, is_butterfly: stages.is_some(), rescale, scale })
    }

    /// The magnitudes of DoRA: one for each input, as the web UI knows them, or for each output, as newer LyCORIS.
    fn magnitudes(&self) -> Result<Option<Magnitudes>, String> {
        let Some(tensor) = self.tensors.get("dora_scale") else { return Ok(None) };
        let side = match tensor.shape {
            [1, count, ..] if *count == self.layer.inputs() && tensor.values.len() == *count => Side::Inputs,
            _ if tensor.values.len() == self.layer.outputs() => Side::Outputs,
            shape => return Err(format!("dora_scale has shape {shape:?}, which does not fit this layer")),
        };
        Ok(Some(Magnitudes { values: tensor.values.to_vec(), side }))
    }
}
