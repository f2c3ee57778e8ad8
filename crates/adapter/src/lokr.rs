//! LoKr, the Kronecker product as LyCORIS trains it: ΔW = scale · w1 ⊗ w2, where each of the two may be a product itself.
//!
//! Rows and columns of W are split into two factors each; w1 has the smaller ones, w2 the larger ones and the kernel.

use std::sync::Arc;

use burn::tensor::Tensor;
use lorabake_ops::FrozenLinear;
use lorabake_recipe::network::RankAlpha;
use lorabake_recipe::network::algo::Lokr as Settings;

use crate::dense::masked_columns;
use crate::draw::AdapterDraw;
use crate::kind::{AdapterKind, AdapterTensors, LayerPass};
use crate::parameter::{NamedShapes, Parameter, Start};
use crate::site::LayerShape;
use crate::tucker::{self, rebuild};

/// LoKr on one layer: how it is split, and which of its two matrices are products.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LokrKind {
    /// Rank and alpha; both matrices whole means scale 1.
    pub size: RankAlpha,
    /// w1 is [rows, columns] of these.
    pub small: [usize; 2],
    /// w2 is [rows, columns] of these, times the kernel.
    pub large: [usize; 2],
    /// How w1 is stored.
    pub w1: Factorization,
    /// How w2 is stored.
    pub w2: Factorization,
}

/// How one of the two matrices is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Factorization {
    /// Whole.
    Whole,
    /// As a product of two of the rank.
    Product,
    /// As two with a core between them (w2 of a wide convolution).
    Tucker,
}

/// The matrices of one layer.
#[derive(Debug)]
struct Lokr {
    /// [a, c].
    w1: Tensor<2>,
    /// [b, d·k·k].
    w2: Tensor<2>,
    /// alpha ÷ rank, or 1.
    scale: f64,
}

impl LokrKind {
    /// The split of a layer by LyCORIS' rules.
    pub fn new(layer: LayerShape, size: RankAlpha, settings: &Settings, tucker: bool) -> Self {
        let (mut few_rows, mut many_rows) = factors(layer.outputs(), settings.factor);
        if settings.unbalanced {
            std::mem::swap(&mut few_rows, &mut many_rows);
        }
        let (few_columns, many_columns) = factors(layer.inputs(), settings.factor);
        let small = [few_rows, few_columns];
        let large = [many_rows, many_columns];
        let is_whole = |[rows, columns]: [usize; 2]| settings.full_matrix || 2 * size.rank >= rows.max(columns);
        let w1 =
            if settings.decompose_both && !is_whole(small) { Factorization::Product } else { Factorization::Whole };
        let w2 = if is_whole(large) {
            Factorization::Whole
        } else if tucker::applies(layer, tucker) {
            Factorization::Tucker
        } else {
            Factorization::Product
        };
        let mut kind = Self { size, small, large, w1, w2 };
        if kind.is_full() {
            kind.size.alpha = size.rank as f64;
        }
        kind
    }

    /// Both matrices are whole: there is no rank, and the scale is 1.
    pub fn is_full(&self) -> bool {
        self.w1 == Factorization::Whole && self.w2 == Factorization::Whole
    }
}

/// One of the two matrices as a file has it.
struct StoredMatrix {
    /// Rows and columns.
    sides: [usize; 2],
    /// Rank of a product.
    rank: Option<usize>,
}

impl StoredMatrix {
    fn whole(name: &str, tensors: &NamedShapes<'_>) -> Result<Self, String> {
        Ok(Self { sides: sides(name, tensors)?, rank: None })
    }

    /// a · b, or aᵀ · b in the Tucker form.
    fn product(a: &str, b: &str, form: Factorization, tensors: &NamedShapes<'_>) -> Result<Self, String> {
        let a = sides(a, tensors)?;
        let [rank, columns] = sides(b, tensors)?;
        let rows = if form == Factorization::Tucker { a[1] } else { a[0] };
        Ok(Self { sides: [rows, columns], rank: Some(rank) })
    }
}

/// The first two sides of a tensor.
fn sides(name: &str, tensors: &NamedShapes<'_>) -> Result<[usize; 2], String> {
    match tensors.need(name)? {
        [rows, columns, ..] => Ok([*rows, *columns]),
        shape => Err(format!("a matrix has shape {shape:?}")),
    }
}

