//! The adapters as the trainer holds them: named modules with host values, made from a plan or a file.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, anyhow, bail};
use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::{Adapters, Chance, Method, Named, Parameter, Planned, Sites, plan};
use lorabake_model::Bundle;
use lorabake_recipe::network::adapter::AdapterSettings;
use lorabake_recipe::network::algo::Algo;
use lorabake_recipe::network::{self, RankAlpha, Scope};
use lorabake_recipe::seed::Seed;
use lorabake_weights::Part;
use lorabake_weights::lora_file::{LoraFile, LoraModule};

use crate::chances::Chances;

/// One module: the adapter of one layer.
#[derive(Debug, Clone)]
pub struct Module {
    /// kohya's name, for instance `lora_unet_mid_block_attentions_0_proj_in`.
    pub name: String,
    /// One of the text encoders, or the UNet.
    pub part: Part,
    /// Layer, kind, size and parameters.
    pub plan: Planned,
    /// Values of each parameter, row-major.
    pub values: Vec<Vec<f32>>,
}

/// A tensor of a file: key, shape, values.
pub type FileTensor = (String, Vec<usize>, Vec<f32>);

/// All modules, the text encoders' first, each part in the order of its layers.
#[derive(Debug, Clone)]
pub struct Network {
    /// The modules.
    pub modules: Vec<Module>,
}

/// The adapters of all networks, ready for a forward pass.
#[derive(Debug, Clone, Default)]
pub struct Attached {
    /// The text encoders', in their order.
    pub texts: [Adapters; 2],
    /// The UNet's.
    pub unet: Adapters,
}

/// Strength of a LoRA in each network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strength {
    /// In the text encoder.
    pub text: f64,
    /// In the UNet.
    pub unet: f64,
}

impl Strength {
    /// As trained.
    pub const FULL: Self = Self { text: 1.0, unet: 1.0 };
}

impl Network {
    /// Fresh adapters: first values from the seed's stream `init`.
    pub fn fresh(settings: &network::Network, bundle: &Bundle, seed: Seed) -> Self {
        let mut modules = Vec::new();
        for (part, sites) in parts(settings.scope, bundle) {
            for plan in plan(sites, settings, |path| bundle.names.path(part, path)) {
                let Some(name) = bundle.names.module(part, &sites.get(plan.site).path) else { continue };
                let mut rng = seed.stream("init", &[part_index(part), modules.len() as u64]);
                let values = plan.initial(sites, &mut rng);
                modules.push(Module { name, part, plan, values });
            }
        }
        Self { modules }
    }

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
                let plan = Planned::of_tensors(sites, site, f64::from(module.alpha), &named(module));
                let plan =
                    plan.map_err(|reason| anyhow!("{label}: {name}: {reason}; the LoRA was made for another model"))?;
                let values = take(&plan, module).map_err(|key| anyhow!("{label}: {name}.{key} is of another size"))?;
                modules.push(Module { name, part, plan, values });
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

    /// Takes the values of `other` wherever names and shapes agree; returns how many modules were taken and the names
    /// that found no place.
    pub fn take_values(&mut self, other: &Self) -> Result<(usize, Vec<String>)> {
        let mut left: BTreeMap<&str, &Module> = other.modules.iter().map(|m| (m.name.as_str(), m)).collect();
        let mut taken = 0;
        for module in &mut self.modules {
            let Some(source) = left.remove(module.name.as_str()) else { continue };
            let tensors = source.plan.to_file(&source.values);
            let get = |name: &str| tensors.iter().find(|(known, ..)| known == name).map(|(.., values)| &values[..]);
            module.values = module.plan.of_file(get).map_err(|_| misfit(module, source))?;
            taken += 1;
        }
        Ok((taken, left.into_keys().map(str::to_string).collect()))
    }

