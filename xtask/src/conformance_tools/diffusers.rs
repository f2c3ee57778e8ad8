//! diffusers with a net: what its networks predict, beside ours with that net merged, attached, and converted to diffusers'
//! and ComfyUI's names and back.
//!
//! diffusers leaves parts of some nets out, and so do its numbers; what it leaves out is left out here too before they are
//! compared. The nets themselves are compared as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lorabake_recipe::model::Family;
use lorabake_recipe::output::SavePrecision;
use lorabake_surgery::block::canonical;
use lorabake_surgery::convert::nets::{Alpha, ConvertNet, Form, convert_net};
use lorabake_surgery::like::Like;
use lorabake_surgery::matrix::norm;
use lorabake_surgery::merge::into_model::{IntoModel, into_model};
use lorabake_surgery::net::{NetUse, Strength};
use lorabake_weights::Part;
use lorabake_weights::formats::tensor_file::TensorFile;
use lorabake_weights::keys::net_forms::ModuleLayer;
use lorabake_weights::lora::{ModuleTensor, NetTensors, RawTensor, save_raw};
use lorabake_weights::stream;
use safetensors::Dtype;
use serde_json::Value;

use super::Verdict;
use super::check;
use super::pack::Pack;
use super::predictions::{Predictions, With};

/// Of the change that a net makes.
const TOLERANCE: f64 = 3e-4;
/// Where that change is so small, of the prediction, that f32's rounding shows in it, and what it then may be.
const SMALL: (f64, f64) = (1e-3, 2e-2);
/// Of how many predictions such a change is the mean, so that our rounding shows less.
const TIMES: usize = 9;

/// Replays a case.
///
/// # Errors
/// When files cannot be read, or what is done here is refused.
pub fn case(pack: &Pack, name: &str, value: &Value) -> Result<Verdict> {
    let family = match value["family"].as_str() {
        Some("sdxl") => Family::Sdxl,
        Some("sd2") => Family::Sd2,
        _ => Family::Sd1,
    };
    let own = value["family"].as_str().context("a family")?;
    let case = Replay {
        pack,
        family,
        model: pack.model(&format!("models/{own}_tiny"))?,
        net: pack.file(value["model"].as_str().context("a net")?),
        weight: value["weight"].as_f64().context("a weight")?,
        predictions: Predictions::open(pack, own, family)?,
    };
    for verdict in [case.names(value)?, case.conversions()?, case.their_predictions(name)?, case.our_predictions()?] {
        if !matches!(verdict, Verdict::Same) {
            return Ok(verdict);
        }
    }
    Ok(Verdict::Same)
}

struct Replay<'p> {
    pack: &'p Pack,
    family: Family,
    model: PathBuf,
    net: PathBuf,
    weight: f64,
    predictions: Predictions,
}

