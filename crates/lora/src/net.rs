//! Nets for painting: LoRAs and their relatives of every kind, fitted to a checkpoint, and attached with a strength for
//! each module as the AUTOMATIC1111 web UI does it.
//!
//! Training reads a file as a [`crate::LoraNetwork`], which knows the kinds that are trained here; this reads all kinds and
//! says what of a file is not used.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::bail;
use burn::tensor::Device;
use lorabake_adapter::{NetModule, NetTensor, NetUse, NormChange, NormId, SiteId};
use lorabake_model::Bundle;
use lorabake_recipe::network::Scope;
use lorabake_weights::Part;
use lorabake_weights::keys::webui;
use lorabake_weights::lora::{ModuleTensor, NetFile, NetFileModule};

use crate::attach::Attached;
use crate::network::parts;

/// A net that fits a checkpoint.
#[derive(Debug, Clone)]
pub struct Net {
    /// Its modules in the order of the layers, the text encoders' first.
    pub modules: Vec<NetLayer>,
    /// Names of the file's modules that met no layer of the checkpoint.
    pub unmet: Vec<String>,
    /// What else of the file is not used, and why.
    pub problems: Vec<String>,
    /// Embeddings that lie in the file, by name: their tensors by what follows the name.
    pub embeddings: BTreeMap<String, BTreeMap<String, ModuleTensor>>,
}

/// A net's module on its layer.
#[derive(Debug, Clone)]
pub struct NetLayer {
    /// The web UI's name of the layer, such as `diffusion_model_middle_block_1_proj_in`.
    pub name: String,
    /// One of the text encoders, or the UNet.
    pub part: Part,
    /// What is changed, and how.
    pub change: NetChange,
}

/// What a module changes, and how.
#[derive(Debug, Clone)]
pub enum NetChange {
    /// A layer.
    Layer(SiteId, Box<NetModule>),
    /// A norm.
    Norm(NormId, NormChange),
}

/// How strong a net is.
#[derive(Clone, Copy)]
pub struct NetStrength<'a> {
    /// In the text encoders.
    pub text: f64,
    /// In the UNet.
    pub unet: f64,
    /// Ranks that are used of a plain LoRA, the first ones; all of them if `None`.
    pub ranks: Option<NonZeroUsize>,
    /// What the strength of a module is multiplied with beside; it is given the web UI's name of the layer.
    pub ratio: &'a dyn Fn(&str) -> f64,
}

impl std::fmt::Debug for NetStrength<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { text, unet, ranks, ratio: _ } = self;
        f.debug_struct("NetStrength").field("text", text).field("unet", unet).field("ranks", ranks).finish()
    }
}

impl NetStrength<'_> {
    /// The strength of the module that the web UI calls `name`.
    pub fn of(&self, name: &str) -> f64 {
        let of_network = if webui::is_text(name) { self.text } else { self.unet };
        of_network * (self.ratio)(name)
    }
}

impl Net {
    /// Reads the file at `path` for the networks of `bundle`.
    ///
    /// # Errors
    /// When the file cannot be read, is no net, is one of another family, or has modules that do not fit their layers.
    pub fn open(path: &Path, bundle: &Bundle) -> anyhow::Result<Self> {
        Self::from_file(NetFile::open(path)?, &path.display().to_string(), bundle)
    }

    /// The net of a file for the networks of `bundle`; `label` stands for its path in messages.
    ///
    /// # Errors
    /// When it is one of another family, or has modules that do not fit their layers, or none that meets one.
    pub fn from_file(file: NetFile, label: &str, bundle: &Bundle) -> anyhow::Result<Self> {
        if let Some(family) = file.family().filter(|family| *family != bundle.family) {
            bail!(
                "{label}: it was trained for {}, and this checkpoint is {}; give a LoRA or a checkpoint of the same \
                 family",
                family.name(),
                bundle.family.name()
            );
        }
        let Fitted { modules, met, misfits } = fit(&file, bundle);
        if let Some(first) = misfits.first() {
            bail!(
                "{label}: {first} ({} such in all); the file is damaged, or was made for another model",
                misfits.len()
            );
        }
        let mut unmet: Vec<String> = file.modules.iter().map(|module| module.name.clone()).collect();
        unmet.retain(|name| !met.contains(name));
        if modules.is_empty() {
            let first = unmet.first().map_or("it has none", String::as_str);
            bail!(
                "{label}: none of its {} modules meets a layer of this checkpoint (first: {first}); give a LoRA that \
                 was made for {}",
                file.modules.len(),
                bundle.family.name()
            );
        }
        let problems = file.problems.iter().map(ToString::to_string).collect();
        Ok(Self { modules, unmet, problems, embeddings: file.embeddings })
    }

