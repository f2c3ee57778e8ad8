//! The networks of a prompt in memory, and how strong each is at a step.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use burn::tensor::Device;
use lorabake_adapter::Adapters;
use lorabake_lora::{Attached, HyperNet, Net, NetStrength};
use lorabake_model::Bundle;
use lorabake_weights::Part;

use crate::embedding::EmbeddingTable;
use crate::prompt::networks::{Multiplier, NetworkKind, NetworkUse, Pass, Window};

/// Networks of one prompt. Far more than anybody means, and each takes memory and time at every step.
const MOST_NETWORKS: usize = 256;

/// A network with its file.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundNetwork {
    /// What the prompt says of it.
    pub used: NetworkUse,
    /// The file.
    pub path: PathBuf,
}

/// Networks that act together.
#[derive(Debug, Default)]
pub struct Nets {
    attached: Attached,
    acting: Vec<Acting>,
    text_key: String,
    /// What each of them met, in the order of the prompt.
    pub reports: Vec<NetReport>,
    /// Names that stand for vectors: those of folders, and of the files of these networks.
    pub embeddings: EmbeddingTable,
}

/// What of a network changes over the steps.
#[derive(Debug, Clone)]
struct Acting {
    unet: Multiplier,
    window: Window,
}

/// What a network met.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NetReport {
    /// The file.
    pub path: PathBuf,
    /// Modules that act on text encoders.
    pub text_modules: usize,
    /// Modules that act on the UNet.
    pub unet_modules: usize,
    /// Names of modules that met no layer.
    pub unmet: Vec<String>,
    /// What else the user should know.
    pub notes: Vec<String>,
}

impl NetReport {
    /// What to tell of it, a line each: what acts and how strongly, and what met nothing.
    pub fn lines(&self, network: &FoundNetwork) -> Vec<String> {
        let Self { path, text_modules, unet_modules, unmet, notes } = self;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let NetworkUse { te, unet, blocks, kind, .. } = &network.used;
        if *kind == NetworkKind::Hypernet {
            return vec![format!("{name}: strength {unet} in attention")];
        }
        if te.constant() == Some(0.0) && unet.constant() == Some(0.0) {
            return vec![format!("note: {name}: its strength is 0, so it does nothing")];
        }
        let by_block = if blocks.is_plain() { "" } else { ", weighted by block" };
        let mut lines = vec![format!(
            "{name}: strength {te} on {text_modules} modules of text encoders, {unet} on {unet_modules} of the UNet{by_block}"
        )];
        if let Some(first) = unmet.first() {
            lines.push(format!("note: {name}: {} of its modules met no layer, such as {first}", unmet.len()));
        }
        for note in notes {
            lines.push(format!("note: {name}: {note}"));
        }
        lines
    }
}

/// Tags that begin after the last of `steps` or end before the first, with a note for each.
pub fn never_on(networks: &[FoundNetwork], steps: usize) -> Vec<String> {
    let mut notes = Vec::new();
    for used in networks.iter().map(|network| &network.used) {
        if !(0..steps).any(|counter| used.window.is_on(counter, Pass::First)) {
            notes.push(format!("{}: it is never on in the UNet, whose steps are {steps}", used.tag));
        }
    }
    notes
}

/// When a strength is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetMoment {
    /// The step as the web UI's extensions see it.
    pub counter: usize,
    /// Steps of the pass.
    pub steps: usize,
    /// Which pass it is.
    pub pass: Pass,
}