impl Replay<'_> {
    /// The net in another form.
    fn converted(&self, from: &Path, form: Form, name: &str) -> Result<PathBuf> {
        let mut output = self.pack.output(Some(SavePrecision::F32));
        output.path.set_file_name(format!("{name}.safetensors"));
        let request = ConvertNet {
            path: from.to_path_buf(),
            form,
            family: Some(self.family),
            parts: Part::ADAPTED.to_vec(),
            blocks: Vec::new(),
            scale: 1.0,
            alpha: Alpha::Same,
            embeddings: true,
            added: Vec::new(),
        };
        convert_net(&request, &output)?;
        Ok(output.path)
    }

    /// The names of the UNet's factors are diffusers'.
    fn names(&self, value: &Value) -> Result<Verdict> {
        let Some(recorded) = value["peft_unet_keys"].as_array() else { return Ok(Verdict::Same) };
        let theirs: BTreeSet<&str> = recorded.iter().filter_map(Value::as_str).collect();
        let converted = TensorFile::open(&self.converted(&self.net, Form::Diffusers, "names")?)?;
        let mut ours = BTreeSet::new();
        for name in converted.names() {
            let Some(key) = name.strip_prefix("unet.") else { continue };
            if key.ends_with("lora_magnitude_vector") || is_dropped(key) {
                continue;
            }
            // What was recorded has lost every `.a`, the name of its adapter.
            ours.insert(key.replace(".a", ""));
        }
        let ours: BTreeSet<&str> = ours.iter().map(String::as_str).collect();
        Ok(match theirs.symmetric_difference(&ours).next() {
            Some(name) => Verdict::Differs(format!("{name} has either theirs or ours alone")),
            None => Verdict::Same,
        })
    }

    /// What modules add is the same in every form, and in kohya's once more.
    fn conversions(&self) -> Result<Verdict> {
        let before = self.products(&self.net)?;
        for (form, name) in [(Form::Diffusers, "diffusers"), (Form::Comfyui, "comfyui")] {
            let there = self.converted(&self.net, form, name)?;
            let back = self.converted(&there, Form::Kohya, "back")?;
            for path in [there, back] {
                let after = self.products(&path)?;
                if before.len() != after.len() {
                    let counts = format!("{} modules of {}", after.len(), before.len());
                    return Ok(Verdict::Differs(format!("as {name} it has {counts}")));
                }
                for (module, delta) in &before {
                    let error = after.get(module).map_or(f64::INFINITY, |own| check::apart(own, delta));
                    if error > 1e-6 {
                        return Ok(Verdict::Differs(format!("as {name} {module} is {error:.1e} apart")));
                    }
                }
            }
        }
        Ok(Verdict::Same)
    }

    /// What modules add, by layer, with the magnitudes of DoRA as they are.
    fn products(&self, path: &Path) -> Result<BTreeMap<String, Vec<f32>>> {
        let mut all = BTreeMap::new();
        for (module, product) in check::products(path)? {
            all.insert(canonical(&module, self.family), product.delta.values);
        }
        let net = NetTensors::open(path)?;
        for module in net.modules() {
            if let Some(magnitudes) = net.read(module)?.remove("dora_scale") {
                all.insert(format!("{} dora_scale", canonical(module, self.family)), magnitudes.values);
            }
        }
        Ok(all)
    }

    /// A model with a net in it.
    fn merged(&self, net: &Path) -> Result<PathBuf> {
        let mut output = self.pack.output(Some(SavePrecision::F32));
        output.path.set_file_name("merged.safetensors");
        let request = IntoModel {
            model: self.model.clone(),
            vae: None,
            nets: vec![NetUse { path: net.to_path_buf(), strength: Strength::everywhere(self.weight) }],
            like: Like::Ours,
            without_averages: false,
        };
        into_model(&request, &output, BTreeMap::new(), &|_, _| true)?;
        Ok(output.path)
    }

    /// Our networks with what diffusers reads of the net, beside what its networks gave.
    fn their_predictions(&self, name: &str) -> Result<Verdict> {
        let net = self.as_diffusers_reads()?;
        let known = &self.predictions;
        let recorded = known.recorded(&format!("{name}.pred"))?;
        let base = known.recorded_base("pred")?;
        let change = less(&recorded, &base);
        let is_small = norm(&change) < SMALL.0 * norm(&base);
        let (tolerance, times) = if is_small { (SMALL.1, TIMES) } else { (TOLERANCE, 1) };
        let without = With { model: &self.model, net: None };
        let merged = self.merged(&net)?;
        for (how, with) in [
            ("merged", With { model: &merged, net: None }),
            ("attached", With { model: &self.model, net: Some((&net, self.weight)) }),
        ] {
            let error = check::apart(&known.change(&without, &with, times)?, &change);
            if error > tolerance {
                return Ok(Verdict::Differs(format!("the UNet with the net {how} is {error:.1e} of its change apart")));
            }
        }
        if !is_whole_in_text(&NetTensors::open(&net)?) {
            return Ok(Verdict::Same);
        }
        let recorded = known.normed(&self.model, &known.recorded(&format!("{name}.te0"))?)?;
        let base = known.normed(&self.model, &known.recorded_base("te0")?)?;
        let ours = less(&known.text_states(&merged, base.len())?, &known.text_states(&self.model, base.len())?);
        let error = check::apart(&ours, &less(&recorded, &base));
        if error > TOLERANCE {
            return Ok(Verdict::Differs(format!("text states are {error:.1e} of their change apart")));
        }
        Ok(Verdict::Same)
    }

    /// Our networks with the whole net merged, attached, and attached in diffusers' form: the same.
    fn our_predictions(&self) -> Result<Verdict> {
        let known = &self.predictions;
        let without = With { model: &self.model, net: None };
        let merged = self.merged(&self.net)?;
        let change = known.change(&without, &With { model: &merged, net: None }, TIMES)?;
        let is_small = norm(&change) < SMALL.0 * norm(&known.recorded_base("pred")?);
        let tolerance = if is_small { SMALL.1 } else { TOLERANCE };
        let in_form = self.converted(&self.net, Form::Diffusers, "form")?;
        for (how, net) in [("attached", &self.net), ("in diffusers' form", &in_form)] {
            let with = With { model: &self.model, net: Some((net, self.weight)) };
            let error = check::apart(&known.change(&without, &with, TIMES)?, &change);
            if error > tolerance {
                return Ok(Verdict::Differs(format!("{how} it is {error:.1e} of its change from what it is merged")));
            }
        }
        Ok(Verdict::Same)
    }

    /// The net without what diffusers 0.35 leaves out: magnitudes of DoRA, layers that it has no name for; and with the
    /// usual alpha of the part where a module has none.
    fn as_diffusers_reads(&self) -> Result<PathBuf> {
        let net = NetTensors::open(&self.net)?;
        let mut alphas: BTreeMap<Part, BTreeMap<u32, usize>> = BTreeMap::new();
        let mut modules = Vec::new();
        for name in net.modules() {
            let layer = ModuleLayer::of_kohya(name, self.family).with_context(|| format!("{name} is no layer"))?;
            if is_dropped(&layer.path) {
                continue;
            }
            let mut tensors = net.read(name)?;
            tensors.remove("dora_scale");
            if let Some(alpha) = tensors.get("alpha").and_then(|alpha| alpha.values.first()) {
                *alphas.entry(layer.part).or_default().entry(alpha.to_bits()).or_default() += 1;
            }
            modules.push((name, layer.part, tensors));
        }
        let mut raw = Vec::new();
        for (name, part, mut tensors) in modules {
            let usual = alphas.get(&part).and_then(|counts| counts.iter().max_by_key(|(_, count)| **count));
            if let (false, Some((alpha, _))) = (tensors.contains_key("alpha"), usual) {
                let alpha = ModuleTensor { shape: Vec::new(), values: vec![f32::from_bits(*alpha)] };
                tensors.insert("alpha".into(), alpha);
            }
            for (leaf, tensor) in tensors {
                let bytes = stream::encode(&tensor.values, Dtype::F32).bytes;
                raw.push(RawTensor { name: format!("{name}.{leaf}"), dtype: Dtype::F32, shape: tensor.shape, bytes });
            }
        }
        if raw.is_empty() {
            bail!("diffusers reads nothing of {}", self.net.display());
        }
        let mut output = self.pack.output(None);
        output.path.set_file_name("read.safetensors");
        save_raw(&output.path, raw, net.metadata().clone())?;
        Ok(output.path)
    }
}

/// Whether diffusers 0.35 leaves a layer of the UNet out.
fn is_dropped(path: &str) -> bool {
    ["conv_in", "conv_out", "time_embedding", "add_embedding"].iter().any(|start| path.starts_with(start))
}

/// Whether diffusers reads all of a net's modules of the first text encoder: it leaves attention out where no `out_proj` is.
fn is_whole_in_text(net: &NetTensors) -> bool {
    let is_own = |name: &&str| name.starts_with("lora_te_") || name.starts_with("lora_te1_");
    net.modules().filter(is_own).any(|name| name.ends_with("out_proj"))
}

/// What numbers have more than others.
fn less(ours: &[f32], others: &[f32]) -> Vec<f32> {
    ours.iter().zip(others).map(|(ours, others)| ours - others).collect()
}
