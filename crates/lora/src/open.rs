//! Modules from a LoRA file: all of it as it is, or its values for modules of our own.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, anyhow, bail};
use lorabake_adapter::{AdapterSpec, DyLoraKind, LoraKind, Method, NamedShapes};
use lorabake_model::Bundle;
use lorabake_recipe::network::Scope;
use lorabake_recipe::network::adapter::AdapterSettings;
use lorabake_recipe::network::algo::Algo;
use lorabake_weights::lora::{LoraFile, LoraModule};

use crate::network::{LoraNetwork, NetworkModule, parts};

impl LoraNetwork {
    /// Exactly the modules of a LoRA file, of the kinds, ranks and alphas that they have there.
    ///
    /// # Errors
    /// When the file has modules for layers that these networks lack, or of another size.
    pub fn from_file(file: &LoraFile, label: &str, bundle: &Bundle) -> Result<Self> {
        if let Some(family) = file.family().filter(|family| *family != bundle.family) {
            bail!("{label}: it was trained for {}, and this checkpoint is {}", family.name(), bundle.family.name());
        }
        let by_name: BTreeMap<&str, _> = file.modules.iter().map(|module| (module.name.as_str(), module)).collect();
        if let Some(problem) = file.problems.first() {
            bail!("{label}: {problem} ({} such in all)", file.problems.len());
        }
        let (mut modules, mut found) = (Vec::new(), BTreeSet::new());
        for (part, sites) in parts(Scope::Both, bundle) {
            for (site, _) in sites.iter() {
                let Some(name) = bundle.names.module(part, &sites.get(site).path) else { continue };
                let others = bundle.names.others(part, &sites.get(site).path);
                let module =
                    by_name.get(name.as_str()).or_else(|| others.iter().find_map(|name| by_name.get(name.as_str())));
                let Some(module) = module else { continue };
                found.insert(module.name.as_str());
                let spec = AdapterSpec::of_tensors(sites, site, f64::from(module.alpha), &named(module));
                let spec =
                    spec.map_err(|reason| anyhow!("{label}: {name}: {reason}; the LoRA was made for another model"))?;
                let values = take(&spec, module).map_err(|key| anyhow!("{label}: {name}.{key} is of another size"))?;
                modules.push(NetworkModule { name, part, spec, values });
            }
        }
        if modules.len() < file.modules.len() {
            let stranger = by_name.keys().find(|name| !found.contains(*name)).expect("one is left over");
            bail!(
                "{label}: {} of its {} modules match no layer of this checkpoint (first: {stranger}); \
                 the LoRA was made for another model",
                file.modules.len() - modules.len(),
                file.modules.len()
            );
        }
        Ok(Self { modules })
    }

    /// Takes the values of `other` wherever names agree; returns how many modules were taken and the names that found no
    /// place.
    ///
    /// # Errors
    /// When a module is of another kind or rank, naming it.
    pub fn take_values(&mut self, other: &Self) -> Result<(usize, Vec<String>)> {
        let mut left: BTreeMap<&str, &NetworkModule> = other.modules.iter().map(|m| (m.name.as_str(), m)).collect();
        let mut taken = 0;
        for module in &mut self.modules {
            let Some(source) = left.remove(module.name.as_str()) else { continue };
            let tensors = source.spec.to_file(&source.values);
            let get = |leaf: &str| tensors.iter().find(|tensor| tensor.leaf == leaf).map(|tensor| &tensor.values[..]);
            module.values = module.spec.of_file(get).map_err(|_| misfit(module, source))?;
            taken += 1;
        }
        Ok((taken, left.into_keys().map(str::to_string).collect()))
    }

    /// Modules of DyLoRA in place of plain ones, where the recipe asks for that: files do not tell the two apart.
    ///
    /// # Errors
    /// When a module is of a kind that the recipe does not train, or its rank is no multiple of the blocks' size.
    pub fn in_blocks(&mut self, adapter: &AdapterSettings, bundle: &Bundle) -> Result<()> {
        if !matches!(adapter, AdapterSettings::Lycoris(_))
            && let Some(other) = self.modules.iter().find(|m| m.spec.dora.is_some() || m.spec.method.name() != "LoRA")
        {
            let kind = if other.spec.dora.is_some() { "DoRA" } else { other.spec.method.name() };
            bail!("--network_weights: {} is a {kind}; give network_module=lycoris.kohya", other.name);
        }
        let blocks = match adapter {
            AdapterSettings::DyLora(blocks) => blocks,
            AdapterSettings::Lycoris(lycoris) => match &lycoris.algo {
                Algo::DyLora(blocks) => blocks,
                _ => return Ok(()),
            },
            AdapterSettings::Lora => return Ok(()),
        };
        for module in &mut self.modules {
            let Method::Lora(LoraKind { size, .. }) = module.spec.method else { continue };
            if !size.rank.is_multiple_of(blocks.size) {
                bail!(
                    "--network_weights: {} has rank {}, which blocks of {} do not divide",
                    module.name,
                    size.rank,
                    blocks.size
                );
            }
            let sites = bundle.sites(module.part).expect("a module stands on a network");
            let spec =
                AdapterSpec::new(sites, module.spec.site, Method::DyLora(DyLoraKind { size, blocks: *blocks }), None);
            let tensors = module.spec.to_file(&module.values);
            let get = |leaf: &str| tensors.iter().find(|tensor| tensor.leaf == leaf).map(|tensor| &tensor.values[..]);
            module.values = spec.of_file(get).map_err(|key| anyhow!("--network_weights: {}.{key}", module.name))?;
            module.spec = spec;
        }
        Ok(())
    }
}

fn named(module: &LoraModule) -> NamedShapes<'_> {
    let shapes = module.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.shape.as_slice())).collect();
    NamedShapes { shapes, on_input: module.on_input }
}

/// The values of a file's module in the order of the spec; the key of what does not fit otherwise.
fn take(spec: &AdapterSpec, module: &LoraModule) -> Result<Vec<Vec<f32>>, String> {
    spec.of_file(|name| module.tensors.get(name).map(|tensor| tensor.values.as_slice()))
}

/// Why a file's module cannot be the start of ours.
fn misfit(ours: &NetworkModule, file: &NetworkModule) -> anyhow::Error {
    let rank = |module: &NetworkModule| module.spec.method.size().map_or(0, |size| size.rank);
    let (name, kind, other) = (&ours.name, file.spec.method.name(), ours.spec.method.name());
    if kind != other && !(kind == "LoRA" && other == "DyLoRA") {
        return anyhow!("--network_weights: {name} is a {kind} in the file and the options ask for a {other}");
    }
    anyhow!(
        "--network_weights: {name} has rank {} in the file and network_dim asks for {}, or they differ in another setting; \
         use those of the file or --dim_from_weights",
        rank(file),
        rank(ours)
    )
}
