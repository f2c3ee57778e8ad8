//! What a LoRA multiplies beside its layer: plans for `kernels/low_rank.py`, and its gradients whole.

use super::array::{Array, Buffer};
use super::card::Card;
use super::launch::{Call, Launch};
use super::launcher::Launcher;
use super::padding::NotServed;

/// A product of low rank on a card, its matrices padded.
#[derive(Debug, Clone)]
pub struct LowRank<H> {
    /// [r, k]
    pub down: Buffer<H>,
    /// [n, r]
    pub up: Buffer<H>,
    /// What the product is multiplied by.
    pub scale: f32,
    /// The rank without padding.
    pub rank: usize,
}

/// What gradients are made of, all padded.
#[derive(Debug)]
pub struct Read<'a, H> {
    /// The layer's input [.., k].
    pub x: &'a Buffer<H>,
    /// scale·x·downᵀ [.., r]
    pub inner: &'a Buffer<H>,
    /// The gradient of the layer's output [.., n].
    pub dy: &'a Buffer<H>,
    /// scale·dy·up [.., r]
    pub back: &'a Buffer<H>,
}

/// Gradients of both matrices, in f32.
#[derive(Debug, Clone)]
pub struct Gradients<H> {
    /// [r, k]
    pub down: Buffer<H>,
    /// [n, r]
    pub up: Buffer<H>,
}

/// Which side of the product a matrix stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// `down` [r, k], x and its gradient.
    Down,
    /// `up` [n, r], dy and its gradient.
    Up,
}

impl Side {
    fn kernel(self, name: &'static str) -> String {
        match self {
            Side::Down => name.to_string(),
            Side::Up => format!("{name}_turned"),
        }
    }
}

/// Plans `inner` [.., r] = scale · x [.., width] · a matrix.
///
/// # Errors
/// If an extent is more than the kernel counts.
pub fn into_rank<H: Clone>(
    card: &Card,
    side: Side,
    x: &Buffer<H>,
    matrix: &Buffer<H>,
    scale: f32,
    inner: &Buffer<H>,
) -> Result<Launch<H>, NotServed> {
    let m = x.rows();
    let k = x.width();
    let r = inner.width();
    let extents = if side == Side::Down { [r, k] } else { [k, r] };
    assert!(matrix.extents() == extents && inner.rows() == m, "extents of a product of low rank");
    let kernel = card.only(&side.kernel("low_rank_into"));
    Call::over(kernel, [r.div_ceil(kernel.side("BR")), m.div_ceil(kernel.side("BM")), 1])
        .pointer("x", x)
        .pointer("matrix", matrix)
        .pointer("t", inner)
        .int("m", m)
        .int("k", k)
        .int("r", r)
        .number("scale", scale)
        .planned()
}

/// Rows of a part of a gradient: enough parts to keep the card busy, in whole tiles.
///
/// Parts are f32 and as large as the gradient, so that there are no more of them than are needed.
pub fn rows_of_part(card: &Card, side: Side, [m, k, r]: [usize; 3]) -> usize {
    let kernel = card.only(&side.kernel("low_rank_grad"));
    let blocks = k.div_ceil(kernel.side("BK")) * r.div_ceil(kernel.side("BR"));
    let parts = card.multiprocessors.div_ceil(blocks);
    m.div_ceil(parts).next_multiple_of(kernel.side("BM"))
}

/// Plans `parts` [parts, r, k], or [parts, k, r] of `up`: innerᵀ·x over each `split` rows.
///
/// # Errors
/// If an extent is more than the kernel counts.
pub fn parts_of_gradient<H: Clone>(
    card: &Card,
    side: Side,
    inner: &Buffer<H>,
    x: &Buffer<H>,
    split: usize,
    parts: &Buffer<H>,
) -> Result<Launch<H>, NotServed> {
    let m = x.rows();
    let k = x.width();
    let r = inner.width();
    let count = m.div_ceil(split);
    let extents = if side == Side::Down { [count, r, k] } else { [count, k, r] };
    assert!(parts.extents() == extents && inner.rows() == m, "extents of a gradient of low rank");
    let kernel = card.only(&side.kernel("low_rank_grad"));
    assert!(split.is_multiple_of(kernel.side("BM")), "rows of a part");
    Call::over(kernel, [k.div_ceil(kernel.side("BK")), r.div_ceil(kernel.side("BR")), count])
        .pointer("t", inner)
        .pointer("x", x)
        .pointer("parts", parts)
        .int("m", m)
        .int("k", k)
        .int("r", r)
        .int("split", split)
        .planned()
}

