//! The parameter groups of the optimizer: which tensors share a learning rate, and what the group is called in logs.
//! Rules and names: `prepare_optimizer_params` of sd-scripts' `networks/lora.py`.

use lorabake_adapter::block_of;
use lorabake_model::Bundle;
use lorabake_optim::Group;
use lorabake_recipe::Recipe;
use lorabake_recipe::network::blocks::Numbering;
use lorabake_recipe::optim::Optim;
use lorabake_weights::Part;

use lorabake_lora::LoraNetwork;

/// A group at the full learning rate.
#[derive(Debug, Clone, PartialEq)]
struct Planned {
    /// `textencoder`, `unet` or `unet_block4`, with ` plus` behind it for the up factors of LoRA+.
    name: String,
    rate: f64,
    /// How many tensors it has, behind those of the groups before it.
    tensors: usize,
}

/// The groups, and the order in which they hold the network's tensors (module by module).
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    planned: Vec<Planned>,
    /// Indices of tensors, group by group; those that are not trained come last.
    order: Vec<usize>,
}

impl Groups {
    /// The text encoder's modules, then the UNet's, by block if blocks have rates of their own: down, up, middle, which
    /// is the order that sd-scripts finds them in. What would learn at rate 0 is in no group.
    pub fn new(network: &LoraNetwork, recipe: &Recipe, bundle: &Bundle) -> Self {
        let (optim, settings) = (&recipe.optim, &recipe.network);
        let mut tensors: Vec<((usize, bool), String, f64, usize)> = Vec::new();
        let mut count = 0..;
        for module in &network.modules {
            let (block, name, rate, ratio) = if module.part.is_text() {
                let (place, name, rate) = text_group(module.part, optim);
                (place, name.to_owned(), rate, settings.lora_plus.text_encoder)
            } else if settings.blocks.lr.is_some() {
                let numbering = settings.blocks.numbering;
                let path = &bundle.unet.sites().get(module.spec.site).path;
                let block = block_of(path, numbering).unwrap_or(0);
                // The middle is found last except by SDXL's names, and the text encoders stand before all.
                let last = numbering == Numbering::Sd && block == 12;
                let place = if last { usize::MAX } else { block + 2 };
                let rate = optim.unet_lr * settings.blocks.lr(block);
                (place, format!("unet_block{block}"), rate, settings.lora_plus.unet)
            } else {
                (2, "unet".to_owned(), optim.unet_lr, settings.lora_plus.unet)
            };
            for (parameter, index) in module.spec.parameters.iter().zip(&mut count) {
                let ratio = ratio.filter(|_| parameter.name.contains("lora_up"));
                let plus = ratio.map(|ratio| (format!("{name} plus"), rate * ratio));
                let (name, rate) = plus.unwrap_or((name.clone(), rate));
                tensors.push(((block, ratio.is_some()), name, rate, index));
            }
        }
        tensors.sort_by_key(|(place, ..)| *place);
        let (trained, untrained): (Vec<_>, Vec<_>) = tensors.into_iter().partition(|(_, _, rate, _)| *rate != 0.0);
        let order = trained.iter().chain(&untrained).map(|(.., index)| *index).collect();
        let planned = trained.chunk_by(|a, b| a.0 == b.0);
        let planned = planned.map(|group| Planned { name: group[0].1.clone(), rate: group[0].2, tensors: group.len() });
        Self { planned: planned.collect(), order }
    }

    /// For the optimizer, with all rates multiplied by the schedule's `factor`; in the order of [`Self::sorted`].
    pub fn at(&self, factor: f64) -> Vec<Group> {
        let mut start = 0;
        let group = |planned: &Planned| {
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

/// Place, name and rate of a text encoder's group; SDXL's two share one unless their rates differ.
fn text_group(part: Part, optim: &Optim) -> (usize, &'static str, f64) {
    let (first, second) = (optim.text_encoder_lr, optim.text_encoder2_lr);
    match part {
        Part::TextEncoder2 if first != second => (1, "textencoder2", second),
        _ if first != second && part == Part::TextEncoder => (0, "textencoder1", first),
        _ => (0, "textencoder", first),
    }
}
