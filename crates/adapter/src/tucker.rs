//! The Tucker form of wide convolutions, which LyCORIS has for LoCon, LoHa and LoKr: a small core [r, r, k, k] between
//! two matrices.

use burn::tensor::Tensor;

use crate::site::LayerShape;

/// Whether the layer takes the Tucker form: only convolutions whose kernel is wider than one pixel do.
pub(crate) fn applies(layer: LayerShape, asked: bool) -> bool {
    asked && layer.kernel() > 1
}

/// W[p, q, ..] = Σ core[i, j, ..] · left[p, i] · right[j, q], as [p, q·k·k].
///
/// # Shapes
/// - core: [r, r·k·k]
/// - left: [p, r]
/// - right: [r, q]
pub(crate) fn rebuild(core: &Tensor<2>, left: Tensor<2>, right: &Tensor<2>) -> Tensor<2> {
    let ([rank, columns], [p, _], [_, q]) = (core.dims(), left.dims(), right.dims());
    let taps = columns / rank;
    let first = left.matmul(core.clone()).reshape([p, rank, taps]).swap_dims(1, 2).reshape([p * taps, rank]);
    first.matmul(right.clone()).reshape([p, taps, q]).swap_dims(1, 2).reshape([p, q * taps])
}
