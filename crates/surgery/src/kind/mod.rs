//! The plain maths of every kind of adapter: the tensors of a module → what it adds to the weight and bias of its layer.
//!
//! Formulas and scales are those by which lorabake trains and paints (crate `adapter`), which are LyCORIS' and the web UI's.
//! [`Module`] has one module, [`Change`] how it changes a weight.

mod dora;
mod fit;
mod glora;
mod oft;
pub(crate) mod products;

pub use dora::{Magnitudes, Side};
pub use glora::Glora;
pub use oft::Oft;
pub use products::{Factors, Product};

use crate::matrix::Matrix;

/// The size of a layer's weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightShape {
    /// Rows: outputs or output channels.
    pub outputs: usize,
    /// Inputs or input channels.
    pub inputs: usize,
    /// Numbers of a convolution's kernel; 1 for a matrix.
    pub taps: usize,
}

impl WeightShape {
    /// The size of a weight with this shape; `None` for one that is neither a matrix nor a convolution.
    pub fn of(shape: &[usize]) -> Option<Self> {
        match shape {
            [outputs, inputs] => Some(Self { outputs: *outputs, inputs: *inputs, taps: 1 }),
            [outputs, inputs, kernel @ ..] if kernel.len() <= 2 => {
                Some(Self { outputs: *outputs, inputs: *inputs, taps: kernel.iter().product() })
            }
            _ => None,
        }
    }

    /// How many numbers the weight has.
    pub fn numbers(&self) -> usize {
        self.outputs * self.columns()
    }

    /// Columns of the weight as a matrix.
    pub fn columns(&self) -> usize {
        self.inputs * self.taps
    }
}

/// A module of a net's file.
#[derive(Debug, Clone, PartialEq)]
pub struct Module {
    /// How the weight is changed, if it is.
    pub change: Option<Change>,
    /// Weight decomposition (DoRA).
    pub dora: Option<Magnitudes>,
    /// What is added to the bias.
    pub bias: Option<Vec<f32>>,
    /// The size of the weight, as far as the tensors tell it; of LoHa and LoKr the kernel may be unknown (1 then).
    pub shape: WeightShape,
}

/// How a weight is changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// LoRA, LoCon, DyLoRA: up·down, also in the Tucker form.
    LowRank(Factors),
    /// LoHa: two products, multiplied element by element.
    Hadamard(Product, Product, Scale),
    /// LoKr: w1 ⊗ w2.
    Kronecker(Half, Half, Scale),
    /// A difference as large as the weight.
    Full(Matrix),
    /// IA3: rows, or the columns of an input, times 1 + w.
    Ia3(Vec<f32>, Side),
    /// OFT, BOFT.
    Oft(Oft),
    /// GLoRA.
    Glora(Glora),
}

/// What a product is multiplied with: alpha ÷ rank.
pub type Scale = f64;

/// One of the two factors of a Kronecker product.
#[derive(Debug, Clone, PartialEq)]
pub enum Half {
    /// It is stored whole.
    Whole(Matrix),
    /// It is a product itself.
    Product(Product),
}

impl Half {
    /// The factor as a matrix.
    pub fn whole(&self) -> Matrix {
        match self {
            Self::Whole(matrix) => matrix.clone(),
            Self::Product(product) => product.whole(),
        }
    }
}

/// What is known of the weight that a module changes.
#[derive(Debug, Clone, Copy)]
pub struct Base<'w> {
    /// The weight as it is before the module.
    pub weight: &'w Matrix,
    /// The size of the weight.
    pub shape: WeightShape,
}

impl Module {
    /// The kind's common name.
    pub fn kind(&self) -> &'static str {
        match &self.change {
            Some(Change::LowRank(_)) if self.dora.is_some() => "DoRA",
            Some(Change::LowRank(_)) => "LoRA",
            Some(Change::Hadamard(..)) => "LoHa",
            Some(Change::Kronecker(..)) => "LoKr",
            Some(Change::Full(_)) => "full difference",
            Some(Change::Ia3(..)) => "IA3",
            Some(Change::Oft(oft)) if oft.is_butterfly => "BOFT",
            Some(Change::Oft(_)) => "OFT",
            Some(Change::Glora(_)) => "GLoRA",
            None => "bias",
        }
    }

    /// Whether what it adds to a weight depends on that weight.
    pub fn reads_weight(&self) -> bool {
        self.dora.is_some() || matches!(self.change, Some(Change::Ia3(..) | Change::Oft(_) | Change::Glora(_)))
    }

    /// What it adds to a weight at strength 1, (outputs, inputs·taps); `None` if it leaves the weight alone.
    ///
    /// # Errors
    /// When the change depends on the weight and there is no `base`.
    pub fn delta(&self, base: Option<Base<'_>>) -> Result<Option<Matrix>, String> {
        let Some(change) = &self.change else { return Ok(None) };
        let needed = || format!("a {} changes a weight in proportion to it, which is needed", self.kind());
        let delta = match change {
            Change::LowRank(factors) => factors.whole(),
            Change::Hadamard(first, second, scale) => {
                let mut product = first.whole();
                for (value, other) in product.values.iter_mut().zip(second.whole().values) {
                    *value *= other;
                }
                product.scaled(*scale)
            }
            Change::Kronecker(first, second, scale) => products::kronecker(&first.whole(), &second.whole(), *scale),
            Change::Full(matrix) => matrix.clone(),
            Change::Ia3(weight, side) => side.scaled(base.ok_or_else(needed)?, weight),
            Change::Oft(oft) => oft.delta(base.ok_or_else(needed)?.weight),
            Change::Glora(glora) => glora.delta(base.ok_or_else(needed)?),
        };
        match &self.dora {
            None => Ok(Some(delta)),
            Some(magnitudes) => Ok(Some(magnitudes.delta(base.ok_or_else(needed)?, delta))),
        }
    }

    /// Its change as one product of two matrices, exactly: LoRA as it is, LoHa with the square of its rank, LoKr with the
    /// rank of one factor times the smaller side of the other. `None` for what has no such form, and for DoRA.
    pub fn factors(&self) -> Option<Factors> {
        if self.dora.is_some() {
            return None;
        }
        match self.change.as_ref()? {
            Change::LowRank(factors) => Some(factors.clone()),
            Change::Hadamard(first, second, scale) => Some(products::hadamard_factors(first, second, *scale)),
            Change::Kronecker(first, second, scale) => Some(products::kronecker_factors(first, second, *scale)),
            Change::Full(_) | Change::Ia3(..) | Change::Oft(_) | Change::Glora(_) => None,
        }
    }
}
