//! One tensor in, one tensor out, everything else frozen: the shape that most heavy operations share.
//!
//! An operation says how to compute its output and the gradient of its input on f32 slices; this file alone connects it
//! to Burn's dispatch and tape.

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::autodiff::{Autodiff, NodeId};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Bytes, DType, Shape, Tensor};
use burn_flex::{FlexTensor, Layout};

use crate::frozen::WeightDtype;
use crate::rounding::{narrowed, widened};

/// What the tape holds of an operation's input until the gradient comes (torch's `save_for_backward`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SavedForBackward {
    /// Nothing.
    Nothing,
    /// The input itself.
    Input,
    /// The input rounded to bf16, in half the memory.
    InputBf16,
}

impl SavedForBackward {
    /// For an operation beside layers whose weights are held in `dtype`.
    pub fn beside(dtype: WeightDtype) -> Self {
        if dtype == WeightDtype::F32 { Self::Input } else { Self::InputBf16 }
    }
}

/// A function of one tensor whose other inputs are frozen.
pub(crate) trait FrozenOp: Debug + Send + Sync {
    /// Shape of the output for an input of this shape.
    fn output_shape(&self, input: &[usize]) -> Vec<usize>;

    /// The output, row-major.
    fn forward(&self, x: &[f32], shape: &[usize]) -> Vec<f32>;

    /// What the backward pass reads of the input.
    fn saved_for_backward(&self) -> SavedForBackward;

    /// dL/dx from dL/dy; `x` is empty if it [saves](Self::saved_for_backward) nothing. `shape` is the input's.
    fn backward(&self, x: &[f32], shape: &[usize], dy: &[f32]) -> Vec<f32>;

    /// The output in Burn's primitives, for other devices; x has ones in front up to four dimensions, and so has the
    /// output.
    fn forward_on_device(&self, x: Tensor<4>) -> Tensor<4>;

    /// dL/dx there, without a tape; `x` is there unless it [saves](Self::saved_for_backward) nothing.
    #[cfg(any(test, feature = "cube"))]
    fn backward_on_device(&self, x: Option<Tensor<4>>, shape: [usize; 4], dy: Tensor<4>) -> Tensor<4>;
}

/// The input that an operation has kept for its backward pass.
#[cfg(any(test, feature = "cube"))]
pub(crate) fn kept(x: Option<Tensor<4>>) -> Tensor<4> {
    x.expect("the tape keeps the input of this operation")
}

/// Applies an operation that keeps the number of dimensions.
pub(crate) fn apply<const D: usize>(op: Arc<dyn FrozenOp>, x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::frozen_forward(x.into_dispatch(), op))
}

/// The backend's part of a [`FrozenOp`].
#[backend_extension(Flex, Cube: cfg(feature = "cube"), Autodiff)]
pub(crate) trait FrozenOps: Backend {
    fn frozen_forward(x: FloatTensor<Self>, op: Arc<dyn FrozenOp>) -> FloatTensor<Self>;
    /// x in bf16, where the backend can hold it so.
    fn rounded(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// `x` may be rounded.
    fn frozen_backward(x: FloatTensor<Self>, dy: FloatTensor<Self>, op: Arc<dyn FrozenOp>) -> FloatTensor<Self>;
    fn frozen_backward_without_input(
        shape: Vec<usize>,
        dy: FloatTensor<Self>,
        op: Arc<dyn FrozenOp>,
    ) -> FloatTensor<Self>;
}

/// A contiguous f32 tensor from its numbers.
pub(crate) fn flex_tensor(numbers: Vec<f32>, shape: Vec<usize>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(numbers), Layout::contiguous(Shape::from(shape)), DType::F32)
}

/// The dimensions of a tensor.
pub(crate) fn dims(tensor: &FlexTensor) -> Vec<usize> {
    tensor.layout().shape().iter().copied().collect()
}

impl FrozenOps for Flex {
    fn frozen_forward(x: FlexTensor, op: Arc<dyn FrozenOp>) -> FlexTensor {
        let x = x.to_contiguous();
        let shape = dims(&x);
        flex_tensor(op.forward(x.storage(), &shape), op.output_shape(&shape))
    }

    fn rounded(x: FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        let shape = Shape::from(dims(&x));
        FlexTensor::new(Bytes::from_elems(narrowed(x.storage())), Layout::contiguous(shape), DType::BF16)
    }

