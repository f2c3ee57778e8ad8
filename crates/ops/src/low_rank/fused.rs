//! The product of low rank and its layer as one operation, where the kernels in bf16 are: x is rounded and read once for
//! both, the two are summed as they are made, and so are the two parts of dx. The tape keeps x, rounded as it was multiplied, and x·downᵀ.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::FloatTensor;
use burn::backend::{AutodiffBackend, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Bytes, DType, Shape, Tensor};
use burn_flex::{FlexTensor, Layout};

use crate::bf16::{Factors, Forward, KeptForward, LowRankGradients, backward_low_rank, forward_low_rank};
use crate::frozen_op::{dims, flex_tensor};
use crate::linear::Linear;

const KERNELS: &str = "a product of low rank is only fused where the kernels in bf16 are";

/// What is frozen of the operation.
#[derive(Debug, Clone)]
pub(crate) struct Bypassed {
    pub layer: Arc<Linear>,
    pub scale: f32,
    /// Whether the gradient of x is wanted.
    pub wants_dx: bool,
}

/// The layer and the product, for a layer that computes in bf16.
///
/// # Shapes
/// - x: [.., in]; down: [rank, in]; up: [out, rank]
/// - output: [.., out]
pub(crate) fn apply<const D: usize>(op: Bypassed, x: Tensor<D>, down: Tensor<2>, up: Tensor<2>) -> Tensor<D> {
    let (y, ..) = Dispatch::low_rank(x.into_dispatch(), down.into_dispatch(), up.into_dispatch(), op);
    Tensor::from_dispatch(y)
}

/// The backend's part: y, x·downᵀ and x as it was multiplied; gradients of x, down and up.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait LowRankOps: Backend {
    fn low_rank(
        x: FloatTensor<Self>,
        down: FloatTensor<Self>,
        up: FloatTensor<Self>,
        op: Bypassed,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    fn low_rank_backward(
        x: FloatTensor<Self>,
        inner: FloatTensor<Self>,
        down: FloatTensor<Self>,
        up: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        op: Bypassed,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

fn factors<'a>(down: &'a FlexTensor, up: &'a FlexTensor, scale: f32) -> Factors<'a> {
    Factors { down: down.storage(), up: up.storage(), rank: dims(down)[0], scale }
}

impl LowRankOps for Flex {
    fn low_rank(x: FlexTensor, down: FlexTensor, up: FlexTensor, op: Bypassed) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [x, down, up] = [x, down, up].map(|tensor| tensor.to_contiguous());
        let factors = factors(&down, &up, op.scale);
        let weight = op.layer.weight.reading();
        let weight = weight.for_bf16().expect(KERNELS);
        let Forward { y, inner, x: rounded } =
            forward_low_rank(x.storage(), weight, op.layer.bias.as_deref(), &factors);
        let mut shape = dims(&x);
        let last = shape.len() - 1;
        shape[last] = op.layer.weight.rows();
        let rank = factors.rank;
        let rows = inner.len() / rank;
        let layout = Layout::contiguous(Shape::from([rows, rounded.len() / rows]));
        let rounded = FlexTensor::new(Bytes::from_elems(rounded), layout, DType::BF16);
        (flex_tensor(y, shape), flex_tensor(inner, vec![rows, rank]), rounded)
    }

    fn low_rank_backward(
        x: FlexTensor,
        inner: FlexTensor,
        down: FlexTensor,
        up: FlexTensor,
        dy: FlexTensor,
        op: Bypassed,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [x, inner, down, up, dy] = [x, inner, down, up, dy].map(|tensor| tensor.to_contiguous());
        let kept = KeptForward { x: x.storage(), inner: inner.storage() };
        let factors = factors(&down, &up, op.scale);
        let weight = op.layer.weight.reading();
        let weight = weight.for_bf16().expect(KERNELS);
        let LowRankGradients { dx, d_down, d_up } =
            backward_low_rank(kept, dy.storage(), weight, &factors, op.wants_dx);
        let mut shape = if op.wants_dx { dims(&dy) } else { vec![0] };
        if let Some(last) = shape.last_mut().filter(|_| op.wants_dx) {
            *last = op.layer.weight.columns();
        }
        (flex_tensor(dx, shape), flex_tensor(d_down, dims(&down)), flex_tensor(d_up, dims(&up)))
    }
}

#[derive(Debug)]
struct LowRankBackward;

impl<B: LowRankOps> Backward<B, 3> for LowRankBackward {
    /// down and up; x, rounded, and x·downᵀ.
    type State = ([NodeId; 2], [FloatTensor<B>; 2], Bypassed);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (factors, [x, inner], mut op) = ops.state;
        let [down, up] = factors.map(|node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node));
        op.wants_dx = ops.parents[0].is_some();
        let (dx, d_down, d_up) = B::low_rank_backward(x, inner, down, up, dy, op);
        for (parent, gradient) in ops.parents.into_iter().zip([dx, d_down, d_up]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

impl<B: LowRankOps, C: CheckpointStrategy> LowRankOps for Autodiff<B, C> {
    fn low_rank(
        x: FloatTensor<Self>,
        down: FloatTensor<Self>,
        up: FloatTensor<Self>,
        op: Bypassed,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        match LowRankBackward.prepare::<C>([x.node(), down.node(), up.node()]).compute_bound().stateful() {
            OpsKind::Tracked(mut tape) => {
                let factors = [tape.checkpoint(&down), tape.checkpoint(&up)];
                let (y, inner, x) =
                    B::low_rank(x.into_primitive(), down.into_primitive(), up.into_primitive(), op.clone());
                let y = tape.finish((factors, [x.clone(), inner.clone()], op), y);
                (y, <Self as AutodiffBackend>::from_inner(inner), <Self as AutodiffBackend>::from_inner(x))
            }
            OpsKind::UnTracked(tape) => {
                let (y, inner, x) = B::low_rank(x.into_primitive(), down.into_primitive(), up.into_primitive(), op);
                let from_inner = <Self as AutodiffBackend>::from_inner;
                (tape.finish(y), from_inner(inner), from_inner(x))
            }
        }
    }

    fn low_rank_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Bypassed,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unreachable!("there is no second derivative of a frozen layer")
    }
}