impl Nets {
    /// Reads the files of `networks` for `bundle`; embeddings that lie in them come behind `embeddings`.
    ///
    /// # Errors
    /// When a file cannot be read, is none, or does not fit, and when there are too many.
    pub fn open(
        networks: &[FoundNetwork],
        bundle: &Bundle,
        device: &Device,
        embeddings: EmbeddingTable,
    ) -> Result<Self> {
        if networks.len() > MOST_NETWORKS {
            bail!("the prompt names {} networks; {MOST_NETWORKS} are the most", networks.len());
        }
        let mut nets = Self { embeddings, ..Self::default() };
        // LoRAs that are named again further on.
        let mut kept: BTreeMap<&Path, Net> = BTreeMap::new();
        for (index, network) in networks.iter().enumerate() {
            let FoundNetwork { used, path } = network;
            if used.kind == NetworkKind::Hypernet {
                nets.add_hypernetwork(used, path, bundle, device)?;
                continue;
            }
            let net = match kept.remove(path.as_path()) {
                Some(net) => net,
                None => Net::open(path, bundle)?,
            };
            nets.add(network, &net, bundle, device)?;
            if networks[index + 1..].iter().any(|later| later.path == *path) {
                kept.insert(path, net);
            }
        }
        Ok(nets)
    }

    fn add(&mut self, network: &FoundNetwork, net: &Net, bundle: &Bundle, device: &Device) -> Result<()> {
        let FoundNetwork { used, path } = network;
        let label = path.display().to_string();
        self.embeddings.add_bundled(&net.embeddings, &label);
        let ratio = |name: &str| used.blocks.ratio(name);
        // A strength that changes over the steps is a factor of 1 times what `unet_at` says.
        let unet = used.unet.constant().unwrap_or(1.0);
        let ranks = used.dyn_dim.and_then(NonZeroUsize::new);
        if used.dyn_dim == Some(0) {
            bail!("{}: dyn=0 leaves nothing of it; leave the tag out", used.tag);
        }
        let strength = NetStrength { text: used.te.at(0, 1), unet, ranks, ratio: &ratio };
        net.attach(strength, bundle, device, &mut self.attached);
        self.text_key += &format!("{path:?} {:?} {:?} {:?}\n", used.te, used.dyn_dim, used.blocks);
        self.acting.push(Acting { unet: used.unet.clone(), window: used.window });
        let unet_modules = net.count(Part::Unet);
        let idle = net.idle();
        let mut notes = net.problems.clone();
        if idle == net.modules.len() {
            notes.push("it adds nothing: all of its modules are zero; it was saved before it was trained".to_owned());
        } else if idle > 0 {
            notes.push(format!("{idle} of its modules add nothing"));
        }
        self.reports.push(NetReport {
            path: path.to_owned(),
            text_modules: net.modules.len() - unet_modules,
            unet_modules,
            unmet: net.unmet.clone(),
            notes,
        });
        Ok(())
    }

    fn add_hypernetwork(&mut self, used: &NetworkUse, path: &Path, bundle: &Bundle, device: &Device) -> Result<()> {
        let net = HyperNet::open(path, bundle)?;
        net.attach(used.unet.constant().unwrap_or(1.0), device, &mut self.attached);
        self.acting.push(Acting { unet: used.unet.clone(), window: used.window });
        let unmet = net.unmet.iter().map(|width| format!("its networks of width {width}")).collect();
        self.reports.push(NetReport { path: path.to_owned(), unmet, ..NetReport::default() });
        Ok(())
    }

    /// What acts on text encoders, as a text: networks of the same text make the same of a prompt.
    pub fn text_key(&self) -> &str {
        &self.text_key
    }

    /// What acts on text encoders.
    pub fn attached(&self) -> &Attached {
        &self.attached
    }

    /// What acts on the UNet at a step.
    pub fn unet_at(&self, moment: NetMoment) -> Adapters {
        let mut factors = Vec::with_capacity(self.acting.len());
        for acting in &self.acting {
            let strength = match acting.unet.constant() {
                Some(_) => 1.0,
                None => acting.unet.at(moment.counter, moment.steps),
            };
            factors.push(if acting.window.is_on(moment.counter, moment.pass) { strength } else { 0.0 });
        }
        if factors.iter().all(|factor| *factor == 1.0) {
            return self.attached.unet.clone();
        }
        self.attached.unet.with_factors(&factors)
    }
}