    /// Modules of DyLoRA in place of plain ones, where the recipe asks for that: files do not tell the two apart.
    pub fn in_blocks(&mut self, adapter: &AdapterSettings, bundle: &Bundle) -> Result<()> {
        if !matches!(adapter, AdapterSettings::Lycoris(_))
            && let Some(other) = self.modules.iter().find(|m| m.plan.dora.is_some() || m.plan.method.name() != "LoRA")
        {
            let kind = if other.plan.dora.is_some() { "DoRA" } else { other.plan.method.name() };
            bail!("network_weights: {} is a {kind}; give network_module=lycoris.kohya", other.name);
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
            let Method::Lora { size, .. } = module.plan.method else { continue };
            if !size.rank.is_multiple_of(blocks.size) {
                bail!(
                    "network_weights: {} has rank {}, which blocks of {} do not divide",
                    module.name,
                    size.rank,
                    blocks.size
                );
            }
            let sites = bundle.sites(module.part).expect("a module stands on a network");
            let plan = Planned::new(sites, module.plan.site, Method::DyLora { size, blocks: *blocks }, None);
            let tensors = module.plan.to_file(&module.values);
            let get = |name: &str| tensors.iter().find(|(known, ..)| known == name).map(|(.., values)| &values[..]);
            module.values = plan.of_file(get).map_err(|key| anyhow!("network_weights: {}.{key}", module.name))?;
            module.plan = plan;
        }
        Ok(())
    }

    /// Leaves only the modules that `scope` trains.
    pub fn keep(&mut self, scope: Scope) {
        self.modules.retain(|module| match scope {
            Scope::Both => true,
            Scope::UnetOnly => module.part == Part::Unet,
            Scope::TextEncoderOnly => module.part.is_text(),
        });
    }

    /// Number of modules of one part.
    pub fn count(&self, part: Part) -> usize {
        self.modules.iter().filter(|module| module.part == part).count()
    }

    /// Number of modules of all text encoders.
    pub fn text_count(&self) -> usize {
        self.modules.iter().filter(|module| module.part.is_text()).count()
    }

    /// Number of trainable values.
    pub fn parameters(&self) -> usize {
        self.modules.iter().flat_map(|module| &module.values).map(Vec::len).sum()
    }

    /// Number of trainable tensors of one part.
    pub fn tensor_count(&self, part: Part) -> usize {
        self.modules.iter().filter(|module| module.part == part).map(|module| module.values.len()).sum()
    }

    /// Every trainable tensor, in the order of the modules.
    pub fn trainables(&mut self) -> impl Iterator<Item = (&mut Vec<f32>, &Parameter)> {
        self.modules.iter_mut().flat_map(|module| module.values.iter_mut().zip(&module.plan.parameters))
    }

    /// Every trainable tensor under the name that states have for it.
    pub fn state(&self) -> impl Iterator<Item = (String, &Vec<f32>)> {
        self.modules.iter().flat_map(|module| {
            let key = |parameter: &Parameter| format!("{}.{}", module.name, parameter.name);
            module.plan.parameters.iter().map(key).zip(&module.values)
        })
    }

    /// What the modules' changes are scaled with, under the names that states have for it.
    pub fn alphas(&self) -> Vec<(String, Vec<f32>)> {
        let alpha = |module: &Module| {
            let size = module.plan.method.size()?;
            Some((format!("{}.alpha", module.name), vec![size.alpha as f32]))
        };
        self.modules.iter().filter_map(alpha).collect()
    }

    /// The modules as adapters without tape, at `strength`.
    pub fn attach(&self, strength: Strength, device: &Device, to: &mut Attached) {
        for module in &self.modules {
            let factor = if module.part == Part::Unet { strength.unet } else { strength.text };
            if factor != 0.0 {
                let values = module.tensors(device);
                let adapter = module.plan.adapter(values, factor, &Chance::default());
                to.part_mut(module.part).attach(module.plan.site, adapter);
            }
        }
    }

    /// The modules as adapters without tape, under the same chances as [`Self::track`].
    pub fn untracked(&self, device: &Device, chances: &Chances) -> Attached {
        let mut attached = Attached::default();
        for (index, module) in self.modules.iter().enumerate() {
            let adapter = module.plan.adapter(module.tensors(device), 1.0, &chances.of(index, module));
            attached.part_mut(module.part).attach(module.plan.site, adapter);
        }
        attached
    }