/// Plans a gradient [..] as the sum of its parts [parts, ..].
///
/// # Errors
/// If an extent is more than the kernel counts.
pub fn sum_of_parts<H: Clone>(card: &Card, parts: &Buffer<H>, gradient: &Buffer<H>) -> Result<Launch<H>, NotServed> {
    let count = gradient.array.numbers();
    let splits = parts.array.shape[0];
    assert_eq!(parts.array.numbers(), splits * count, "parts of a gradient");
    let kernel = card.only("low_rank_sum");
    Call::over(kernel, [count.div_ceil(kernel.side("B")), 1, 1])
        .pointer("parts", parts)
        .pointer("gradient", gradient)
        .int("count", count)
        .int("splits", splits)
        .planned()
}

impl<H: Clone> LowRank<H> {
    /// scale·x·downᵀ [.., r] of x [.., k].
    ///
    /// # Errors
    /// If an extent is more than the kernel counts.
    pub fn into_rank<L: Launcher<Handle = H>>(&self, on: &mut L, x: &Buffer<H>) -> Result<Buffer<H>, NotServed> {
        self.multiplied(on, Side::Down, x)
    }

    /// scale·dy·up [.., r] of dy [.., n].
    ///
    /// # Errors
    /// If an extent is more than the kernel counts.
    pub fn back_into_rank<L: Launcher<Handle = H>>(&self, on: &mut L, dy: &Buffer<H>) -> Result<Buffer<H>, NotServed> {
        self.multiplied(on, Side::Up, dy)
    }

    fn multiplied<L: Launcher<Handle = H>>(
        &self,
        on: &mut L,
        side: Side,
        x: &Buffer<H>,
    ) -> Result<Buffer<H>, NotServed> {
        let matrix = if side == Side::Down { &self.down } else { &self.up };
        let rank = self.up.width();
        let inner = on.empty(Array::half(&x.with_width(rank)));
        let launch = into_rank(&on.card(), side, x, matrix, self.scale, &inner)?;
        on.launch(launch);
        Ok(inner)
    }

    /// The gradients of both matrices, padded.
    ///
    /// # Errors
    /// If an extent is more than a kernel counts.
    pub fn gradients<L: Launcher<Handle = H>>(
        &self,
        on: &mut L,
        read: &Read<'_, H>,
    ) -> Result<Gradients<H>, NotServed> {
        let down = gradient(on, Side::Down, read.back, read.x)?;
        let up = gradient(on, Side::Up, read.inner, read.dy)?;
        Ok(Gradients { down, up })
    }
}

/// innerᵀ·x [r, width], or [width, r] of `up`.
fn gradient<L: Launcher>(
    on: &mut L,
    side: Side,
    inner: &Buffer<L::Handle>,
    x: &Buffer<L::Handle>,
) -> Result<Buffer<L::Handle>, NotServed> {
    let card = on.card();
    let m = x.rows();
    let k = x.width();
    let r = inner.width();
    let shape = if side == Side::Down { [r, k] } else { [k, r] };
    let split = rows_of_part(&card, side, [m, k, r]);
    let parts = on.empty(Array::f32(&[m.div_ceil(split), shape[0], shape[1]]));
    let launch = parts_of_gradient(&card, side, inner, x, split, &parts)?;
    on.launch(launch);
    let gradient = on.empty(Array::f32(&shape));
    let launch = sum_of_parts(&card, &parts, &gradient)?;
    on.launch(launch);
    Ok(gradient)
}

impl<H: Clone> Gradients<H> {
    /// Without what belongs to padding.
    pub(crate) fn cut<L: Launcher<Handle = H>>(&self, on: &mut L, [rank, inputs, outputs]: [usize; 3]) -> Self {
        let down = on.brought_to(&self.down, &[rank, inputs]);
        let up = on.brought_to(&self.up, &[outputs, rank]);
        Self { down, up }
    }
}
