//! Which layers get an adapter, of which kind and size, and its first values; as sd-scripts and LyCORIS choose them.

use burn::tensor::Tensor;
use lorabake_recipe::network::adapter::{self as settings, Lycoris, Side};
use lorabake_recipe::network::algo::Dialect;
use lorabake_recipe::network::lycoris_preset::Class;
use lorabake_recipe::network::{Network, RankAlpha};
use rand::Rng;

use crate::adapters::Adapter;
use crate::block::block_of;
use crate::dora::{self, Dora};
use crate::draw::AdapterDraw;
use crate::dylora::DyLoraKind;
use crate::lora::LoraKind;
use crate::method::{LayerSettings, Method};
use crate::parameter::{AdapterTensor, NamedShapes, Parameter, Start};
use crate::site::{LayerShape, Role, Site, SiteId, Sites};

/// An adapter that is to be made for one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterSpec {
    /// The layer.
    pub site: SiteId,
    /// What the layer computes.
    pub layer: LayerShape,
    /// The kind of adapter.
    pub method: Method,
    /// With weight decomposition (DoRA), and along which side.
    pub dora: Option<Side>,
    /// What is trained, in the order in which values are given.
    pub parameters: Vec<Parameter>,
}

impl AdapterSpec {
    /// An adapter of this kind on one layer.
    pub fn new(sites: &Sites, site: SiteId, method: Method, dora: Option<Side>) -> Self {
        let layer = sites.get(site).layer;
        let mut parameters = method.parameters(layer);
        if let Some(side) = dora {
            parameters.push(dora::parameter(layer, side));
        }
        Self { site, layer, method, dora, parameters }
    }

    /// The adapter whose tensors these are.
    ///
    /// # Errors
    /// If they are of no known kind or do not fit the layer.
    pub fn of_tensors(sites: &Sites, site: SiteId, alpha: f64, tensors: &NamedShapes<'_>) -> Result<Self, String> {
        let layer = sites.get(site).layer;
        let method = Method::of_tensors(layer, alpha, tensors)?;
        let dora = match tensors.shape("dora_scale") {
            None => None,
            Some([1, columns, ..]) if *columns == layer.inputs() && layer.outputs() > 1 => Some(Side::Inputs),
            Some([rows, ..]) if *rows == layer.outputs() => Some(Side::Outputs),
            Some(shape) => return Err(format!("dora_scale {shape:?} does not fit this layer")),
        };
        Ok(Self::new(sites, site, method, dora))
    }

    /// First values of every parameter. The first output is the base's.
    pub fn initial(&self, sites: &Sites, rng: &mut impl Rng) -> Vec<Vec<f32>> {
        let mut values = Vec::with_capacity(self.parameters.len());
        for parameter in &self.parameters {
            values.push(match parameter.start {
                Start::Zero => vec![0.0; parameter.count()],
                Start::Kaiming => kaiming_uniform(parameter, rng),
                Start::Normal(deviation) => normal(parameter.count(), deviation, rng),
                Start::Norms(side) => dora::norms(sites.weight(self.site), self.layer.inputs(), side),
            });
        }
        values
    }

    /// Whether this pass trains a parameter: DyLoRA trains one block, everything else all.
    pub fn trains(&self, parameter: usize, draw: &AdapterDraw) -> bool {
        self.method.kind().trains(parameter, self.parameters.len(), draw)
    }

    /// First rank of the block that a pass trains, if the kind has any.
    pub fn draw_start(&self, rng: &mut impl Rng) -> Option<usize> {
        self.method.kind().draw_start(rng)
    }

    /// The adapter of these values, ready for a pass.
    ///
    /// # Shapes
    /// - values: each as [`Parameter::matrix`] of its parameter
    pub fn adapter(&self, mut values: Vec<Tensor<2>>, strength: f64, draw: &AdapterDraw) -> Adapter {
        let dora = self.dora.map(|side| Dora { scale: values.pop().expect("dora_scale comes last"), side });
        Adapter { tensors: self.method.kind().tensors(values, draw), dora, masks: draw.masks, strength, net: 0 }
    }

    /// The tensors of a file, without alpha.
    pub fn to_file(&self, values: &[Vec<f32>]) -> Vec<AdapterTensor> {
        self.method.kind().to_file(self.layer, &self.parameters, values)
    }

    /// The inverse of [`Self::to_file`]: values by name to those of the parameters.
    ///
    /// # Errors
    /// The name of the tensor that is missing or of another size.
    pub fn of_file<'v>(&self, get: impl Fn(&str) -> Option<&'v [f32]>) -> Result<Vec<Vec<f32>>, String> {
        self.method.kind().of_file(self.layer, &self.parameters, &get)
    }
}

fn kaiming_uniform(parameter: &Parameter, rng: &mut impl Rng) -> Vec<f32> {
    let fan_in: usize = parameter.shape[1..].iter().product();
    let bound = 1.0 / (fan_in as f32).sqrt();
    (0..parameter.count()).map(|_| rng.random_range(-bound..bound)).collect()
}

/// Normally distributed numbers, by Box–Muller.
fn normal(count: usize, deviation: f64, rng: &mut impl Rng) -> Vec<f32> {
    let mut numbers = Vec::with_capacity(count);
    for _ in 0..count {
        let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
        let angle = std::f64::consts::TAU * rng.random::<f64>();
        numbers.push((deviation * radius * angle.cos()) as f32);
    }
    numbers
}

