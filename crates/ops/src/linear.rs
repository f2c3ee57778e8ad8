//! y = x·Wᵀ + b with frozen W and b; the tape keeps nothing.

use std::sync::Arc;

use burn::tensor::Tensor;
use rayon::prelude::*;

use crate::device::{FrozenVector, in_precision_of};
use crate::frozen::{FrozenMatrix, Reading, WeightDtype};
use crate::frozen_op::{FrozenOp, SavedForBackward, apply};
use crate::product::{Existing, Extents, View, product_into};
use crate::shared_output::{SharedOutput, Target};

/// A frozen linear layer.
#[derive(Debug, Clone)]
pub struct FrozenLinear(pub(crate) Arc<Linear>);

#[derive(Debug)]
pub(crate) struct Linear {
    pub weight: FrozenMatrix,
    pub bias: Option<FrozenVector>,
}

impl FrozenLinear {
    /// `weight` is `[out, in]` as in checkpoints, `bias` `[out]`.
    pub fn new(weight: FrozenMatrix, bias: Option<Vec<f32>>) -> Self {
        assert!(bias.as_ref().is_none_or(|bias| bias.len() == weight.rows()));
        Self(Arc::new(Linear { weight, bias: bias.map(FrozenVector::new) }))
    }

    /// Width of the input.
    pub fn inputs(&self) -> usize {
        self.0.weight.columns()
    }

    /// Width of the output.
    pub fn outputs(&self) -> usize {
        self.0.weight.rows()
    }

    /// The bias, `[out]`.
    pub fn bias(&self) -> Option<&[f32]> {
        self.0.bias.as_deref()
    }

    /// The frozen weight, [out, in].
    pub fn weight(&self) -> &FrozenMatrix {
        &self.0.weight
    }

    #[cfg(test)]
    pub(crate) fn op(&self) -> Arc<dyn FrozenOp> {
        self.0.clone()
    }

    /// How the weight is held, and so in what it computes.
    pub fn dtype(&self) -> WeightDtype {
        self.0.weight.dtype()
    }

    /// The output of the layer.
    ///
    /// # Shapes
    /// - x: [.., in]
    /// - output: [.., out]
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        apply(self.0.clone(), x)
    }

    /// [`forward`](Self::forward) in Burn primitives.
    ///
    /// # Shapes
    /// - x: [M, in]
    /// - output: [M, out]
    pub fn plain_forward(&self, x: Tensor<2>) -> Tensor<2> {
        let rows = x.dims()[0];
        self.0.forward_on_device(x.reshape([1, 1, rows, self.inputs()])).reshape([rows, self.outputs()])
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
        let weight = self.weight.reading();
        #[cfg(target_arch = "x86_64")]
        if let Some(weight) = weight.for_bf16() {
            return crate::bf16::linear_forward(x, weight, self.bias.as_deref());
        }
        self.forward_f32(x, &weight)
    }

    fn saved_for_backward(&self) -> SavedForBackward {
        SavedForBackward::Nothing
    }

    fn backward(&self, _: &[f32], _: &[usize], dy: &[f32]) -> Vec<f32> {
        let weight = self.weight.reading();
        #[cfg(target_arch = "x86_64")]
        if let Some(weight) = weight.for_bf16() {
            return crate::bf16::linear_backward(dy, weight);
        }
        self.backward_f32(dy, &weight)
    }

    fn forward_on_device(&self, x: Tensor<4>) -> Tensor<4> {
        let device = x.device();
        let [a, b, c, inputs] = x.dims();
        let weight = self.weight.on(&device);
        let y = in_precision_of(weight.dtype(), x.reshape([a * b * c, inputs]), |x| x.matmul(weight.transpose()));
        let y = match &self.bias {
            Some(bias) => y + bias.tensor(&device).unsqueeze(),
            None => y,
        };
        y.reshape([a, b, c, self.weight.rows()])
    }

    #[cfg(any(test, feature = "cube"))]
    fn backward_on_device(&self, _: Option<Tensor<4>>, shape: [usize; 4], dy: Tensor<4>) -> Tensor<4> {
        let [a, b, c, outputs] = dy.dims();
        let weight = self.weight.on(&dy.device());
        in_precision_of(weight.dtype(), dy.reshape([a * b * c, outputs]), |dy| dy.matmul(weight)).reshape(shape)
    }
}