    /// Number of modules that act on one part.
    pub fn count(&self, part: Part) -> usize {
        self.modules.iter().filter(|module| module.part == part).count()
    }

    /// Number of modules that add nothing, whatever their strength: values of zeros, as a training that failed leaves them.
    pub fn idle(&self) -> usize {
        let is_nothing = |layer: &&NetLayer| match &layer.change {
            NetChange::Layer(_, module) => module.is_nothing(),
            NetChange::Norm(_, change) => change.is_nothing(),
        };
        self.modules.iter().filter(is_nothing).count()
    }

    /// Adds the net to those in `to`, behind them; returns its number for [`Attached::with_factors`].
    ///
    /// The order of nets matters where a change depends on the weight (OFT, BOFT, IA3, GLoRA, DoRA): it is computed on the
    /// weight as the nets before have made it.
    pub fn attach(&self, strength: NetStrength<'_>, bundle: &Bundle, device: &Device, to: &mut Attached) -> usize {
        let net = to.nets;
        to.nets += 1;
        for NetLayer { name, part, change } in &self.modules {
            let how = NetUse { strength: strength.of(name), ranks: strength.ranks, net };
            let adapters = to.part_mut(*part);
            match change {
                NetChange::Layer(site, module) => {
                    let sites = bundle.sites(*part).expect("a module stands on a network");
                    adapters.attach_net(sites, *site, module, how, device);
                }
                NetChange::Norm(norm, change) => adapters.attach_norm(*norm, change.clone(), how.strength, net),
            }
        }
        net
    }
}

/// What of a file fits a checkpoint.
#[derive(Default)]
struct Fitted {
    modules: Vec<NetLayer>,
    /// Names of modules in the file that met a layer.
    met: BTreeSet<String>,
    /// What is wrong with modules that do not fit their layers.
    misfits: Vec<String>,
}

fn fit(file: &NetFile, bundle: &Bundle) -> Fitted {
    let by_name: BTreeMap<&str, &NetFileModule> =
        file.modules.iter().map(|module| (module.name.as_str(), module)).collect();
    let mut fitted = Fitted::default();
    for (part, sites) in parts(Scope::Both, bundle) {
        let find = |path: &str| names(bundle, part, path).iter().find_map(|name| by_name.get(name.as_str()).copied());
        let called = |path: &str, found: &NetFileModule| {
            webui::layer_name(bundle.family, &bundle.names, part, path).unwrap_or_else(|| found.name.clone())
        };
        for (site, layer) in sites.iter() {
            let Some(found) = find(&layer.path) else { continue };
            let change = NetModule::fit(layer.layer, &tensors(found));
            let change = change.map(|module| NetChange::Layer(site, Box::new(module)));
            fitted.add(part, called(&layer.path, found), found, change);
        }
        for (norm, layer) in sites.norms() {
            let Some(found) = find(&layer.path) else { continue };
            let change = NormChange::fit(layer.width, &tensors(found)).map(|change| NetChange::Norm(norm, change));
            fitted.add(part, called(&layer.path, found), found, change);
        }
    }
    fitted
}

impl Fitted {
    /// Takes the module `found`, which the web UI calls `name`.
    fn add(&mut self, part: Part, name: String, found: &NetFileModule, change: Result<NetChange, String>) {
        self.met.insert(found.name.clone());
        match change {
            Ok(change) => self.modules.push(NetLayer { name, part, change }),
            Err(reason) => self.misfits.push(format!("{}: {reason}", found.name)),
        }
    }
}

/// The names that files may have for a layer: ours, other trainers', the web UI's.
fn names(bundle: &Bundle, part: Part, path: &str) -> Vec<String> {
    let mut names: Vec<String> = bundle.names.module(part, path).into_iter().collect();
    names.extend(bundle.names.others(part, path));
    names.extend(webui::layer_name(bundle.family, &bundle.names, part, path));
    names
}

fn tensors(module: &NetFileModule) -> BTreeMap<&str, NetTensor<'_>> {
    let tensors = module.tensors.iter();
    tensors.map(|(name, tensor)| (name.as_str(), NetTensor { shape: &tensor.shape, values: &tensor.values })).collect()
}