/// The adapters that a recipe asks for in one network, in the order of its layers; `called` is how the trainer that LyCORIS'
/// presets are made for calls the layer at a diffusers path.
pub fn adapter_specs(sites: &Sites, network: &Network, called: impl Fn(&str) -> Option<String>) -> Vec<AdapterSpec> {
    let mut specs = Vec::new();
    for (id, site) in sites.iter() {
        let chosen = match &network.adapter {
            settings::AdapterSettings::Lora => lierla(site, network)
                .map(|size| Chosen { method: Method::Lora(LoraKind { size, tucker: false }), dora: None }),
            settings::AdapterSettings::DyLora(blocks) => lierla(site, network)
                .map(|size| Chosen { method: Method::DyLora(DyLoraKind { size, blocks: *blocks }), dora: None }),
            settings::AdapterSettings::Lycoris(lycoris) => {
                called(&site.path).and_then(|called| by_preset(site, &called, network, lycoris))
            }
        };
        if let Some(Chosen { method, dora }) = chosen {
            specs.push(AdapterSpec::new(sites, id, method, dora));
        }
    }
    specs
}

/// The adapter of one layer, as a recipe chooses it.
struct Chosen {
    method: Method,
    dora: Option<Side>,
}

/// LoRA-LierLa: the linear layers and 1×1 convolutions of the UNet's transformers, the text encoder's attention and MLP;
/// with `conv` also the residual blocks and samplers (C3Lier), whose 3×3 convolutions take `conv` and whose other layers
/// take `linear`. Blocks may have sizes of their own.
fn lierla(site: &Site, network: &Network) -> Option<RankAlpha> {
    let is_wide = site.layer.kernel() > 1;
    let of_layer = if is_wide { network.conv } else { Some(network.linear) };
    let usual = match site.role {
        Role::Transformer | Role::TextAttention | Role::TextMlp => of_layer?,
        Role::Residual if network.conv.is_some() => of_layer?,
        Role::Residual | Role::Stem => return None,
    };
    in_block(site, network, usual)
}

/// The size that a layer's block has, if blocks have sizes of their own; `None` where a block gets no adapter.
fn in_block(site: &Site, network: &Network, usual: RankAlpha) -> Option<RankAlpha> {
    let block = match block_of(&site.path, network.blocks.numbering) {
        Some(block) => block,
        // As in the optimizer's groups, what stands before and behind the blocks goes with the first.
        None if site.role == Role::Stem => 0,
        None => return Some(usual),
    };
    network.blocks.size(block, site.layer.kernel() > 1, usual)
}

/// What LyCORIS makes on a layer, if its preset names it and its block gets an adapter.
fn by_preset(site: &Site, called: &str, network: &Network, lycoris: &Lycoris) -> Option<Chosen> {
    let is_text = matches!(site.role, Role::TextAttention | Role::TextMlp);
    let preset = &lycoris.preset;
    let targets = if is_text { &preset.text } else { &preset.unet };
    let named = targets.names.iter().any(|pattern| pattern.matches(called));
    if !named && !targets.classes.iter().any(|class| is_in(site, *class)) {
        return None;
    }
    let change = if named { preset.change_of(called) } else { None };
    let change = change.cloned().unwrap_or_default();
    let size = match network.conv {
        _ if site.layer.kernel() == 1 => network.linear,
        Some(conv) if preset.enable_conv => conv,
        _ => RankAlpha { rank: change.dim?, alpha: network.linear.alpha },
    };
    let rank = change.dim.unwrap_or(size.rank);
    let mut alpha = change.alpha.unwrap_or(size.alpha);
    if lycoris.rs {
        alpha *= (rank as f64).sqrt();
    }
    in_block(site, network, network.linear)?;
    let algo = change.algo.as_ref().unwrap_or(&lycoris.algo);
    let size = RankAlpha { rank, alpha };
    let settings = LayerSettings { layer: site.layer, size, tucker: lycoris.tucker, on_input: change.on_input };
    let method = Method::of_algo(algo, settings);
    let dora = if method.kind().decomposes() { lycoris.dora } else { None };
    Some(Chosen { method, dora })
}

/// Whether a layer stands inside a module of this class.
fn is_in(site: &Site, class: Class) -> bool {
    let within = |part: &str| site.path.contains(part);
    match class {
        Class::Transformer => site.role == Role::Transformer,
        Class::Block => site.role == Role::Transformer && within(".transformer_blocks."),
        Class::Attention => site.role == Role::Transformer && (within(".attn1.") || within(".attn2.")),
        Class::FeedForward => site.role == Role::Transformer && within(".ff."),
        Class::Resnet => within(".resnets."),
        Class::Downsample => within(".downsamplers."),
        Class::Upsample => within(".upsamplers."),
        Class::TimeEmbedding => site.path.starts_with("time_embedding."),
        Class::TextAttention => site.role == Role::TextAttention,
        Class::TextMlp => site.role == Role::TextMlp,
        Class::TextLayer => matches!(site.role, Role::TextAttention | Role::TextMlp),
    }
}

/// Whose dropout holds for an adapter of this recipe.
pub fn dialect_of(adapter: &settings::AdapterSettings) -> Dialect {
    if matches!(adapter, settings::AdapterSettings::Lycoris(_)) { Dialect::Lycoris } else { Dialect::Kohya }
}
