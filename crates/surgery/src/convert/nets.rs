//! Nets in another naming, in part, or of another strength.
//!
//! diffusers' form has no alpha that all of its versions read, so the scale goes into the factors (alpha = rank). It has plain
//! LoRAs and DoRA along outputs alone.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lorabake_recipe::model::Family;
use lorabake_weights::Part;
use lorabake_weights::keys::net_forms::ModuleLayer;
use lorabake_weights::lora::{ModuleTensor, NetTensors};
use safetensors::Dtype;

use super::bundle::{Added, bundle};
use crate::block::Block;
use crate::error::{Error, Result};
use crate::kind;
use crate::lora_file::{self, Ready};
use crate::net;
use crate::output::Output;

/// A naming of modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// kohya's, which all web UIs read.
    Kohya,
    /// diffusers' and PEFT's.
    Diffusers,
    /// ComfyUI's own.
    Comfyui,
}

/// What becomes of alphas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Alpha {
    /// They stay.
    Same,
    /// They become the rank of each module; the change stays.
    Rank,
    /// They become this; the change stays.
    To(f64),
}

/// What is to be converted.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvertNet {
    /// The net.
    pub path: PathBuf,
    /// The naming of the result.
    pub form: Form,
    /// The family, where the file does not tell it.
    pub family: Option<Family>,
    /// Parts that stay.
    pub parts: Vec<Part>,
    /// Blocks that stay; all if there are none.
    pub blocks: Vec<Block>,
    /// What all changes are multiplied with.
    pub scale: f64,
    /// What becomes of alphas.
    pub alpha: Alpha,
    /// Embeddings in the file stay.
    pub embeddings: bool,
    /// Embeddings that are put into it.
    pub added: Vec<Added>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Converted {
    /// Modules in the result.
    pub kept: usize,
    /// Modules that were left out as asked.
    pub left: usize,
    /// Embeddings that were left out since the form has none.
    pub embeddings_left: usize,
}

/// A module on its way.
struct Module {
    name: String,
    layer: Option<ModuleLayer>,
    tensors: BTreeMap<String, ModuleTensor>,
}

/// Converts.
///
/// # Errors
/// When the file cannot be read, a module cannot be converted, or the result cannot be written.
pub fn convert_net(request: &ConvertNet, output: &Output) -> Result<Converted> {
    output.check(&[&request.path])?;
    let net = net::open(&request.path, None)?;
    let family = request.family.or(net.family()).unwrap_or(Family::Sd1);
    let dtype = dtype(&net, output);
    let mut converted = Converted::default();
    let mut ready = Vec::new();
    for name in net.modules() {
        let layer = ModuleLayer::of_kohya(name, family);
        let part = layer.as_ref().map(|layer| layer.part);
        let wanted = part.is_none_or(|part| request.parts.contains(&part))
            && (request.blocks.is_empty() || request.blocks.contains(&Block::of_module(name, family)));
        if !wanted {
            converted.left += 1;
            continue;
        }
        converted.kept += 1;
        let mut module = Module { name: name.to_string(), layer, tensors: net.read(name)? };
        let wrong = |what: String| {
            let remedy = "make a plain LoRA of it by `lorabake resize` first, or leave this option out";
            Error::wrong(net.label(), format!("{name}: {what}"), remedy)
        };
        whole(&net, name, &module.tensors)?;
        module.scale(request.scale).map_err(wrong)?;
        module.set_alpha(request.alpha).map_err(wrong)?;
        ready.push(match request.form {
            Form::Kohya => module.kohya(family, dtype),
            Form::Comfyui => module.comfyui(family, dtype).map_err(wrong)?,
            Form::Diffusers => module.diffusers(dtype).map_err(wrong)?,
        });
    }
    if converted.kept == 0 {
        let what = "nothing is left of it";
        return Err(Error::wrong(net.label(), what, "look at what --parts and --blocks leave"));
    }
    let of_file = if request.embeddings { net.embeddings().count() } else { 0 };
    if request.form == Form::Kohya {
        if request.embeddings || !request.added.is_empty() {
            ready.push(bundle(&net, &request.added, family, dtype, request.embeddings)?);
        }
    } else if !request.added.is_empty() {
        let what = "diffusers and ComfyUI read no embeddings in a LoRA";
        return Err(Error::wrong("--add_embedding", what, "give --to kohya, or leave it out"));
    } else {
        converted.embeddings_left = of_file;
    }
    let mut metadata = net.metadata().clone();
    metadata.retain(|key, _| !key.starts_with("sshs_") && key != "lora_adapter_metadata");
    lora_file::save(output, ready, metadata)?;
    Ok(converted)
}

/// # Errors
/// When the tensors of a module do not fit together, or hold what is no number.
fn whole(net: &NetTensors, name: &str, tensors: &BTreeMap<String, ModuleTensor>) -> Result<()> {
    match kind::Module::fit(tensors, None) {
        // Those kinds do not tell what they are for.
        Err(reason) if !reason.ends_with("which is needed") => {
            let what = format!("{name}: {reason}");
            Err(Error::wrong(net.label(), what, "the file is damaged; give another copy of it"))
        }
        _ => Ok(()),
    }
}

fn dtype(net: &NetTensors, output: &Output) -> Dtype {
    let mut sources = Vec::new();
    for module in net.modules() {
        for leaf in net.leaves(module).filter(|leaf| *leaf != "alpha") {
            sources.extend(net.dtype(module, leaf));
        }
    }
    lora_file::dtype(output, sources)
}

