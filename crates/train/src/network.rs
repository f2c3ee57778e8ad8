//! The LoRA as the trainer holds it: named modules with host values, made from a plan or a file.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::{Adapters, Lora, PlannedLora, Sites, plan_lora, size_blocks};
use lorabake_model::Bundle;
use lorabake_recipe::network::{self, RankAlpha, Scope};
use lorabake_recipe::seed::Seed;
use lorabake_weights::Part;
use lorabake_weights::keys::kohya::kohya_name;
use lorabake_weights::lora_file::LoraFile;

/// One LoRA module.
#[derive(Debug, Clone)]
pub struct Module {
    /// kohya's name, for instance `lora_unet_mid_block_attentions_0_proj_in`.
    pub name: String,
    /// Text encoder or UNet.
    pub part: Part,
    /// Layer, rank, alpha and shapes.
    pub plan: PlannedLora,
    /// Values of the down factor, row-major.
    pub down: Vec<f32>,
    /// Values of the up factor, row-major.
    pub up: Vec<f32>,
}

/// All modules, the text encoder's first, each part in the order of its layers.
#[derive(Debug, Clone)]
pub struct Network {
    /// The modules.
    pub modules: Vec<Module>,
}

/// The adapters of both networks, ready for a forward pass.
#[derive(Debug, Clone, Default)]
pub struct Attached {
    /// The text encoder's.
    pub text: Adapters,
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
    /// A fresh LoRA: down from the seed's stream `init`, up zero.
    pub fn fresh(settings: &network::Network, bundle: &Bundle, seed: Seed) -> Self {
        let mut modules = Vec::new();
        for (part, sites) in parts(settings.scope, bundle) {
            let mut plans = plan_lora(sites, settings.linear, settings.conv);
            if part == Part::Unet {
                plans = size_blocks(sites, plans, &settings.blocks, (settings.linear, settings.conv));
            }
            for plan in plans {
                let name = module_name(part, sites, &plan);
                let down = plan.initial_down(&mut seed.stream("init", &[part_index(part), modules.len() as u64]));
                let up = vec![0.0; plan.up.iter().product()];
                modules.push(Module { name, part, plan, down, up });
            }
        }
        Self { modules }
    }

    /// Exactly the modules of a LoRA file, with the ranks and alphas that they have there.
    ///
    /// # Errors
    /// When the file has modules for layers that these networks lack, or of another size.
    pub fn from_file(file: &LoraFile, label: &str, bundle: &Bundle) -> Result<Self> {
        let by_name: BTreeMap<&str, _> = file.modules.iter().map(|module| (module.name.as_str(), module)).collect();
        if let Some(problem) = file.problems.first() {
            bail!("{label}: {problem} ({} such in all)", file.problems.len());
        }
        let mut modules = Vec::new();
        for (part, sites) in parts(Scope::Both, bundle) {
            for (site, _) in sites.iter() {
                let Some(name) = kohya_name(part, &sites.get(site).path) else { continue };
                let Some(module) = by_name.get(name.as_str()) else { continue };
                let size = RankAlpha { rank: module.rank(), alpha: f64::from(module.alpha) };
                let plan = PlannedLora::new(sites, site, size);
                let flat = |shape: &[usize]| (shape[0], shape[1..].iter().product::<usize>());
                if flat(&module.down.shape) != flat(&plan.down) || flat(&module.up.shape) != flat(&plan.up) {
                    bail!(
                        "{label}: {name} has factors {:?} and {:?}, this checkpoint needs {:?} and {:?}; \
                         the LoRA was made for another model",
                        module.down.shape,
                        module.up.shape,
                        plan.down,
                        plan.up
                    );
                }
                modules.push(Module {
                    name,
                    part,
                    plan,
                    down: module.down.values.clone(),
                    up: module.up.values.clone(),
                });
            }
        }
        if modules.len() < file.modules.len() {
            let known: std::collections::BTreeSet<_> = modules.iter().map(|m| m.name.as_str()).collect();
            let stranger = by_name.keys().find(|name| !known.contains(*name)).expect("one is left over");
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
            if source.plan.size.rank != module.plan.size.rank {
                bail!(
                    "network_weights: {} has rank {} in the file and network_dim asks for {}; \
                     use the file's rank or --dim_from_weights",
                    module.name,
                    source.plan.size.rank,
                    module.plan.size.rank
                );
            }
            module.down.clone_from(&source.down);
            module.up.clone_from(&source.up);
            taken += 1;
        }
        Ok((taken, left.into_keys().map(str::to_string).collect()))
    }

