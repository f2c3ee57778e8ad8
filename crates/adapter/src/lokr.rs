//! LoKr, the Kronecker product as LyCORIS trains it: ΔW = scale · w1 ⊗ w2, where each of the two may be a product itself.
//!
//! Rows and columns of W are split into two factors each; w1 has the smaller ones, w2 the larger ones and the kernel.

use burn::tensor::Tensor;
use lorabake_recipe::network::RankAlpha;
use lorabake_recipe::network::algo::Lokr as Settings;

use crate::Kind;
use crate::method::{Named, Parameter, Start};
use crate::tucker::{self, rebuild};

/// How a layer is split, and which of its two matrices are products.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kronecker {
    /// Rank and alpha; both matrices whole means scale 1.
    pub size: RankAlpha,
    /// w1 is [rows, columns] of these.
    pub small: [usize; 2],
    /// w2 is [rows, columns] of these, times the kernel.
    pub large: [usize; 2],
    /// How w1 is stored.
    pub w1: Form,
    /// How w2 is stored.
    pub w2: Form,
}

/// How one of the two matrices is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Whole.
    Whole,
    /// As a product of two of the rank.
    Product,
    /// As two with a core between them (w2 of a wide convolution).
    Tucker,
}

/// The matrices of one layer.
#[derive(Debug, Clone)]
pub(crate) struct Lokr {
    /// [a, c].
    pub w1: Tensor<2>,
    /// [b, d·k·k].
    pub w2: Tensor<2>,
    /// alpha ÷ rank, or 1.
    pub scale: f64,
}

impl Kronecker {
    /// The split of a layer by LyCORIS' rules.
    pub fn new(layer: Kind, size: RankAlpha, settings: &Settings, tucker: bool) -> Self {
        let (rows, columns) = (factors(layer.outputs(), settings.factor), factors(layer.inputs(), settings.factor));
        let rows = if settings.unbalanced { (rows.1, rows.0) } else { rows };
        let (small, large) = ([rows.0, columns.0], [rows.1, columns.1]);
        let whole = |sides: [usize; 2]| settings.full_matrix || 2 * size.rank >= sides[0].max(sides[1]);
        let w1 = if settings.decompose_both && !whole(small) { Form::Product } else { Form::Whole };
        let w2 = match (whole(large), tucker::applies(layer, tucker)) {
            (true, _) => Form::Whole,
            (false, true) => Form::Tucker,
            (false, false) => Form::Product,
        };
        let mut kronecker = Self { size, small, large, w1, w2 };
        if kronecker.is_full() {
            kronecker.size.alpha = size.rank as f64;
        }
        kronecker
    }

    /// Both matrices are whole: there is no rank, and the scale is 1.
    pub fn is_full(&self) -> bool {
        self.w1 == Form::Whole && self.w2 == Form::Whole
    }

    /// The split that a file's tensors show.
    pub(crate) fn of_tensors(layer: Kind, alpha: f64, tensors: &Named<'_>) -> Result<Self, String> {
        let form = |whole: &str, core: &str| match (tensors.shape(whole), tensors.shape(core)) {
            (Some(_), _) => Form::Whole,
            (None, Some(_)) => Form::Tucker,
            (None, None) => Form::Product,
        };
        let (w1, w2) = (form("lokr_w1", "-"), form("lokr_w2", "lokr_t2"));
        let sides = |shape: &[usize]| match shape {
            [rows, columns, ..] => Ok([*rows, *columns]),
            _ => Err(format!("a matrix has shape {shape:?}")),
        };
        let mut rank = None;
        let whole = |name: &str| tensors.need(name).and_then(sides);
        let mut product = |a: &str, b: &str, transposed: bool| -> Result<[usize; 2], String> {
            let (a, b) = (whole(a)?, whole(b)?);
            rank = Some(b[0]);
            Ok([if transposed { a[1] } else { a[0] }, b[1]])
        };
        let small = if w1 == Form::Whole { whole("lokr_w1")? } else { product("lokr_w1_a", "lokr_w1_b", false)? };
        let mut large =
            if w2 == Form::Whole { whole("lokr_w2")? } else { product("lokr_w2_a", "lokr_w2_b", w2 == Form::Tucker)? };
        if w2 == Form::Product {
            large[1] /= layer.kernel() * layer.kernel();
        }
        let split = |side: usize| small[side] * large[side];
        if (split(0), split(1)) != (layer.outputs(), layer.inputs()) {
            let needed = (layer.outputs(), layer.inputs());
            return Err(format!("its matrices {small:?} and {large:?} do not multiply to {needed:?}"));
        }
        let rank = rank.unwrap_or((alpha.max(1.0)) as usize);
        Ok(Self { size: RankAlpha { rank, alpha }, small, large, w1, w2 })
    }