/// In f32, whatever the weight is held in.
impl Linear {
    fn forward_f32(&self, x: &[f32], weight: &Reading) -> Vec<f32> {
        let outputs = self.weight.rows();
        let inputs = self.weight.columns();
        let m = x.len() / inputs;
        let mut y = vec![0.0; m * outputs];
        let block = weight.block(outputs, rayon::current_num_threads());
        let shared = SharedOutput::new(&mut y);
        (0..outputs.div_ceil(block)).into_par_iter().for_each_init(Vec::new, |scratch, index| {
            let rows = index * block..((index + 1) * block).min(outputs);
            let n = rows.len();
            let target = Target { output: &shared, start: rows.start, row_stride: outputs };
            let panel = weight.row_panel(rows, scratch);
            let b = View::rows(panel.numbers, panel.row_stride).transposed();
            // SAFETY: each task writes its own columns.
            unsafe {
                let e = Extents { m, n, k: inputs };
                product_into(e, target, Existing::Replace, View::rows(x, inputs), b, 1.0);
            }
        });
        if let Some(bias) = &self.bias {
            y.par_chunks_mut(outputs).for_each(|row| row.iter_mut().zip(&**bias).for_each(|(y, b)| *y += b));
        }
        y
    }

    fn backward_f32(&self, dy: &[f32], weight: &Reading) -> Vec<f32> {
        let outputs = self.weight.rows();
        let inputs = self.weight.columns();
        let m = dy.len() / outputs;
        let mut dx = vec![0.0; m * inputs];
        let block = weight.block(inputs, rayon::current_num_threads());
        let shared = SharedOutput::new(&mut dx);
        (0..inputs.div_ceil(block)).into_par_iter().for_each_init(Vec::new, |scratch, index| {
            let columns = index * block..((index + 1) * block).min(inputs);
            let n = columns.len();
            let target = Target { output: &shared, start: columns.start, row_stride: inputs };
            let panel = weight.column_panel(columns, scratch);
            let b = View::rows(panel.numbers, panel.row_stride);
            // SAFETY: each task writes its own columns.
            unsafe {
                let e = Extents { m, n, k: outputs };
                product_into(e, target, Existing::Replace, View::rows(dy, outputs), b, 1.0);
            }
        });
        dx
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::{numbers, relative_error};

    /// Odd sides, several panels, depths of more than one block, more rows than one task.
    const SHAPES: [[usize; 3]; 6] =
        [[5, 48, 33], [1, 7, 300], [70, 130, 257], [300, 64, 17], [9, 4101, 70], [1100, 33, 64]];

    #[test]
    fn both_paths_equal_f64() {
        for [m, k, n] in SHAPES {
            let (x, dy, bias) = (numbers(m * k, 1), numbers(m * n, 2), numbers(n, 3));
            let layer = Linear {
                weight: FrozenMatrix::new(n, k, numbers(n * k, 4), WeightDtype::Bf16),
                bias: Some(FrozenVector::new(bias)),
            };
            let w = layer.weight.to_f32();
            let mut y: Vec<f64> = (0..m * n).map(|i| f64::from(layer.bias.as_ref().unwrap()[i % n])).collect();
            let mut dx = vec![0.0f64; m * k];
            for i in 0..m * n * k {
                let (row, o, j) = (i / k / n, i / k % n, i % k);
                let w = f64::from(w[o * k + j]);
                y[row * n + o] += w * f64::from(x[row * k + j]);
                dx[row * k + j] += w * f64::from(dy[row * n + o]);
            }
            let check = |path: &str, ours: (Vec<f32>, Vec<f32>)| {
                for (what, error) in [("y", relative_error(&ours.0, &y)), ("dx", relative_error(&ours.1, &dx))] {
                    assert!(error < 1e-6, "{m}×{k}×{n} {path}: {what} differs by {error:e}");
                }
            };
            let weight = layer.weight.reading();
            check("f32", (layer.forward_f32(&x, &weight), layer.backward_f32(&dy, &weight)));
            #[cfg(target_arch = "x86_64")]
            match weight.for_bf16() {
                Some(_) => check("bf16", (layer.forward(&x, &[m, k]), layer.backward(&[], &[m, k], &dy))),
                None => eprintln!("this processor has no AVX-512 BF16: that path was not tested"),
            }
        }
    }
}
