//! Connects the bodies to Burn's `Cube` backend, which is every GPU.

use std::sync::Arc;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Cube, TensorMetadata, ops::FloatTensorOps};
use burn::tensor::{DType, Device, FloatDType, Shape, Tensor};

use super::attention::{Attended, SCORES, backward, forward};
use super::half_of;
use crate::WeightDtype;
use crate::attention::{AttentionOps, Form};
use crate::frozen_op::{FrozenOp, FrozenOps};

type Primitive = FloatTensor<Cube>;

fn shape_of(x: &Primitive) -> Vec<usize> {
    x.shape().iter().copied().collect()
}

/// A tensor's extents with ones in front up to four.
fn four(shape: &[usize]) -> [usize; 4] {
    let mut four = [1; 4];
    assert!(shape.len() <= 4, "frozen operations take up to four dimensions");
    four[4 - shape.len()..].copy_from_slice(shape);
    four
}

fn tensor(x: Primitive) -> Tensor<4> {
    let shape = four(&shape_of(&x));
    Tensor::from_primitive::<Cube>(Cube::float_reshape(x, Shape::from(shape)))
}

fn primitive(x: Tensor<4>, shape: &[usize]) -> Primitive {
    let x = x.try_into_primitive::<Cube>().expect("a device's operations stay on it");
    Cube::float_reshape(x, Shape::from(shape.to_vec()))
}

impl FrozenOps for Cube {
    fn frozen_forward(x: Primitive, op: Arc<dyn FrozenOp>) -> Primitive {
        let shape = op.output_shape(&shape_of(&x));
        primitive(op.forward_on_device(tensor(x)), &shape)
    }

    /// In bf16 only: numbers between layers can exceed what f16 holds.
    fn rounded(x: Primitive) -> Primitive {
        match half_of(&Device::from(x.device())) {
            Some(FloatDType::BF16) => {
                let shape = shape_of(&x);
                primitive(tensor(x).cast(FloatDType::BF16), &shape)
            }
            _ => x,
        }
    }

    fn frozen_backward(x: Primitive, dy: Primitive, op: Arc<dyn FrozenOp>) -> Primitive {
        let shape = shape_of(&x);
        let x = tensor(x).cast(FloatDType::F32);
        primitive(op.backward_on_device(Some(x), four(&shape), tensor(dy)), &shape)
    }

    fn frozen_backward_without_input(shape: Vec<usize>, dy: Primitive, op: Arc<dyn FrozenOp>) -> Primitive {
        primitive(op.backward_on_device(None, four(&shape), tensor(dy)), &shape)
    }
}

fn attended(q: Primitive, k: Primitive, v: Primitive, form: Form) -> Attended {
    let (q, k, v) = (tensor(q), tensor(k), tensor(v));
    let dtype = match form.dtype() {
        WeightDtype::F32 => DType::F32,
        WeightDtype::Bf16 | WeightDtype::Int8 => half_of(&Device::from(q.device())).map_or(DType::F32, Into::into),
    };
    Attended { q, k, v, mask: form.mask(), dtype, scores: SCORES }
}

impl AttentionOps for Cube {
    fn attend(q: Primitive, k: Primitive, v: Primitive, form: Form) -> (Primitive, Primitive) {
        let shape = shape_of(&q);
        let (output, log_sum) = forward(&attended(q, k, v, form));
        (primitive(output, &shape), primitive(log_sum, &shape[..3]))
    }

    fn attend_backward(
        q: Primitive,
        k: Primitive,
        v: Primitive,
        output: Primitive,
        log_sum: Primitive,
        dy: Primitive,
        form: Form,
    ) -> (Primitive, Primitive, Primitive) {
        let (of_q, of_k) = (shape_of(&q), shape_of(&k));
        let rows = Shape::from([of_q[0], of_q[1], of_q[2], 1]);
        let log_sum = Tensor::from_primitive::<Cube>(Cube::float_reshape(log_sum, rows));
        let [dq, dk, dv] = backward(&attended(q, k, v, form), tensor(output), log_sum, tensor(dy));
        (primitive(dq, &of_q), primitive(dk, &of_k), primitive(dv, &of_k))
    }
}
