//! Which layers get an adapter, of which kind and size, and its first values; as sd-scripts and LyCORIS choose them.

use lorabake_recipe::network::adapter::{AdapterSettings as Kinds, Lycoris};
use lorabake_recipe::network::algo::{Algo, Dialect};
use lorabake_recipe::network::lycoris_preset::Class;
use lorabake_recipe::network::{Network, RankAlpha};
use rand::Rng;

use crate::adapters::{Adapter, Form};
use crate::block::block_of;
use crate::dora::{self, Dora};
use crate::dropout::Masks;
use crate::ia3::Ia3;
use crate::loha::{Half, Loha};
use crate::lokr::Kronecker;
use crate::method::{Method, Named, Parameter, Start};
use crate::{Kind, Lora, Role, Site, SiteId, Sites, dylora};
use burn::tensor::Tensor;
use lorabake_recipe::network::adapter::Side;

/// An adapter that is to be made for one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The layer.
    pub site: SiteId,
    /// What it computes.
    pub layer: Kind,
    /// The kind of adapter.
    pub method: Method,
    /// With weight decomposition (DoRA), and along which side.
    pub dora: Option<Side>,
    /// What is trained, in the order in which values are given.
    pub parameters: Vec<Parameter>,
}

/// What chance decides about one adapter in one pass.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Chance {
    /// First rank of the block that DyLoRA trains.
    pub start: Option<usize>,
    /// Dropout.
    pub masks: Option<Masks>,
}

impl Planned {
    /// An adapter of this kind on one layer.
    pub fn new(sites: &Sites, site: SiteId, method: Method, dora: Option<Side>) -> Self {
        let layer = sites.get(site).kind;
        let mut parameters = method.parameters(layer);
        parameters.extend(dora.map(|side| dora::parameter(layer, side)));
        Self { site, layer, method, dora, parameters }
    }

    /// The adapter whose tensors these are.
    ///
    /// # Errors
    /// If they are of no known kind or do not fit the layer.
    pub fn of_tensors(sites: &Sites, site: SiteId, alpha: f64, tensors: &Named<'_>) -> Result<Self, String> {
        let layer = sites.get(site).kind;
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
        let first = |parameter: &Parameter| {
            let count = parameter.shape.iter().product();
            match parameter.start {
                Start::Zero => vec![0.0; count],
                Start::Kaiming => {
                    let fan_in: usize = parameter.shape[1..].iter().product();
                    let bound = 1.0 / (fan_in as f32).sqrt();
                    (0..count).map(|_| rng.random_range(-bound..bound)).collect()
                }
                Start::Normal(deviation) => normal(count, deviation, rng),
                Start::Norms(side) => dora::norms(sites.weight(self.site), self.layer.inputs(), side),
            }
        };
        self.parameters.iter().map(first).collect()
    }

    /// Whether this pass trains a parameter: DyLoRA trains one block, everything else all.
    pub fn trains(&self, parameter: usize, chance: &Chance) -> bool {
        match (self.method, chance.start) {
            (Method::DyLora { blocks, .. }, Some(start)) => {
                dylora::trains(parameter, self.parameters.len(), blocks, start)
            }
            _ => true,
        }
    }

    /// First rank of the block that a pass trains, if the kind has any.
    pub fn draw_start(&self, rng: &mut impl Rng) -> Option<usize> {
        let Method::DyLora { size, blocks } = self.method else { return None };
        Some(rng.random_range(0..size.rank / blocks.size) * blocks.size)
    }

    /// The adapter of these values (each as [`Parameter::matrix`]), ready for a pass.
    pub fn adapter(&self, mut values: Vec<Tensor<2>>, strength: f64, chance: &Chance) -> Adapter {
        let dora = self.dora.map(|side| Dora { scale: values.pop().expect("dora_scale comes last"), side });
        let scale = self.method.scale();
        let form = match self.method {
            Method::DyLora { size, blocks } => Form::Lora(dylora::lora(size, blocks, chance.start, &values)),
            Method::Lokr(kronecker) => Form::Lokr(kronecker.matrices(scale, values.into_iter())),
            Method::Lora { .. } => {
                let mut values = values.into_iter();
                let mut next = || values.next();
                let (down, up) = (next().expect("down"), next().expect("up"));
                Form::Lora(Lora { down, up, mid: next(), scale })
            }
            Method::Loha { .. } => {
                let mut values = values.into_iter();
                let mut next = || values.next();
                let [a1, b1, a2, b2] = [(); 4].map(|()| next().expect("four matrices"));
                let first = Half { a: a1, b: b1, core: next() };
                Form::Loha(Loha { first, second: Half { a: a2, b: b2, core: next() }, scale })
            }
            Method::Ia3 { on_input } => Form::Ia3(Ia3 { weight: values.remove(0), on_input }),
        };
        Adapter { form, dora, masks: chance.masks, strength }
    }

