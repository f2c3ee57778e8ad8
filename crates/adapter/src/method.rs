//! The kinds of adapter side by side: of which numbers each is made, how they start, and how a file names them.
//!
//! Names, shapes, first values and scales are those of sd-scripts' `networks.lora`, `networks.dylora` and of LyCORIS 4.1.
//! Each kind has a file of its own and one row here; a new one also needs its arm in [`Method::of_algo`].

use lorabake_recipe::network::RankAlpha;
use lorabake_recipe::network::algo::Algo;

use crate::dylora::DyLoraKind;
use crate::ia3::Ia3Kind;
use crate::kind::AdapterKind;
use crate::loha::LohaKind;
use crate::lokr::LokrKind;
use crate::lora::LoraKind;
use crate::parameter::{NamedShapes, Parameter};
use crate::site::LayerShape;

/// Makes [`Method`] and its ways to a kind from one row for each, in the order in which a file's tensors are tried.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident($kind:ident),)*) => {
        /// How the change of one layer is made of trained numbers.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub enum Method {
            $($(#[$doc])* $name($kind),)*
        }

        impl Method {
            pub(crate) fn kind(&self) -> &dyn AdapterKind {
                match self {
                    $(Self::$name(kind) => kind,)*
                }
            }

            /// The kind that a file's tensors are of, by their names.
            fn by_names(layer: LayerShape, alpha: f64, tensors: &NamedShapes<'_>) -> Result<Option<Self>, String> {
                $(
                    if let Some(kind) = $kind::of_tensors(layer, alpha, tensors)? {
                        return Ok(Some(Self::$name(kind)));
                    }
                )*
                Ok(None)
            }
        }
    };
}

kinds! {
    /// ΔW = scale · up · down, with `mid` between them in the Tucker form.
    Lora(LoraKind),
    /// ΔW = scale · (w1a · w1b) ∘ (w2a · w2b).
    Loha(LohaKind),
    /// ΔW = scale · w1 ⊗ w2.
    Lokr(LokrKind),
    /// ΔW = W · w along outputs or inputs.
    Ia3(Ia3Kind),
    /// A LoRA of which each pass trains one block of ranks.
    DyLora(DyLoraKind),
}

/// What a recipe says about one layer beside the algorithm.
pub(crate) struct LayerSettings {
    /// What the layer computes.
    pub layer: LayerShape,
    /// Rank and alpha.
    pub size: RankAlpha,
    /// Wide convolutions take the Tucker form.
    pub tucker: bool,
    /// (IA)³ scales inputs instead of outputs.
    pub on_input: bool,
}

impl Method {
    /// LyCORIS' algorithm on one layer.
    pub(crate) fn of_algo(algo: &Algo, settings: LayerSettings) -> Self {
        let LayerSettings { layer, size, tucker, on_input } = settings;
        match algo {
            Algo::Lora => Self::Lora(LoraKind { size, tucker }),
            Algo::Loha => Self::Loha(LohaKind { size, tucker }),
            Algo::Lokr(split) => Self::Lokr(LokrKind::new(layer, size, split, tucker)),
            Algo::Ia3 => Self::Ia3(Ia3Kind { on_input }),
            Algo::DyLora(blocks) => Self::DyLora(DyLoraKind { size, blocks: *blocks }),
        }
    }

    /// The kind whose tensors these are, by name and shape. DyLoRA is saved as LoRA.
    ///
    /// # Errors
    /// If no kind has such names, a tensor is missing, or the shapes do not fit together or the layer.
    pub fn of_tensors(layer: LayerShape, alpha: f64, tensors: &NamedShapes<'_>) -> Result<Self, String> {
        let Some(method) = Self::by_names(layer, alpha, tensors)? else {
            return Err("its tensors are of no kind that lorabake knows".into());
        };
        for parameter in method.parameters(layer) {
            let shape = tensors.need(&parameter.name)?;
            let wanted = &parameter.shape;
            if without_trailing_ones(shape) != without_trailing_ones(wanted) {
                return Err(format!("{} has shape {shape:?}, this checkpoint needs {wanted:?}", parameter.name));
            }
        }
        Ok(method)
    }

    /// The trained tensors on a layer.
    pub fn parameters(&self, layer: LayerShape) -> Vec<Parameter> {
        self.kind().parameters(layer)
    }

    /// Rank and alpha; `None` for IA3, which has neither.
    pub fn size(&self) -> Option<RankAlpha> {
        self.kind().size()
    }

    /// What the change is multiplied with.
    pub fn scale(&self) -> f64 {
        self.kind().scale()
    }

    /// The kind's common name.
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }
}

/// A shape without the ones at its end: a 1×1 kernel is stored with and without its sides.
fn without_trailing_ones(shape: &[usize]) -> &[usize] {
    let end = shape.iter().rposition(|extent| *extent != 1).map_or(0, |last| last + 1);
    &shape[..end]
}