    pub(crate) fn parameters(&self, layer: Kind) -> Vec<Parameter> {
        let (r, k) = (self.size.rank, layer.kernel());
        let ([a, c], [b, d]) = (self.small, self.large);
        let kaiming = |name, shape: &[usize]| Parameter::new(name, shape, Start::Kaiming);
        let mut parameters = match self.w1 {
            Form::Whole => vec![kaiming("lokr_w1", &[a, c])],
            _ => vec![kaiming("lokr_w1_a", &[a, r]), kaiming("lokr_w1_b", &[r, c])],
        };
        let zero = |name, shape: &[usize]| Parameter::new(name, shape, Start::Zero);
        match (self.w2, layer) {
            (Form::Whole, Kind::Linear { .. }) => parameters.push(zero("lokr_w2", &[b, d])),
            (Form::Whole, Kind::Conv(_)) => parameters.push(zero("lokr_w2", &[b, d, k, k])),
            (Form::Product, _) => {
                parameters.extend([kaiming("lokr_w2_a", &[b, r]), zero("lokr_w2_b", &[r, d * k * k])]);
            }
            (Form::Tucker, _) => {
                parameters.extend([kaiming("lokr_w2_a", &[r, b]), zero("lokr_w2_b", &[r, d])]);
                parameters.push(kaiming("lokr_t2", &[r, r, k, k]));
            }
        }
        parameters
    }

    /// From the parameters in their order.
    pub(crate) fn matrices(&self, scale: f64, mut values: impl Iterator<Item = Tensor<2>>) -> Lokr {
        let mut next = || values.next().expect("as many tensors as parameters");
        let w1 = match self.w1 {
            Form::Whole => next(),
            _ => next().matmul(next()),
        };
        let w2 = match self.w2 {
            Form::Whole => next(),
            Form::Product => next().matmul(next()),
            Form::Tucker => {
                let (a, b, core) = (next(), next(), next());
                rebuild(&core, a.transpose(), &b)
            }
        };
        Lokr { w1, w2, scale }
    }
}

impl Lokr {
    /// ΔW, [out, in·k·k].
    pub(crate) fn delta(&self) -> Tensor<2> {
        let ([a, c], [b, columns]) = (self.w1.dims(), self.w2.dims());
        let w1 = self.w1.clone().mul_scalar(self.scale).reshape([a, 1, c, 1]);
        let product = w1 * self.w2.clone().reshape([1, b, 1, columns]);
        product.reshape([a * b, c * columns])
    }

    /// The bypass of a linear layer without ever forming ΔW: x as a matrix [c, d] becomes w1 · x · w2ᵀ.
    pub(crate) fn linear<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let mut shape = x.dims();
        let rows = shape[..D - 1].iter().product::<usize>();
        let ([a, c], [b, d]) = (self.w1.dims(), self.w2.dims());
        shape[D - 1] = a * b;
        let inner = x.reshape([rows * c, d]).matmul(self.w2.clone().transpose()).mul_scalar(self.scale);
        let inner = inner.reshape([rows, c, b]).swap_dims(1, 2).reshape([rows * b, c]);
        let outer = inner.matmul(self.w1.clone().transpose()).reshape([rows, b, a]);
        outer.swap_dims(1, 2).reshape(shape)
    }
}

/// Two factors of `dimension`, the smaller one first: `factor` itself if it divides, otherwise the pair nearest to a
/// square whose smaller one is at most `factor` (any, if there is none).
pub fn factors(dimension: usize, factor: Option<usize>) -> (usize, usize) {
    if let Some(factor) = factor
        && dimension.is_multiple_of(factor)
    {
        return (factor.min(dimension / factor), factor.max(dimension / factor));
    }
    let most = factor.unwrap_or(dimension);
    let divides = |m: &usize| dimension.is_multiple_of(*m) && m * m <= dimension;
    let smaller = (1..=most).take_while(|m| m * m <= dimension).filter(divides).last().unwrap_or(1);
    (smaller, dimension / smaller)
}