    /// The tensors of a file, without alpha: (name, shape, values).
    pub fn to_file(&self, values: &[Vec<f32>]) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        match self.method {
            Method::DyLora { size, blocks } => dylora::joined(self.layer, (size.rank, blocks), values),
            _ => {
                let tensor = |(p, v): (&Parameter, &Vec<f32>)| (p.name.clone(), p.shape.clone(), v.clone());
                self.parameters.iter().zip(values).map(tensor).collect()
            }
        }
    }

    /// The inverse of [`Self::to_file`]: values by name to those of the parameters.
    ///
    /// # Errors
    /// The name of the tensor that is missing or of another size.
    pub fn of_file<'v>(&self, get: impl Fn(&str) -> Option<&'v [f32]>) -> Result<Vec<Vec<f32>>, String> {
        let sized =
            |name: &str, count: usize| get(name).filter(|values| values.len() == count).ok_or_else(|| name.to_string());
        if let Method::DyLora { size, blocks } = self.method {
            let patch = self.layer.inputs() * self.layer.kernel() * self.layer.kernel();
            let down = sized("lora_down.weight", size.rank * patch)?;
            let up = sized("lora_up.weight", size.rank * self.layer.outputs())?;
            return Ok(dylora::parted(self.layer.outputs(), (size.rank, blocks), down, up));
        }
        let one = |p: &Parameter| sized(&p.name, p.shape.iter().product()).map(<[f32]>::to_vec);
        self.parameters.iter().map(one).collect()
    }
}

/// Box–Muller.
fn normal(count: usize, deviation: f64, rng: &mut impl Rng) -> Vec<f32> {
    let one = |_| {
        let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
        (deviation * radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()) as f32
    };
    (0..count).map(one).collect()
}

/// The adapters that a recipe asks for in one network, in the order of its layers; `called` is how the trainer that LyCORIS'
/// presets are made for calls the layer at a diffusers path.
pub fn plan(sites: &Sites, network: &Network, called: impl Fn(&str) -> Option<String>) -> Vec<Planned> {
    let planned = |(id, site)| match &network.adapter {
        Kinds::Lora => {
            let size = in_block(site, network, lierla(site, network)?)?;
            Some(Planned::new(sites, id, Method::Lora { size, tucker: false }, None))
        }
        Kinds::DyLora(blocks) => {
            let size = in_block(site, network, lierla(site, network)?)?;
            Some(Planned::new(sites, id, Method::DyLora { size, blocks: *blocks }, None))
        }
        Kinds::Lycoris(lycoris) => {
            let (method, dora) = by_preset((site, &called(&site.path)?), network, lycoris)?;
            in_block(site, network, network.linear)?;
            Some(Planned::new(sites, id, method, dora))
        }
    };
    sites.iter().filter_map(planned).collect()
}

/// LoRA-LierLa: the linear layers and 1×1 convolutions of the UNet's transformers, the text encoder's attention and MLP;
/// with `conv` also the residual blocks and samplers (C3Lier), whose 3×3 convolutions take `conv` and whose other layers
/// take `linear`.
fn lierla(site: &Site, Network { linear, conv, .. }: &Network) -> Option<RankAlpha> {
    let wide = site.kind.kernel() > 1;
    match site.role {
        Role::Transformer | Role::TextAttention | Role::TextMlp => {
            if wide {
                *conv
            } else {
                Some(*linear)
            }
        }
        Role::Residual => conv.map(|conv| if wide { conv } else { *linear }),
        Role::Stem => None,
    }
}

/// The size that a layer's block has, if blocks have sizes of their own; `None` where a block gets no adapter.
fn in_block(site: &Site, network: &Network, usual: RankAlpha) -> Option<RankAlpha> {
    // As in the optimizer's groups, what stands before and behind the blocks goes with the first.
    let block = block_of(&site.path, network.blocks.numbering).or((site.role == Role::Stem).then_some(0));
    let Some(block) = block else { return Some(usual) };
    network.blocks.size(block, site.kind.kernel() > 1, usual)
}

/// What LyCORIS makes on a layer, if its preset names it.
fn by_preset((site, called): (&Site, &str), network: &Network, lycoris: &Lycoris) -> Option<(Method, Option<Side>)> {
    let text = matches!(site.role, Role::TextAttention | Role::TextMlp);
    let preset = &lycoris.preset;
    let targets = if text { &preset.text } else { &preset.unet };
    let named = targets.names.iter().any(|pattern| pattern.matches(called));
    if !named && !targets.classes.iter().any(|class| is_in(site, *class)) {
        return None;
    }
    let change = if named { preset.change_of(called) } else { None }.cloned().unwrap_or_default();
    let wide = site.kind.kernel() > 1;
    let size = match network.conv.filter(|_| preset.enable_conv) {
        _ if !wide => network.linear,
        Some(conv) => conv,
        None => RankAlpha { rank: change.dim?, alpha: network.linear.alpha },
    };
    let rank = change.dim.unwrap_or(size.rank);
    let alpha = change.alpha.unwrap_or(size.alpha);
    let alpha = if lycoris.rs { alpha * (rank as f64).sqrt() } else { alpha };
    let size = RankAlpha { rank, alpha };
    let algo = change.algo.as_ref().unwrap_or(&lycoris.algo);
    let tucker = lycoris.tucker;
    let method = match algo {
        Algo::Lora => Method::Lora { size, tucker },
        Algo::Loha => Method::Loha { size, tucker },
        Algo::Lokr(settings) => Method::Lokr(Kronecker::new(site.kind, size, settings, tucker)),
        Algo::Ia3 => Method::Ia3 { on_input: change.on_input },
        Algo::DyLora(blocks) => Method::DyLora { size, blocks: *blocks },
    };
    let decomposes = matches!(method, Method::Lora { .. } | Method::Loha { .. } | Method::Lokr(_));
    Some((method, lycoris.dora.filter(|_| decomposes)))
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
pub fn dialect_of(adapter: &Kinds) -> Dialect {
    if matches!(adapter, Kinds::Lycoris(_)) { Dialect::Lycoris } else { Dialect::Kohya }
}