    fn frozen_backward(x: FlexTensor, dy: FlexTensor, op: Arc<dyn FrozenOp>) -> FlexTensor {
        let (x, dy) = (x.to_contiguous(), dy.to_contiguous());
        let shape = dims(&x);
        let dx = match x.dtype() {
            DType::BF16 => op.backward(&widened(x.storage()), &shape, dy.storage()),
            _ => op.backward(x.storage(), &shape, dy.storage()),
        };
        flex_tensor(dx, shape)
    }

    fn frozen_backward_without_input(shape: Vec<usize>, dy: FlexTensor, op: Arc<dyn FrozenOp>) -> FlexTensor {
        flex_tensor(op.backward(&[], &shape, dy.to_contiguous().storage()), shape)
    }
}

#[derive(Debug)]
struct SavesInput;

impl<B: FrozenOps> Backward<B, 1> for SavesInput {
    type State = (NodeId, Arc<dyn FrozenOp>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let [parent] = ops.parents;
        let dy = grads.consume::<B>(&ops.node);
        let (x, op) = ops.state;
        let x: FloatTensor<B> = checkpointer.retrieve_node_output(x);
        if let Some(parent) = parent {
            grads.register::<B>(parent.id, B::frozen_backward(x, dy, op));
        }
    }
}

#[derive(Debug)]
struct SavesBf16;

impl<B: FrozenOps> Backward<B, 1> for SavesBf16 {
    type State = (FloatTensor<B>, Arc<dyn FrozenOp>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [parent] = ops.parents;
        let dy = grads.consume::<B>(&ops.node);
        let (x, op) = ops.state;
        if let Some(parent) = parent {
            grads.register::<B>(parent.id, B::frozen_backward(x, dy, op));
        }
    }
}

#[derive(Debug)]
struct SavesNothing;

impl<B: FrozenOps> Backward<B, 1> for SavesNothing {
    type State = (Vec<usize>, Arc<dyn FrozenOp>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [parent] = ops.parents;
        let dy = grads.consume::<B>(&ops.node);
        let (shape, op) = ops.state;
        if let Some(parent) = parent {
            grads.register::<B>(parent.id, B::frozen_backward_without_input(shape, dy, op));
        }
    }
}

impl<B: FrozenOps, C: CheckpointStrategy> FrozenOps for Autodiff<B, C> {
    fn frozen_forward(x: FloatTensor<Self>, op: Arc<dyn FrozenOp>) -> FloatTensor<Self> {
        match op.saved_for_backward() {
            SavedForBackward::Input => match SavesInput.prepare::<C>([x.node()]).compute_bound().stateful() {
                OpsKind::Tracked(mut tape) => {
                    let kept = tape.checkpoint(&x);
                    tape.finish((kept, op.clone()), B::frozen_forward(x.into_primitive(), op))
                }
                OpsKind::UnTracked(tape) => tape.finish(B::frozen_forward(x.into_primitive(), op)),
            },
            SavedForBackward::InputBf16 => match SavesBf16.prepare::<C>([x.node()]).compute_bound().stateful() {
                OpsKind::Tracked(tape) => {
                    let x = x.into_primitive();
                    tape.finish((B::rounded(x.clone()), op.clone()), B::frozen_forward(x, op))
                }
                OpsKind::UnTracked(tape) => tape.finish(B::frozen_forward(x.into_primitive(), op)),
            },
            SavedForBackward::Nothing => {
                let shape = x.shape().iter().copied().collect();
                match SavesNothing.prepare::<C>([x.node()]).compute_bound().stateful() {
                    OpsKind::Tracked(tape) => {
                        tape.finish((shape, op.clone()), B::frozen_forward(x.into_primitive(), op))
                    }
                    OpsKind::UnTracked(tape) => tape.finish(B::frozen_forward(x.into_primitive(), op)),
                }
            }
        }
    }

    fn rounded(_: FloatTensor<Self>) -> FloatTensor<Self> {
        unreachable!("what is kept for a gradient has none")
    }

    fn frozen_backward(_: FloatTensor<Self>, _: FloatTensor<Self>, _: Arc<dyn FrozenOp>) -> FloatTensor<Self> {
        unreachable!("there is no second derivative of a frozen operation")
    }

    fn frozen_backward_without_input(_: Vec<usize>, _: FloatTensor<Self>, _: Arc<dyn FrozenOp>) -> FloatTensor<Self> {
        unreachable!("there is no second derivative of a frozen operation")
    }
}
