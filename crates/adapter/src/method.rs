//! The kinds of adapter: of which numbers each is made, how they start, and how a file names them.
//!
//! Names, shapes, first values and scales are those of sd-scripts' `networks.lora`, `networks.dylora` and of LyCORIS 4.1.
//! Each kind has a file of its own; this one puts them side by side.

use lorabake_recipe::network::RankAlpha;
use lorabake_recipe::network::adapter::Side;
use lorabake_recipe::network::algo::RankBlocks;

use crate::dylora;
use crate::lokr::Kronecker;
use crate::{Kind, ia3, loha, lora};

/// How the change of one layer is made of trained numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// ΔW = scale · up · down, with `mid` between them in the Tucker form.
    Lora {
        /// Rank and alpha.
        size: RankAlpha,
        /// Wide convolutions have a core of their own.
        tucker: bool,
    },
    /// ΔW = scale · (w1a · w1b) ∘ (w2a · w2b).
    Loha {
        /// Rank and alpha.
        size: RankAlpha,
        /// Wide convolutions have two cores of their own.
        tucker: bool,
    },
    /// ΔW = scale · w1 ⊗ w2.
    Lokr(Kronecker),
    /// ΔW = W · w along outputs or inputs.
    Ia3 {
        /// Inputs instead of outputs.
        on_input: bool,
    },
    /// A LoRA of which each pass trains one block of ranks.
    DyLora {
        /// Rank and alpha.
        size: RankAlpha,
        /// Ranks of a block, and whose rules hold.
        blocks: RankBlocks,
    },
}

/// One trained tensor of a module.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name within the module; as in files, except for DyLoRA's blocks.
    pub name: String,
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Its first values.
    pub start: Start,
}

/// First values of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start {
    /// All zero.
    Zero,
    /// Uniform within ±1/√(fan in), which is torch's `kaiming_uniform_(a=√5)`.
    Kaiming,
    /// Normal with this standard deviation.
    Normal(f64),
    /// The norms of the frozen weight's rows or columns.
    Norms(Side),
}

impl Parameter {
    pub(crate) fn new(name: impl Into<String>, shape: &[usize], start: Start) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), start }
    }

    /// Rows and columns as the adapters use it: the first axis against all others; one row if there is one axis.
    pub fn matrix(&self) -> [usize; 2] {
        match self.shape.as_slice() {
            [count] => [1, *count],
            shape => [shape[0], shape[1..].iter().product()],
        }
    }
}

impl Method {
    /// The trained tensors on a layer.
    pub fn parameters(&self, layer: Kind) -> Vec<Parameter> {
        match *self {
            Self::Lora { size, tucker } => lora::parameters(layer, size.rank, tucker),
            Self::Loha { size, tucker } => loha::parameters(layer, size.rank, tucker),
            Self::Lokr(kronecker) => kronecker.parameters(layer),
            Self::Ia3 { on_input } => ia3::parameters(layer, on_input),
            Self::DyLora { size, blocks } => dylora::parameters(layer, size.rank, blocks),
        }
    }

    /// Rank and alpha; `None` for IA3, which has neither.
    pub fn size(&self) -> Option<RankAlpha> {
        match *self {
            Self::Lora { size, .. } | Self::Loha { size, .. } | Self::DyLora { size, .. } => Some(size),
            Self::Lokr(kronecker) => Some(kronecker.size),
            Self::Ia3 { .. } => None,
        }
    }

    /// What the change is multiplied with.
    pub fn scale(&self) -> f64 {
        match (self, self.size()) {
            (Self::Lokr(kronecker), _) if kronecker.is_full() => 1.0,
            (_, Some(size)) => size.alpha / size.rank as f64,
            (_, None) => 1.0,
        }
    }

    /// The kind's common name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Lora { .. } => "LoRA",
            Self::Loha { .. } => "LoHa",
            Self::Lokr(_) => "LoKr",
            Self::Ia3 { .. } => "IA3",
            Self::DyLora { .. } => "DyLoRA",
        }
    }

    /// The kind whose tensors these are, by name and shape; `None` if no kind has such names. DyLoRA is saved as LoRA.
    ///
    /// # Errors
    /// If a tensor is missing or the shapes do not fit together or the layer.
    pub fn of_tensors<'t>(layer: Kind, alpha: f64, tensors: &Named<'t>) -> Result<Self, String> {
        let has = |name: &str| tensors.shape(name).is_some();
        let method = if has("lora_down.weight") || has("lora_up.weight") {
            let size = RankAlpha { rank: tensors.need("lora_down.weight")?[0], alpha };
            Self::Lora { size, tucker: has("lora_mid.weight") }
        } else if has("hada_w1_b") || has("hada_w1_a") {
            let size = RankAlpha { rank: tensors.need("hada_w1_b")?[0], alpha };
            Self::Loha { size, tucker: has("hada_t1") }
        } else if has("lokr_w1") || has("lokr_w1_a") {
            Self::Lokr(Kronecker::of_tensors(layer, alpha, tensors)?)
        } else if has("weight") {
            let on_input = tensors.on_input.ok_or("on_input is missing")?;
            Self::Ia3 { on_input }
        } else {
            return Err("its tensors are of no kind that lorabake knows".into());
        };
        let expected = method.parameters(layer);
        for parameter in &expected {
            let shape = tensors.need(&parameter.name)?;
            if squeezed(shape) != squeezed(&parameter.shape) {
                let (name, wanted) = (&parameter.name, &parameter.shape);
                return Err(format!("{name} has shape {shape:?}, this checkpoint needs {wanted:?}"));
            }
        }
        Ok(method)
    }
}

/// Without the ones at the end: a 1×1 kernel is stored with and without its sides.
fn squeezed(shape: &[usize]) -> &[usize] {
    let end = shape.iter().rposition(|extent| *extent != 1).map_or(0, |last| last + 1);
    &shape[..end]
}

/// Shapes of a module's tensors by name, and the flag that IA3 stores as a tensor.
#[derive(Debug, Clone, Default)]
pub struct Named<'t> {
    /// Name and shape.
    pub shapes: Vec<(&'t str, &'t [usize])>,
    /// IA3's `on_input`.
    pub on_input: Option<bool>,
}

impl<'t> Named<'t> {
    pub(crate) fn shape(&self, name: &str) -> Option<&'t [usize]> {
        self.shapes.iter().find(|(known, _)| *known == name).map(|(_, shape)| *shape)
    }

    pub(crate) fn need(&self, name: &str) -> Result<&'t [usize], String> {
        let shape = self.shape(name).ok_or_else(|| format!("{name} is missing"))?;
        if shape.is_empty() || shape.contains(&0) {
            return Err(format!("{name} has shape {shape:?}"));
        }
        Ok(shape)
    }
}