    /// The modules as adapters, and the leaves of the tape in the order of [`Self::trainables`]; what `chances` leaves
    /// out has none.
    pub fn track(&self, device: &Device, chances: &Chances) -> (Attached, Vec<Option<Tensor<2>>>) {
        let mut attached = Attached::default();
        let mut leaves = Vec::new();
        for (index, module) in self.modules.iter().enumerate() {
            let chance = chances.of(index, module);
            let mut values = module.tensors(device);
            for (parameter, value) in values.iter_mut().enumerate() {
                let mut leaf = value.clone().autodiff();
                let trains = module.plan.trains(parameter, &chance);
                if trains {
                    leaf = leaf.require_grad();
                }
                *value = leaf.clone();
                leaves.push(trains.then_some(leaf));
            }
            attached.part_mut(module.part).attach(module.plan.site, module.plan.adapter(values, 1.0, &chance));
        }
        (attached, leaves)
    }

    /// Everything that goes into a file.
    pub fn tensors(&self) -> Vec<FileTensor> {
        let tensors = self.modules.iter().flat_map(|module| {
            let key = |leaf: &str| format!("{}.{leaf}", module.name);
            let own = module.plan.to_file(&module.values).into_iter();
            let own = own.map(move |(leaf, shape, values)| (format!("{}.{leaf}", module.name), shape, values));
            let scalar = match module.plan.method {
                Method::Ia3 { on_input } => (key("on_input"), vec![], vec![f32::from(u8::from(on_input))]),
                method => {
                    let alpha = method.size().map_or(0.0, |RankAlpha { alpha, .. }| alpha);
                    (key("alpha"), vec![], vec![alpha as f32])
                }
            };
            std::iter::once(scalar).chain(own)
        });
        tensors.collect()
    }
}

impl Module {
    /// ΔW, [out, in·k·k], before any weight decomposition; `None` for (IA)^3, whose change is a share of the layer.
    pub fn change(&self, device: &Device) -> Option<Tensor<2>> {
        self.plan.adapter(self.tensors(device), 1.0, &Chance::default()).change()
    }

    fn tensors(&self, device: &Device) -> Vec<Tensor<2>> {
        let tensor = |(values, parameter): (&Vec<f32>, &Parameter)| {
            Tensor::<2>::from_data(TensorData::new(values.clone(), parameter.matrix()), device)
        };
        self.values.iter().zip(&self.plan.parameters).map(tensor).collect()
    }
}

impl Attached {
    fn part_mut(&mut self, part: Part) -> &mut Adapters {
        match part {
            Part::TextEncoder => &mut self.texts[0],
            Part::TextEncoder2 => &mut self.texts[1],
            Part::Unet | Part::Vae => &mut self.unet,
        }
    }
}

/// The networks that `scope` adapts, the text encoders first as in sd-scripts.
fn parts(scope: Scope, bundle: &Bundle) -> Vec<(Part, &Sites)> {
    let wanted = |part: &Part| match scope {
        Scope::Both => true,
        Scope::UnetOnly => !part.is_text(),
        Scope::TextEncoderOnly => part.is_text(),
    };
    Part::ADAPTED.into_iter().filter(wanted).filter_map(|part| Some((part, bundle.sites(part)?))).collect()
}

/// Numbers the streams of first values; they are not to change.
fn part_index(part: Part) -> u64 {
    match part {
        Part::TextEncoder => 0,
        Part::Unet | Part::Vae => 1,
        Part::TextEncoder2 => 2,
    }
}

fn named(module: &LoraModule) -> Named<'_> {
    let shapes = module.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.shape.as_slice())).collect();
    Named { shapes, on_input: module.on_input }
}

/// The values of a file's module in the order of the plan; the key of what does not fit otherwise.
fn take(plan: &Planned, module: &LoraModule) -> Result<Vec<Vec<f32>>, String> {
    plan.of_file(|name| module.tensors.get(name).map(|tensor| tensor.values.as_slice()))
}

/// Why a file's module cannot be the start of ours.
fn misfit(ours: &Module, file: &Module) -> anyhow::Error {
    let rank = |module: &Module| module.plan.method.size().map_or(0, |size| size.rank);
    let (name, kind, other) = (&ours.name, file.plan.method.name(), ours.plan.method.name());
    if kind != other && !(kind == "LoRA" && other == "DyLoRA") {
        return anyhow!("network_weights: {name} is a {kind} in the file and the options ask for a {other}");
    }
    anyhow!(
        "network_weights: {name} has rank {} in the file and network_dim asks for {}, or they differ in another setting; \
         use those of the file or --dim_from_weights",
        rank(file),
        rank(ours)
    )
}
