//! Linear layers and 1×1 convolutions of channels-last images, with what a LoRA adds: plans for `kernels/linear.py`, and the
//! layer whole.

use super::array::{Array, Buffer};
use super::card::{Card, Chosen};
use super::frozen_weight::{FrozenWeight, with_zeros};
use super::launch::{Call, Launch};
use super::launcher::{Contents, Launcher};
use super::low_rank::{self, LowRank};
use super::manifest::Compiled;
use super::padding::{NotServed, padded, padded_inner};
use crate::conv::FrozenConv;
use crate::frozen::FrozenMatrix;
use crate::linear::FrozenLinear;

/// A product of low rank that is added while a layer is multiplied: `inner` [.., r] times a matrix.
#[derive(Debug)]
pub struct Added<'a, H> {
    /// x·downᵀ or dy·up, scaled.
    pub inner: &'a Buffer<H>,
    /// `up` [n, r] forward, `down` [r, k] backward.
    pub matrix: &'a Buffer<H>,
}

/// Blocks of a product of `rows` × `width`.
fn choose(card: &Card, kernel: &str, rows: usize, width: usize) -> Chosen {
    let grid = |kernel: &Compiled| [width.div_ceil(kernel.side("BN")), rows.div_ceil(kernel.side("BM")), 1];
    card.choose(kernel, rows, grid)
}

/// Plans y = x·Wᵀ + bias, and what is added; x [.., k], y [.., n], all padded.
///
/// # Errors
/// If an extent is more than the kernel counts.
pub fn forward<H: Clone>(
    card: &Card,
    weight: &FrozenWeight<H>,
    bias: &Buffer<H>,
    x: &Buffer<H>,
    added: Option<&Added<'_, H>>,
    y: &Buffer<H>,
) -> Result<Launch<H>, NotServed> {
    let [n, k] = weight.numbers.extents();
    let m = x.rows();
    assert!(x.width() == k && y.width() == n && y.rows() == m, "extents of a linear layer");
    // Without a LoRA the kernel reads neither.
    let inner = added.map_or(x, |added| added.inner);
    let up = added.map_or(x, |added| added.matrix);
    Call::of(choose(card, &weight.kernel("linear", ""), m, n))
        .pointer("x", x)
        .pointer("w", &weight.numbers)
        .pointer("scales", weight.scales.as_ref().unwrap_or(bias))
        .pointer("bias", bias)
        .pointer("t", inner)
        .pointer("up", up)
        .pointer("y", y)
        .int("m", m)
        .int("n", n)
        .int("k", k)
        .int("r", added.map_or(0, |added| added.inner.width()))
        .planned()
}

/// Plans dx = dy·W, and what is added; dy [.., n], dx [.., k], all padded. `unread`: any f32 array, for the scales of a
/// weight that has none.
///
/// # Errors
/// If an extent is more than the kernel counts.
pub fn backward<H: Clone>(
    card: &Card,
    weight: &FrozenWeight<H>,
    unread: &Buffer<H>,
    dy: &Buffer<H>,
    added: Option<&Added<'_, H>>,
    dx: &Buffer<H>,
) -> Result<Launch<H>, NotServed> {
    let [n, k] = weight.numbers.extents();
    let m = dy.rows();
    assert!(dy.width() == n && dx.width() == k && dx.rows() == m, "extents of a linear layer");
    let inner = added.map_or(dy, |added| added.inner);
    let down = added.map_or(dy, |added| added.matrix);
    Call::of(choose(card, &weight.kernel("linear", "_dx"), m, k))
        .pointer("dy", dy)
        .pointer("w", &weight.numbers)
        .pointer("scales", weight.scales.as_ref().unwrap_or(unread))
        .pointer("dt", inner)
        .pointer("down", down)
        .pointer("dx", dx)
        .int("m", m)
        .int("n", n)
        .int("k", k)
        .int("r", added.map_or(0, |added| added.inner.width()))
        .planned()
}

/// A frozen linear layer on a card.
#[derive(Debug, Clone)]
pub struct LinearLayer<H> {
    inputs: usize,
    outputs: usize,
    weight: FrozenWeight<H>,
    bias: Buffer<H>,
}

/// What a layer has computed, and what its backward pass reads.
#[derive(Debug, Clone)]
pub struct Forward<H> {
    /// [.., out]
    pub y: Buffer<H>,
    /// What a LoRA's gradients need.
    pub kept: Option<Kept<H>>,
}

/// What the backward pass of a layer with a product of low rank reads.
#[derive(Debug, Clone)]
pub struct Kept<H> {
    x: Buffer<H>,
    inner: Buffer<H>,
    low_rank: LowRank<H>,
}

/// Gradients of a layer.
#[derive(Debug, Clone)]
pub struct Gradients<H> {
    /// [.., in]
    pub dx: Buffer<H>,
    /// Those of the product of low rank, if there is one.
    pub low_rank: Option<low_rank::Gradients<H>>,
}

