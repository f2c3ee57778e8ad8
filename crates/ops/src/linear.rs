//! y = x·Wᵀ + b with frozen W and b; the tape keeps nothing.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use crate::frozen::FrozenMatrix;
use crate::frozen_op::{FrozenOp, apply};
use crate::product::{Extents, Into, SharedOutput, View, product_into};

/// A frozen linear layer.
#[derive(Debug, Clone)]
pub struct FrozenLinear(Arc<Linear>);

#[derive(Debug)]
struct Linear {
    weight: FrozenMatrix,
    bias: Option<Vec<f32>>,
}

impl FrozenLinear {
    /// `weight` is [out, in] as in checkpoints, `bias` [out].
    pub fn new(weight: FrozenMatrix, bias: Option<Vec<f32>>) -> Self {
        assert!(bias.as_ref().is_none_or(|bias| bias.len() == weight.rows()));
        Self(Arc::new(Linear { weight, bias }))
    }

    /// Width of the input.
    pub fn inputs(&self) -> usize {
        self.0.weight.columns()
    }

    /// Width of the output.
    pub fn outputs(&self) -> usize {
        self.0.weight.rows()
    }

    /// The bias, [out].
    pub fn bias(&self) -> Option<&[f32]> {
        self.0.bias.as_deref()
    }

    /// The frozen weight, [out, in].
    pub fn weight(&self) -> &FrozenMatrix {
        &self.0.weight
    }

    /// # Shapes
    /// - x: [.., in]
    /// - output: [.., out]
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        apply(self.0.clone(), x)
    }

    /// The same in Burn primitives, for x of two dimensions.
    pub fn plain(&self, x: Tensor<2>) -> Tensor<2> {
        let device = x.device();
        let (outputs, inputs) = (self.outputs(), self.inputs());
        let weight = Tensor::<2>::from_data(TensorData::new(self.0.weight.to_f32(), [outputs, inputs]), &device);
        let y = x.matmul(weight.transpose());
        match &self.0.bias {
            Some(bias) => y + Tensor::<2>::from_data(TensorData::new(bias.clone(), [1, outputs]), &device),
            None => y,
        }
    }
}

impl FrozenOp for Linear {
    fn output_shape(&self, input: &[usize]) -> Vec<usize> {
        let mut shape = input.to_vec();
        let last = shape.last_mut().expect("a tensor of at least one dimension");
        assert_eq!(*last, self.weight.columns(), "input width of a linear layer");
        *last = self.weight.rows();
        shape
    }

    fn forward(&self, x: &[f32], _: &[usize]) -> Vec<f32> {
        let (outputs, inputs) = (self.weight.rows(), self.weight.columns());
        let m = x.len() / inputs;
        let mut y = vec![0.0; m * outputs];
        let block = self.weight.block(outputs, rayon::current_num_threads());
        let shared = SharedOutput::new(&mut y);
        (0..outputs.div_ceil(block)).into_par_iter().for_each_init(Vec::new, |scratch, index| {
            let rows = index * block..((index + 1) * block).min(outputs);
            let (start, n) = (rows.start, rows.len());
            let panel = self.weight.row_panel(rows, scratch);
            let b = View::rows(panel.numbers, panel.row_stride).transposed();
            // SAFETY: each task writes its own columns.
            unsafe {
                let e = Extents { m, n, k: inputs };
                product_into(e, (&shared, start, outputs), Into::Replace, View::rows(x, inputs), b, 1.0);
            }
        });
        if let Some(bias) = &self.bias {
            y.par_chunks_mut(outputs).for_each(|row| row.iter_mut().zip(bias).for_each(|(y, b)| *y += b));
        }
        y
    }

    fn keeps_input(&self) -> bool {
        false
    }

    fn backward(&self, _: &[f32], shape: &[usize], dy: &[f32]) -> Vec<f32> {
        let (outputs, inputs) = (self.weight.rows(), self.weight.columns());
        let m = dy.len() / outputs;
        let mut dx = vec![0.0; shape.iter().product()];
        let block = self.weight.block(inputs, rayon::current_num_threads());
        let shared = SharedOutput::new(&mut dx);
        (0..inputs.div_ceil(block)).into_par_iter().for_each_init(Vec::new, |scratch, index| {
            let columns = index * block..((index + 1) * block).min(inputs);
            let (start, n) = (columns.start, columns.len());
            let panel = self.weight.column_panel(columns, scratch);
            let b = View::rows(panel.numbers, panel.row_stride);
            // SAFETY: each task writes its own columns.
            unsafe {
                let e = Extents { m, n, k: outputs };
                product_into(e, (&shared, start, inputs), Into::Replace, View::rows(dy, outputs), b, 1.0);
            }
        });
        dx
    }
}