    /// Leaves only the modules that `scope` trains.
    pub fn keep(&mut self, scope: Scope) {
        self.modules.retain(|module| match scope {
            Scope::Both => true,
            Scope::UnetOnly => module.part == Part::Unet,
            Scope::TextEncoderOnly => module.part == Part::TextEncoder,
        });
    }

    /// Number of modules of one part.
    pub fn count(&self, part: Part) -> usize {
        self.modules.iter().filter(|module| module.part == part).count()
    }

    /// Number of trainable values.
    pub fn parameters(&self) -> usize {
        self.modules.iter().map(|module| module.down.len() + module.up.len()).sum()
    }

    /// The modules as adapters without tape, at `strength`.
    pub fn attach(&self, strength: Strength, device: &Device, to: &mut Attached) {
        for module in &self.modules {
            let factor = if module.part == Part::Unet { strength.unet } else { strength.text };
            if factor != 0.0 {
                let lora = module.lora(device, factor);
                to.part_mut(module.part).attach(module.plan.site, lora);
            }
        }
    }

    /// The modules as adapters whose factors are leaves of the tape, and these leaves in module order.
    pub fn track(&self, device: &Device) -> (Attached, Vec<Lora>) {
        let mut attached = Attached::default();
        let leaves = self.modules.iter().map(|module| {
            let lora = module.lora(device, 1.0);
            let (down, up) = (lora.down.autodiff().require_grad(), lora.up.autodiff().require_grad());
            let lora = Lora { down, up, scale: lora.scale };
            attached.part_mut(module.part).attach(module.plan.site, lora.clone());
            lora
        });
        let leaves = leaves.collect();
        (attached, leaves)
    }

    /// Everything that goes into a file: (key, shape, values).
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let tensors = self.modules.iter().flat_map(|module| {
            let key = |leaf: &str| format!("{}.{leaf}", module.name);
            [
                (key("alpha"), vec![], vec![module.plan.size.alpha as f32]),
                (key("lora_down.weight"), module.plan.down.clone(), module.down.clone()),
                (key("lora_up.weight"), module.plan.up.clone(), module.up.clone()),
            ]
        });
        tensors.collect()
    }
}

impl Module {
    fn lora(&self, device: &Device, strength: f64) -> Lora {
        let RankAlpha { rank, alpha } = self.plan.size;
        let matrix = |values: &[f32], rows: usize| {
            let columns = values.len() / rows;
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), [rows, columns]), device)
        };
        Lora {
            down: matrix(&self.down, rank),
            up: matrix(&self.up, self.plan.up[0]),
            scale: alpha / rank as f64 * strength,
        }
    }
}

impl Attached {
    fn part_mut(&mut self, part: Part) -> &mut Adapters {
        if part == Part::Unet { &mut self.unet } else { &mut self.text }
    }
}

/// The networks that `scope` adapts, the text encoder first as in sd-scripts.
fn parts(scope: Scope, bundle: &Bundle) -> Vec<(Part, &Sites)> {
    let text = (Part::TextEncoder, bundle.text.sites());
    let unet = (Part::Unet, bundle.unet.sites());
    match scope {
        Scope::Both => vec![text, unet],
        Scope::UnetOnly => vec![unet],
        Scope::TextEncoderOnly => vec![text],
    }
}

fn module_name(part: Part, sites: &Sites, plan: &PlannedLora) -> String {
    kohya_name(part, &sites.get(plan.site).path).expect("UNet and text encoder layers have kohya names")
}

fn part_index(part: Part) -> u64 {
    u64::from(part == Part::Unet)
}