impl<H: Clone> LinearLayer<H> {
    /// Brings a layer to a card.
    ///
    /// # Errors
    /// If its weight is held in 32 bits.
    pub fn of<L: Launcher<Handle = H>>(on: &mut L, layer: &FrozenLinear) -> Result<Self, NotServed> {
        Self::of_matrix(on, layer.weight(), layer.bias())
    }

    /// Brings a 1×1 convolution to a card, which is a linear layer for images with their channels last.
    ///
    /// # Errors
    /// If it is none, or its weight is held in 32 bits.
    pub fn of_pointwise<L: Launcher<Handle = H>>(on: &mut L, conv: &FrozenConv) -> Result<Self, NotServed> {
        if !conv.shape().is_pointwise() {
            return Err(NotServed::Form("this convolution as a linear layer"));
        }
        Self::of_matrix(on, conv.weight(), conv.bias())
    }

    fn of_matrix<L: Launcher<Handle = H>>(
        on: &mut L,
        weight: &FrozenMatrix,
        bias: Option<&[f32]>,
    ) -> Result<Self, NotServed> {
        let inputs = weight.columns();
        let outputs = weight.rows();
        let extents = [padded(outputs), padded_inner(inputs, weight.dtype())];
        let weight = match weight.eighths() {
            Some(eighths) if extents == [outputs, inputs] => FrozenWeight::of_eighths(on, &eighths, &extents),
            _ => {
                let values = with_zeros(&weight.to_f32(), [outputs, inputs], extents);
                FrozenWeight::bring(on, &values, &extents, weight.dtype())?
            }
        };
        let mut bias = bias.unwrap_or_default().to_vec();
        bias.resize(extents[0], 0.0);
        Ok(Self { inputs, outputs, weight, bias: on.given(Contents::F32(&bias), &[extents[0]]) })
    }

    /// Brings a product of low rank to the widths of this layer: `down` [rank, in], `up` [out, rank] in 16 bits.
    pub fn low_rank<L: Launcher<Handle = H>>(
        &self,
        on: &mut L,
        down: &Buffer<H>,
        up: &Buffer<H>,
        scale: f32,
    ) -> LowRank<H> {
        let [n, k] = self.weight.numbers.extents();
        let rank = down.extents::<2>()[0];
        let down = on.brought_to(down, &[padded(rank), k]);
        let up = on.brought_to(up, &[n, padded(rank)]);
        LowRank { down, up, scale, rank }
    }

    /// The layer, and a product of low rank beside it; x [.., in].
    ///
    /// # Errors
    /// If an extent is more than a kernel counts.
    pub fn forward<L: Launcher<Handle = H>>(
        &self,
        on: &mut L,
        x: &Buffer<H>,
        beside: Option<&LowRank<H>>,
    ) -> Result<Forward<H>, NotServed> {
        let card = on.card();
        let [n, k] = self.weight.numbers.extents();
        let x = on.with_width(x, k);
        let y = on.empty(Array::half(&x.with_width(n)));
        let mut kept = None;
        if let Some(low_rank) = beside {
            let inner = low_rank.into_rank(on, &x)?;
            kept = Some(Kept { x: x.clone(), inner, low_rank: low_rank.clone() });
        }
        let added = kept.as_ref().map(|kept| Added { inner: &kept.inner, matrix: &kept.low_rank.up });
        let launch = forward(&card, &self.weight, &self.bias, &x, added.as_ref(), &y)?;
        on.launch(launch);
        Ok(Forward { y: on.with_width(&y, self.outputs), kept })
    }

    /// The gradient of the input, and those of the product of low rank; dy [.., out].
    ///
    /// # Errors
    /// If an extent is more than a kernel counts.
    pub fn backward<L: Launcher<Handle = H>>(
        &self,
        on: &mut L,
        dy: &Buffer<H>,
        kept: Option<&Kept<H>>,
    ) -> Result<Gradients<H>, NotServed> {
        let card = on.card();
        let [n, k] = self.weight.numbers.extents();
        let dy = on.with_width(dy, n);
        let dx = on.empty(Array::half(&dy.with_width(k)));
        let inner = match kept {
            Some(kept) => Some(kept.low_rank.back_into_rank(on, &dy)?),
            None => None,
        };
        let mut added = None;
        if let (Some(kept), Some(inner)) = (kept, &inner) {
            added = Some(Added { inner, matrix: &kept.low_rank.down });
        }
        let launch = backward(&card, &self.weight, &self.bias, &dy, added.as_ref(), &dx)?;
        on.launch(launch);
        let mut low_rank = None;
        if let (Some(kept), Some(inner)) = (kept, &inner) {
            let read = low_rank::Read { x: &kept.x, inner: &kept.inner, dy: &dy, back: inner };
            let gradients = kept.low_rank.gradients(on, &read)?;
            low_rank = Some(gradients.cut(on, [kept.low_rank.rank, self.inputs, self.outputs]));
        }
        Ok(Gradients { dx: on.with_width(&dx, self.inputs), low_rank })
    }
}
