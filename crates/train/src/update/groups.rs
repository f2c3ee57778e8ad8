//! The parameter groups of the optimizer: which tensors share a learning rate, and what the group is called in logs.
//! Rules and names: `prepare_optimizer_params` of sd-scripts' `networks/lora.py`.

use lorabake_adapter::block_of;
use lorabake_model::Bundle;
use lorabake_optim::Group;
use lorabake_recipe::Recipe;
use lorabake_recipe::network::blocks::Numbering;
use lorabake_recipe::optim::Optim;
use lorabake_weights::Part;

use lorabake_lora::{LoraNetwork, NetworkModule};

/// A group at the full learning rate.
#[derive(Debug, Clone, PartialEq)]
struct PlannedGroup {
    /// `textencoder`, `unet` or `unet_block4`, with ` plus` behind it for the up factors of LoRA+.
    name: String,
    rate: f64,
    /// How many tensors it has, behind those of the groups before it.
    tensors: usize,
}

/// The groups, and the order in which they hold the network's tensors (module by module).
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    planned: Vec<PlannedGroup>,
    /// Indices of tensors, group by group; those that are not trained come last.
    order: Vec<usize>,
}

impl Groups {
    /// The text encoder's modules, then the UNet's, by block if blocks have rates of their own: down, up, middle, which
    /// is the order that sd-scripts finds them in. What would learn at rate 0 is in no group.
    pub fn new(network: &LoraNetwork, recipe: &Recipe, bundle: &Bundle) -> Self {
        let mut tensors = assigned(network, recipe, bundle);
        tensors.sort_by_key(|tensor| (tensor.place, tensor.is_plus));
        let (trained, untrained): (Vec<_>, Vec<_>) = tensors.into_iter().partition(|tensor| tensor.rate != 0.0);
        let order = trained.iter().chain(&untrained).map(|tensor| tensor.index).collect();
        let mut planned = Vec::new();
        for group in trained.chunk_by(|a, b| (a.place, a.is_plus) == (b.place, b.is_plus)) {
            planned.push(PlannedGroup { name: group[0].name.clone(), rate: group[0].rate, tensors: group.len() });
        }
        Self { planned, order }
    }

    /// For the optimizer, with all rates multiplied by the schedule's `factor`; in the order of [`Self::sorted`].
    pub fn at(&self, factor: f64) -> Vec<Group> {
        let mut start = 0;
        let group = |planned: &PlannedGroup| {
            let range = start..start + planned.tensors;
            start = range.end;
            Group { lr: planned.rate * factor, weight_decay: None, range }
        };
        self.planned.iter().map(group).collect()
    }

    /// The groups' names with `values`, one each.
    pub fn named(&self, values: impl IntoIterator<Item = f64>) -> Vec<(String, f64)> {
        self.planned.iter().map(|planned| planned.name.clone()).zip(values).collect()
    }

    /// The number in the network of the tensor that is number `place` in the groups.
    pub fn in_network(&self, place: usize) -> usize {
        self.order.get(place).copied().unwrap_or(place)
    }

    /// The number in the groups of the tensor that is number `index` in the network.
    pub fn in_groups(&self, index: usize) -> usize {
        self.order.iter().position(|other| *other == index).unwrap_or(index)
    }

    /// Brings what belongs to the network's tensors into the order of the groups.
    pub fn sorted<T>(&self, tensors: impl IntoIterator<Item = T>) -> Vec<T> {
        let mut tensors: Vec<Option<T>> = tensors.into_iter().map(Some).collect();
        self.order.iter().filter_map(|index| tensors[*index].take()).collect()
    }
}

/// A tensor of the network with the group that it belongs to.
struct Assigned {
    /// The order of groups.
    place: usize,
    /// Whether it is an up factor with a rate of its own (LoRA+), whose group follows that of the others.
    is_plus: bool,
    /// What its group is called.
    name: String,
    rate: f64,
    /// Its number in the network.
    index: usize,
}

/// Every tensor of the network with its group, in the order of the network.
fn assigned(network: &LoraNetwork, recipe: &Recipe, bundle: &Bundle) -> Vec<Assigned> {
    let settings = &recipe.network;
    let mut tensors = Vec::new();
    for module in &network.modules {
        let group = if module.part.is_text() {
            text_group(module.part, &recipe.optim)
        } else {
            unet_group(module, recipe, bundle)
        };
        let plus = if module.part.is_text() { settings.lora_plus.text_encoder } else { settings.lora_plus.unet };
        for parameter in &module.spec.parameters {
            let index = tensors.len();
            let ModuleGroup { place, name, rate } = group.clone();
            tensors.push(match plus {
                Some(ratio) if parameter.name.contains("lora_up") => {
                    Assigned { place, is_plus: true, name: format!("{name} plus"), rate: rate * ratio, index }
                }
                _ => Assigned { place, is_plus: false, name, rate, index },
            });
        }
    }
    tensors
}

/// The group of a module, without LoRA+.
#[derive(Clone)]
struct ModuleGroup {
    place: usize,
    name: String,
    rate: f64,
}

/// The UNet's group, or that of a module's block if blocks have rates of their own.
fn unet_group(module: &NetworkModule, recipe: &Recipe, bundle: &Bundle) -> ModuleGroup {
    let blocks = &recipe.network.blocks;
    if blocks.lr.is_none() {
        return ModuleGroup { place: 2, name: "unet".to_owned(), rate: recipe.optim.unet_lr };
    }
    let path = &bundle.unet.sites().get(module.spec.site).path;
    let block = block_of(path, blocks.numbering).unwrap_or(0);
    // The middle is found last except by SDXL's names, and the text encoders stand before all.
    let is_last = blocks.numbering == Numbering::Sd && block == 12;
    ModuleGroup {
        place: if is_last { usize::MAX } else { block + 2 },
        name: format!("unet_block{block}"),
        rate: recipe.optim.unet_lr * blocks.lr(block),
    }
}

/// Place, name and rate of a text encoder's group; SDXL's two share one unless their rates differ.
fn text_group(part: Part, optim: &Optim) -> ModuleGroup {
    let first = optim.text_encoder_lr;
    let second = optim.text_encoder2_lr;
    let (place, name, rate) = match part {
        Part::TextEncoder2 if first != second => (1, "textencoder2", second),
        _ if first != second && part == Part::TextEncoder => (0, "textencoder1", first),
        _ => (0, "textencoder", first),
    };
    ModuleGroup { place, name: name.to_owned(), rate }
}