impl AdapterKind for LokrKind {
    fn name(&self) -> &'static str {
        "LoKr"
    }

    fn size(&self) -> Option<RankAlpha> {
        Some(self.size)
    }

    fn scale(&self) -> f64 {
        if self.is_full() { 1.0 } else { self.size.alpha / self.size.rank as f64 }
    }

    fn parameters(&self, layer: LayerShape) -> Vec<Parameter> {
        let rank = self.size.rank;
        let k = layer.kernel();
        let [a, c] = self.small;
        let [b, d] = self.large;
        let kaiming = |name, shape: &[usize]| Parameter::new(name, shape, Start::Kaiming);
        let zero = |name, shape: &[usize]| Parameter::new(name, shape, Start::Zero);
        let mut parameters = match self.w1 {
            Factorization::Whole => vec![kaiming("lokr_w1", &[a, c])],
            _ => vec![kaiming("lokr_w1_a", &[a, rank]), kaiming("lokr_w1_b", &[rank, c])],
        };
        match (self.w2, layer) {
            (Factorization::Whole, LayerShape::Linear { .. }) => parameters.push(zero("lokr_w2", &[b, d])),
            (Factorization::Whole, LayerShape::Conv(_)) => parameters.push(zero("lokr_w2", &[b, d, k, k])),
            (Factorization::Product, _) => {
                parameters.push(kaiming("lokr_w2_a", &[b, rank]));
                parameters.push(zero("lokr_w2_b", &[rank, d * k * k]));
            }
            (Factorization::Tucker, _) => {
                parameters.push(kaiming("lokr_w2_a", &[rank, b]));
                parameters.push(zero("lokr_w2_b", &[rank, d]));
                parameters.push(kaiming("lokr_t2", &[rank, rank, k, k]));
            }
        }
        parameters
    }

    fn of_tensors(layer: LayerShape, alpha: f64, tensors: &NamedShapes<'_>) -> Result<Option<Self>, String> {
        if !tensors.has("lokr_w1") && !tensors.has("lokr_w1_a") {
            return Ok(None);
        }
        let w1 = if tensors.has("lokr_w1") { Factorization::Whole } else { Factorization::Product };
        let w2 = if tensors.has("lokr_w2") {
            Factorization::Whole
        } else if tensors.has("lokr_t2") {
            Factorization::Tucker
        } else {
            Factorization::Product
        };
        let small = match w1 {
            Factorization::Whole => StoredMatrix::whole("lokr_w1", tensors)?,
            _ => StoredMatrix::product("lokr_w1_a", "lokr_w1_b", w1, tensors)?,
        };
        let mut large = match w2 {
            Factorization::Whole => StoredMatrix::whole("lokr_w2", tensors)?,
            _ => StoredMatrix::product("lokr_w2_a", "lokr_w2_b", w2, tensors)?,
        };
        if w2 == Factorization::Product {
            large.sides[1] /= layer.kernel() * layer.kernel();
        }
        let rank = large.rank.or(small.rank).unwrap_or(alpha.max(1.0) as usize);
        let small = small.sides;
        let large = large.sides;
        let needed = (layer.outputs(), layer.inputs());
        if (small[0] * large[0], small[1] * large[1]) != needed {
            return Err(format!("its matrices {small:?} and {large:?} do not multiply to {needed:?}"));
        }
        Ok(Some(Self { size: RankAlpha { rank, alpha }, small, large, w1, w2 }))
    }

    fn tensors(&self, values: Vec<Tensor<2>>, _draw: &AdapterDraw) -> Arc<dyn AdapterTensors> {
        let mut values = values.into_iter();
        let mut next = || values.next().expect("as many tensors as parameters");
        let w1 = match self.w1 {
            Factorization::Whole => next(),
            _ => next().matmul(next()),
        };
        let w2 = match self.w2 {
            Factorization::Whole => next(),
            Factorization::Product => next().matmul(next()),
            Factorization::Tucker => {
                let a = next();
                let b = next();
                let core = next();
                rebuild(&core, a.transpose(), &b)
            }
        };
        Arc::new(Lokr { w1, w2, scale: self.scale() })
    }
}

impl AdapterTensors for Lokr {
    fn delta(&self) -> Option<Tensor<2>> {
        let [a, c] = self.w1.dims();
        let [b, columns] = self.w2.dims();
        let w1 = self.w1.clone().mul_scalar(self.scale).reshape([a, 1, c, 1]);
        let product = w1 * self.w2.clone().reshape([1, b, 1, columns]);
        Some(product.reshape([a * b, c * columns]))
    }

    /// Without ever forming ΔW: a row of x as a matrix [c, d] becomes w1 · x · w2ᵀ.
    fn linear(&self, mut pass: LayerPass<'_, FrozenLinear, 2>) -> Tensor<2> {
        let mask = pass.output_mask(pass.base.outputs());
        let [rows, _] = pass.x.dims();
        let [a, c] = self.w1.dims();
        let [b, d] = self.w2.dims();
        let inner = pass.x.reshape([rows * c, d]).matmul(self.w2.clone().transpose()).mul_scalar(self.scale);
        let inner = inner.reshape([rows, c, b]).swap_dims(1, 2).reshape([rows * b, c]);
        let outer = inner.matmul(self.w1.clone().transpose()).reshape([rows, b, a]);
        masked_columns(outer.swap_dims(1, 2).reshape([rows, a * b]), mask)
    }
}

/// Two factors of `dimension`, the smaller one first: `factor` itself if it divides, otherwise the pair nearest to a
/// square whose smaller one is at most `factor` (any, if there is none).
pub fn factors(dimension: usize, factor: Option<usize>) -> (usize, usize) {
    if let Some(factor) = factor
        && dimension.is_multiple_of(factor)
    {
        let other = dimension / factor;
        return (factor.min(other), factor.max(other));
    }
    let most = factor.unwrap_or(dimension);
    let mut smaller = 1;
    for candidate in 1..=most {
        if candidate * candidate > dimension {
            break;
        }
        if dimension.is_multiple_of(candidate) {
            smaller = candidate;
        }
    }
    (smaller, dimension / smaller)
}
