//! Attention and its gradients: plans for `kernels/attention.py`, and the operation whole.
//!
//! Heads lie where linear layers leave them, [B, tokens, heads, D], so that nothing is turned.

use super::array::{Array, Buffer};
use super::card::Card;
use super::launch::{Call, Launch};
use super::launcher::Launcher;
use super::manifest::Compiled;
use super::padding::{NotServed, counted, head};
use crate::attention_head::Mask;

/// What all its kernels are given: q [B, s, heads, D], k and v [B, t, heads, D], with D as a kernel has it.
#[derive(Debug, Clone)]
pub struct Inputs<H> {
    /// [B, s, heads, D]
    pub q: Buffer<H>,
    /// [B, t, heads, D]
    pub k: Buffer<H>,
    /// [B, t, heads, D]
    pub v: Buffer<H>,
    /// Which keys a query sees.
    pub mask: Mask,
    /// 1/√ of the head's own size.
    pub scale: f32,
}

/// The forward pass, and what the backward pass reads of it.
#[derive(Debug, Clone)]
pub struct Attended<H> {
    inputs: Inputs<H>,
    /// The head's own size.
    width: usize,
    o: Buffer<H>,
    /// The logarithm, to base 2, of each row's sum [B, heads, s].
    lse: Buffer<H>,
}

impl<H: Clone> Inputs<H> {
    /// Extents B, s, t, heads and D.
    fn sizes(&self) -> [usize; 5] {
        let [batch, s, heads, d] = self.q.extents();
        let t = self.k.extents::<4>()[1];
        assert_eq!(self.k.extents(), [batch, t, heads, d], "keys of an attention");
        assert_eq!(self.v.extents(), [batch, t, heads, d], "values of an attention");
        assert!(self.mask == Mask::None || s == t, "a causal attention to other tokens");
        [batch, s, t, heads, d]
    }

    fn kernel(&self, rest: &str) -> String {
        let causal = if self.mask == Mask::Causal { "_causal" } else { "" };
        format!("attention_{}{causal}{rest}", self.q.width())
    }

    /// A kernel with what all of them take; a block has a tile's side of queries (`BM`) or keys (`BN`).
    fn call(&self, card: &Card, rest: &str, side: &str) -> Result<Call<H>, NotServed> {
        let [batch, s, t, heads, d] = self.sizes();
        counted(s.max(t) * heads * d)?;
        let rows = if side == "BM" { s } else { t };
        let grid = |kernel: &Compiled| [rows.div_ceil(kernel.side(side)), heads, batch];
        let call = Call::of(card.choose(&self.kernel(rest), rows, grid))
            .pointer("q", &self.q)
            .pointer("k", &self.k)
            .pointer("v", &self.v)
            .int("heads", heads)
            .int("s", s)
            .int("t", t)
            .number("scale", self.scale);
        Ok(call)
    }
}

/// Plans o [B, s, heads, D] and lse [B, heads, s].
///
/// # Errors
/// If an extent is more than the kernel counts.
pub fn forward<H: Clone>(
    card: &Card,
    inputs: &Inputs<H>,
    o: &Buffer<H>,
    lse: &Buffer<H>,
) -> Result<Launch<H>, NotServed> {
    inputs.call(card, "", "BM")?.pointer("o", o).pointer("lse", lse).planned()
}

/// What the gradients' kernels read beside the inputs, and what the first writes for the second.
#[derive(Debug)]
pub struct Backward<'a, H> {
    /// [B, s, heads, D]
    pub dy: &'a Buffer<H>,
    /// [B, heads, s]
    pub lse: &'a Buffer<H>,
    /// Σ dy·o [B, heads, s], which [`queries`] writes.
    pub delta: &'a Buffer<H>,
}

/// Plans dq, and what [`keys`] reads of it.
///
/// # Errors
/// If an extent is more than the kernel counts.
pub fn queries<H: Clone>(
    card: &Card,
    inputs: &Inputs<H>,
    o: &Buffer<H>,
    backward: &Backward<'_, H>,
    dq: &Buffer<H>,
) -> Result<Launch<H>, NotServed> {
    let call = inputs.call(card, "_dq", "BM")?.pointer("o", o).pointer("dy", backward.dy);
    call.pointer("lse", backward.lse).pointer("delta", backward.delta).pointer("dq", dq).planned()
}

/// Plans dk and dv, after [`queries`].
///
/// # Errors
/// If an extent is more than the kernel counts.
pub fn keys<H: Clone>(
    card: &Card,
    inputs: &Inputs<H>,
    backward: &Backward<'_, H>,
    dk: &Buffer<H>,
    dv: &Buffer<H>,
) -> Result<Launch<H>, NotServed> {
    let call = inputs.call(card, "_dkdv", "BN")?.pointer("dy", backward.dy).pointer("lse", backward.lse);
    call.pointer("delta", backward.delta).pointer("dk", dk).pointer("dv", dv).planned()
}

/// softmax(q·kᵀ / √D)·v of heads of any size that a kernel holds: q [B, s, heads, D], k and v [B, t, heads, D].
///
/// # Errors
/// If there is no kernel for the head.
pub fn attend<L: Launcher>(
    on: &mut L,
    q: &Buffer<L::Handle>,
    k: &Buffer<L::Handle>,
    v: &Buffer<L::Handle>,
    mask: Mask,
) -> Result<Attended<L::Handle>, NotServed> {
    let width = q.width();
    let d = head(width, mask == Mask::Causal)?;
    let q = on.with_width(q, d);
    let k = on.with_width(k, d);
    let v = on.with_width(v, d);
    let inputs = Inputs { q, k, v, mask, scale: 1.0 / (width as f32).sqrt() };
    let [batch, s, _, heads, _] = inputs.sizes();
    let o = on.empty(Array::half(&[batch, s, heads, d]));
    let lse = on.empty(Array::f32(&[batch, heads, s]));
    let launch = forward(&on.card(), &inputs, &o, &lse)?;
    on.launch(launch);
    Ok(Attended { inputs, width, o, lse })
}

impl<H: Clone> Attended<H> {
    /// The output [B, s, heads, D].
    pub fn output<L: Launcher<Handle = H>>(&self, on: &mut L) -> Buffer<H> {
        on.with_width(&self.o, self.width)
    }

    /// Gradients of q, k and v; dy [B, s, heads, D].
    ///
    /// # Errors
    /// If there is no kernel for the head's gradients.
    pub fn backward<L: Launcher<Handle = H>>(&self, on: &mut L, dy: &Buffer<H>) -> Result<[Buffer<H>; 3], NotServed> {
        let [_, _, _, _, d] = self.inputs.sizes();
        if d > 160 {
            return Err(NotServed::Head(d));
        }
        let card = on.card();
        let dy = on.with_width(dy, d);
        let delta = on.empty(self.lse.array.clone());
        let dq = on.empty(self.inputs.q.array.clone());
        let dk = on.empty(self.inputs.k.array.clone());
        let dv = on.empty(self.inputs.v.array.clone());
        let backward = Backward { dy: &dy, lse: &self.lse, delta: &delta };
        let launch = queries(&card, &self.inputs, &self.o, &backward, &dq)?;
        on.launch(launch);
        let launch = keys(&card, &self.inputs, &backward, &dk, &dv)?;
        on.launch(launch);
        Ok([dq, dk, dv].map(|gradient| on.with_width(&gradient, self.width)))
    }
}