impl Module {
    fn has(&self, leaf: &str) -> bool {
        self.tensors.contains_key(leaf)
    }

    fn is_lora(&self) -> bool {
        self.has("lora_down.weight") && self.has("lora_up.weight")
    }

    fn rank(&self) -> usize {
        let names = ["lora_down.weight", "hada_w1_b", "lokr_w2_b", "lokr_w1_b", "a2.weight"];
        let found = names.iter().find_map(|name| self.tensors.get(*name)?.shape.first().copied());
        found.unwrap_or(1)
    }

    fn alpha(&self) -> f64 {
        let alpha = self.tensors.get("alpha").and_then(|alpha| alpha.values.first());
        alpha.map_or(self.rank() as f64, |alpha| f64::from(*alpha))
    }

    fn multiply(&mut self, leaf: &str, factor: f64) {
        if let Some(tensor) = self.tensors.get_mut(leaf) {
            tensor.values.iter_mut().for_each(|value| *value *= factor as f32);
        }
    }

    /// Multiplies the change.
    fn scale(&mut self, factor: f64) -> std::result::Result<(), String> {
        if factor == 1.0 {
            return Ok(());
        }
        if self.has("dora_scale") || self.has("oft_blocks") || self.has("oft_diag") {
            return Err("a DoRA, OFT or BOFT has no strength of its own".into());
        }
        for leaf in ["diff", "diff_b", "w_norm", "b_norm", "weight"] {
            self.multiply(leaf, factor);
        }
        if self.has("lokr_w1") && self.has("lokr_w2") {
            self.multiply("lokr_w1", factor);
        } else if self.is_lora()
            || self.has("hada_w1_a")
            || self.has("a1.weight")
            || self.has("lokr_w2_a")
            || self.has("lokr_w1_a")
        {
            let alpha = self.alpha() * factor;
            self.tensors.insert("alpha".into(), ModuleTensor { shape: Vec::new(), values: vec![alpha as f32] });
        }
        Ok(())
    }

    /// Sets the alpha and leaves the change as it is.
    fn set_alpha(&mut self, alpha: Alpha) -> std::result::Result<(), String> {
        let wanted = match alpha {
            Alpha::Same => return Ok(()),
            Alpha::Rank => self.rank() as f64,
            Alpha::To(wanted) => wanted,
        };
        if !self.is_lora() {
            if self.has("alpha") && !self.has("oft_blocks") {
                return Err("its alpha cannot be changed without its change".into());
            }
            return Ok(());
        }
        let factor = self.alpha() / wanted;
        if factor != 1.0 {
            self.multiply("lora_up.weight", factor);
        }
        self.tensors.insert("alpha".into(), ModuleTensor { shape: Vec::new(), values: vec![wanted as f32] });
        Ok(())
    }

    fn kohya(&self, family: Family, dtype: Dtype) -> Ready {
        let name = self.layer.as_ref().and_then(|layer| layer.kohya(family));
        let name = name.unwrap_or_else(|| self.name.clone());
        let mut ready = Ready::default();
        for (leaf, tensor) in &self.tensors {
            ready.push_same(format!("{name}.{leaf}"), tensor, dtype);
        }
        ready
    }

    fn comfyui(&self, family: Family, dtype: Dtype) -> std::result::Result<Ready, String> {
        let layer = self.layer.as_ref().ok_or("it is no layer that this form has")?;
        let name = layer.comfyui(family).ok_or("it is no layer that this form has")?;
        if self.has("weight") {
            return Err("ComfyUI reads no IA3".into());
        }
        let mut ready = Ready::default();
        for (leaf, tensor) in &self.tensors {
            ready.push_same(format!("{name}.{leaf}"), tensor, dtype);
        }
        Ok(ready)
    }

    fn diffusers(&mut self, dtype: Dtype) -> std::result::Result<Ready, String> {
        let layer = self.layer.as_ref().ok_or("it is no layer that diffusers has")?;
        let name = layer.diffusers().ok_or("it is no layer that diffusers has")?;
        let known = ["lora_up.weight", "lora_down.weight", "alpha", "dora_scale"];
        if !self.is_lora() || self.tensors.keys().any(|leaf| !known.contains(&leaf.as_str())) {
            return Err("diffusers has plain LoRAs and DoRAs only".into());
        }
        self.set_alpha(Alpha::Rank)?;
        let mut ready = Ready::default();
        let up = &self.tensors["lora_up.weight"];
        ready.push(
            format!("{name}.lora_A.weight"),
            self.tensors["lora_down.weight"].shape.clone(),
            &self.tensors["lora_down.weight"].values,
            dtype,
        );
        ready.push(format!("{name}.lora_B.weight"), up.shape.clone(), &up.values, dtype);
        if let Some(scale) = self.tensors.get("dora_scale") {
            let outputs = up.shape[0];
            if scale.values.len() != outputs || scale.shape.first() == Some(&1) && outputs != 1 {
                return Err("its magnitudes lie along inputs, which diffusers does not have".into());
            }
            let shape = if up.shape.len() == 4 { vec![1, outputs, 1, 1] } else { vec![outputs] };
            ready.push(format!("{name}.lora_magnitude_vector"), shape, &scale.values, dtype);
        }
        Ok(ready)
    }
}
