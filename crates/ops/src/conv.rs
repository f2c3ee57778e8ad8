//! Frozen 2-D convolution by implicit im2col; the tape keeps nothing.
//!
//! One copy of the weight, in the checkpoint's own order [out, in·k·k], serves both directions: forward multiplies it with
//! patches of the input, the backward pass multiplies its transpose with dy and scatters the patches back.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
#[cfg(any(test, feature = "cube"))]
use burn::tensor::{module::conv_transpose2d, ops::ConvTransposeOptions};
use rayon::prelude::*;

use crate::conv_shape::{ConvShape, Plane};
use crate::device::{FrozenVector, for_convolution, in_precision_of};
use crate::frozen::{FrozenMatrix, Panel, Reading};
use crate::frozen_op::{FrozenOp, SavedForBackward, apply};
use crate::product::{Extents, Into, View, product_into};
use crate::shared_output::SharedOutput;

/// Pixels of the output that are worked on together: enough for a product to run at full speed, few enough for their
/// patches to stay near the core.
const PIXELS: usize = 768;

/// A frozen convolution.
#[derive(Debug, Clone)]
pub struct FrozenConv(Arc<Conv>);

#[derive(Debug)]
struct Conv {
    shape: ConvShape,
    weight: FrozenMatrix,
    bias: Option<Arc<FrozenVector>>,
}

impl FrozenConv {
    /// `weight` is [out, in·k·k], row-major as in checkpoints; `bias` [out].
    pub fn new(shape: ConvShape, weight: FrozenMatrix, bias: Option<Vec<f32>>) -> Self {
        assert_eq!((weight.rows(), weight.columns()), (shape.outputs, shape.patch()));
        assert!(bias.as_ref().is_none_or(|bias| bias.len() == shape.outputs));
        Self(Arc::new(Conv { shape, weight, bias: bias.map(|bias| Arc::new(FrozenVector::new(bias))) }))
    }

    /// The bias, [out].
    pub fn bias(&self) -> Option<&[f32]> {
        self.0.bias.as_ref().map(|bias| &***bias)
    }

    /// The frozen weight, [out, in·k·k].
    pub fn weight(&self) -> &FrozenMatrix {
        &self.0.weight
    }

    #[cfg(test)]
    pub(crate) fn op(&self) -> Arc<dyn FrozenOp> {
        self.0.clone()
    }

    /// Its geometry.
    pub fn shape(&self) -> ConvShape {
        self.0.shape
    }

    /// The output of the convolution.
    ///
    /// # Shapes
    /// - x: [B, in, H, W]
    /// - output: [B, out, H', W']
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        apply(self.0.clone(), x)
    }

    /// The convolution without padding; both share their numbers.
    pub(crate) fn without_padding(&self) -> Self {
        let Conv { shape, weight, bias } = &*self.0;
        Self(Arc::new(Conv { shape: ConvShape { padding: 0, ..*shape }, weight: weight.clone(), bias: bias.clone() }))
    }

    /// The output for the numbers of x, of this shape.
    pub(crate) fn on_numbers(&self, x: &[f32], shape: [usize; 4]) -> Vec<f32> {
        self.0.forward(x, &shape)
    }

    /// [`forward`](Self::forward) in Burn primitives.
    ///
    /// # Shapes
    /// - x: [B, in, H, W]
    /// - output: [B, out, H', W']
    pub fn plain_forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.0.forward_on_device(x)
    }
}

impl Conv {
    /// For the kernels in bf16, if the weight is held so and this processor has them.
    #[cfg(target_arch = "x86_64")]
    fn for_bf16<'a>(&'a self, weight: &'a Reading) -> Option<crate::bf16::Frozen<'a>> {
        let weight = weight.for_bf16()?;
        Some(crate::bf16::Frozen { shape: self.shape, weight, bias: self.bias.as_ref().map(|bias| &***bias) })
    }

    /// The weight for products on a device, [out, in, k, k].
    fn kernel_on(&self, device: &Device) -> Tensor<4> {
        let s = self.shape;
        for_convolution(self.weight.on(device)).reshape([s.outputs, s.inputs, s.kernel, s.kernel])
    }

    fn plane(&self, shape: &[usize]) -> Plane {
        let [_, channels, height, width] = *shape else { panic!("a convolution takes four dimensions") };
        assert_eq!(channels, self.shape.inputs, "input channels of a convolution");
        Plane::new(self.shape, height, width)
    }

    /// Rows of output that are worked on together.
    fn rows_per_block(&self, plane: Plane) -> usize {
        (PIXELS / plane.out_width).clamp(1, plane.out_height)
    }

    /// Patches of the output rows `rows`: [in·k·k, rows · out_width].
    fn gather(&self, x: &[f32], plane: Plane, rows: Range<usize>, patches: &mut [f32]) {
        let (taps, stride) = (self.shape.kernel * self.shape.kernel, self.shape.stride);
        let width = rows.len() * plane.out_width;
        for (index, patch) in patches.chunks_exact_mut(width).enumerate() {
            let channel = &x[index / taps * plane.input()..][..plane.input()];
            patch.fill(0.0);
            plane.runs(index % taps, plane.pixels(&rows), |to, from, count| {
                let target = &mut patch[to..to + count];
                if stride == 1 {
                    target.copy_from_slice(&channel[from..from + count]);
                } else {
                    target.iter_mut().zip(channel[from..].iter().step_by(stride)).for_each(|(t, x)| *t = *x);
                }
            });
        }
    }

    /// Adds patches back into the channels that they came from.
    fn scatter(&self, patches: &[f32], plane: Plane, rows: Range<usize>, dx: &mut [f32]) {
        let (taps, stride) = (self.shape.kernel * self.shape.kernel, self.shape.stride);
        let width = rows.len() * plane.out_width;
        for (index, patch) in patches.chunks_exact(width).enumerate() {
            let channel = &mut dx[index / taps * plane.input()..][..plane.input()];
            plane.runs(index % taps, plane.pixels(&rows), |from, to, count| {
                let source = &patch[from..from + count];
                channel[to..].iter_mut().step_by(stride).zip(source).for_each(|(x, p)| *x += *p);
            });
        }
    }

    /// Output channels of one image at the output rows `rows`: y = W · patches, on this thread.
    fn multiply(
        &self,
        x: &[f32],
        plane: Plane,
        (part, panel): (Part, Panel<'_>),
        y: (&SharedOutput<'_>, usize),
        patches: &mut Vec<f32>,
    ) {
        let (first, m) = (part.channels.start, part.channels.len());
        let (k, n) = (self.shape.patch(), part.rows.len() * plane.out_width);
        let column = part.rows.start * plane.out_width;
        let patches = if self.shape.is_pointwise() {
            View::rows(&x[column..], plane.output())
        } else {
            patches.resize(k * n, 0.0);
            self.gather(x, plane, part.rows, patches);
            View::rows(patches, n)
        };
        let out = (y.0, y.1 + first * plane.output() + column, plane.output());
        let weight = View::rows(panel.numbers, panel.row_stride);
        // SAFETY: each task writes its own channels and rows.
        unsafe { product_into(Extents { m, n, k }, out, Into::Replace, weight, patches, 1.0) }
    }

    /// How the work on one image is shared out: by rows of the output if there are enough, else by channels too.
    fn parts(&self, plane: Plane) -> Vec<Part> {
        let step = self.rows_per_block(plane);
        let blocks = plane.out_height.div_ceil(step);
        let (threads, outputs) = (rayon::current_num_threads(), self.shape.outputs);
        let channels = if blocks >= threads { outputs } else { outputs.div_ceil(threads).next_multiple_of(16) };
        let rows = (0..plane.out_height).step_by(step).map(|row| row..(row + step).min(plane.out_height));
        rows.flat_map(|rows| {
            (0..outputs)
                .step_by(channels)
                .map(move |first| Part { rows: rows.clone(), channels: first..(first + channels).min(outputs) })
        })
        .collect()
    }
}

/// Output rows and channels of one task.
#[derive(Clone)]
struct Part {
    rows: Range<usize>,
    channels: Range<usize>,
}

/// Memory that a thread uses again from task to task.
#[derive(Default)]
struct Scratch {
    patches: Vec<f32>,
    weight: Vec<f32>,
}

impl FrozenOp for Conv {
    fn output_shape(&self, input: &[usize]) -> Vec<usize> {
        let plane = self.plane(input);
        vec![input[0], self.shape.outputs, plane.out_height, plane.out_width]
    }

    fn forward(&self, x: &[f32], shape: &[usize]) -> Vec<f32> {
        let weight = self.weight.reading();
        #[cfg(target_arch = "x86_64")]
        if let Some(conv) = self.for_bf16(&weight) {
            return crate::bf16::conv_forward(conv, x, shape[0], self.plane(shape));
        }
        self.forward_f32(x, shape, &weight)
    }

    fn saved_for_backward(&self) -> SavedForBackward {
        SavedForBackward::Nothing
    }

    fn backward(&self, _: &[f32], shape: &[usize], dy: &[f32]) -> Vec<f32> {
        let weight = self.weight.reading();
        #[cfg(target_arch = "x86_64")]
        if let Some(conv) = self.for_bf16(&weight) {
            return crate::bf16::conv_backward(conv, dy, shape[0], self.plane(shape));
        }
        self.backward_f32(shape, dy, &weight)
    }

    fn forward_on_device(&self, x: Tensor<4>) -> Tensor<4> {
        let (device, s) = (x.device(), self.shape);
        let weight = self.kernel_on(&device);
        let options = ConvOptions::new([s.stride; 2], [s.padding; 2], [1; 2], 1);
        let y = in_precision_of(weight.dtype(), x, |x| conv2d(x, weight, None, options));
        match &self.bias {
            Some(bias) => y + bias.tensor(&device).reshape([1, s.outputs, 1, 1]),
            None => y,
        }
    }

    #[cfg(any(test, feature = "cube"))]
    fn backward_on_device(&self, _: Option<Tensor<4>>, shape: [usize; 4], dy: Tensor<4>) -> Tensor<4> {
        let (s, weight) = (self.shape, self.kernel_on(&dy.device()));
        // What rounding down left over on the far sides.
        let over = [2, 3].map(|side| (shape[side] + 2 * s.padding - s.kernel) % s.stride);
        let options = ConvTransposeOptions::new([s.stride; 2], [s.padding; 2], over, [1; 2], 1);
        in_precision_of(weight.dtype(), dy, |dy| conv_transpose2d(dy, weight, None, options))
    }
}

/// In f32, whatever the weight is held in.
impl Conv {
    fn forward_f32(&self, x: &[f32], shape: &[usize], weight: &Reading) -> Vec<f32> {
        let plane = self.plane(shape);
        let (image_in, image_out) = (self.shape.inputs * plane.input(), self.shape.outputs * plane.output());
        let mut y = vec![0.0; shape[0] * image_out];
        let shared = SharedOutput::new(&mut y);
        let parts = self.parts(plane);
        (0..shape[0] * parts.len()).into_par_iter().for_each_init(Scratch::default, |scratch, task| {
            let (image, part) = (task / parts.len(), parts[task % parts.len()].clone());
            let panel = weight.row_panel(part.channels.clone(), &mut scratch.weight);
            let x = &x[image * image_in..][..image_in];
            self.multiply(x, plane, (part, panel), (&shared, image * image_out), &mut scratch.patches);
        });
        if let Some(bias) = &self.bias {
            y.par_chunks_mut(plane.output()).enumerate().for_each(|(index, channel)| {
                let bias = bias[index % self.shape.outputs];
                channel.iter_mut().for_each(|y| *y += bias);
            });
        }
        y
    }

    fn backward_f32(&self, shape: &[usize], dy: &[f32], weight: &Reading) -> Vec<f32> {
        let plane = self.plane(shape);
        let (outputs, taps) = (self.shape.outputs, self.shape.kernel * self.shape.kernel);
        let (image_in, image_out) = (self.shape.inputs * plane.input(), outputs * plane.output());
        let mut dx = vec![0.0; shape[0] * image_in];
        let shared = SharedOutput::new(&mut dx);
        let block = self.shape.inputs.div_ceil(rayon::current_num_threads()).min(64);
        let (blocks, step) = (self.shape.inputs.div_ceil(block), self.rows_per_block(plane));
        (0..shape[0] * blocks).into_par_iter().for_each_init(
            Scratch::default,
            |Scratch { patches, weight: scratch }, index| {
                let (image, first) = (index / blocks, index % blocks * block);
                let channels = first..(first + block).min(self.shape.inputs);
                let panel = weight.column_panel(channels.start * taps..channels.end * taps, scratch);
                let a = View::rows(panel.numbers, panel.row_stride).transposed();
                // SAFETY: each task writes its own channels of one image.
                let dx =
                    unsafe { shared.part(image * image_in + first * plane.input(), channels.len() * plane.input()) };
                for row in (0..plane.out_height).step_by(step) {
                    let rows = row..(row + step).min(plane.out_height);
                    let (m, n) = (channels.len() * taps, rows.len() * plane.out_width);
                    let dy = &dy[image * image_out..][..image_out];
                    let b = View::rows(&dy[rows.start * plane.out_width..], plane.output());
                    patches.resize(m * n, 0.0);
                    crate::product::product(Extents { m, n, k: outputs }, (patches, n), Into::Replace, a, b, 1.0);
                    self.scatter(patches, plane, rows, dx);
                }
            },
        );
        dx
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WeightDtype;
    use crate::agreement::{numbers, relative_error};

    /// Kernel, stride, padding, inputs, outputs, batch, height, width: odd sides, panels that cross rows, several blocks.
    const CASES: [[usize; 8]; 9] = [
        [3, 1, 1, 3, 5, 2, 7, 9],
        [3, 1, 1, 70, 40, 1, 8, 8],
        [3, 2, 1, 6, 40, 2, 8, 7],
        [1, 1, 0, 33, 20, 2, 5, 5],
        [1, 1, 0, 33, 20, 3, 1, 1],
        [3, 2, 0, 4, 6, 1, 9, 9],
        [3, 1, 1, 300, 12, 1, 5, 65],
        [1, 2, 0, 5, 7, 1, 6, 5],
        [3, 1, 1, 300, 110, 2, 5, 17],
    ];

    /// y and dx in f64, one product after the other.
    fn exact(conv: &Conv, plane: Plane, batch: usize, x: &[f32], dy: &[f32]) -> (Vec<f64>, Vec<f64>) {
        let (s, w) = (conv.shape, conv.weight.to_f32());
        let bias = |o| conv.bias.as_ref().map_or(0.0, |bias| f64::from(bias[o]));
        let mut y: Vec<f64> =
            (0..batch * s.outputs * plane.output()).map(|i| bias(i / plane.output() % s.outputs)).collect();
        let mut dx = vec![0.0; x.len()];
        for (at, (y, dy)) in y.iter_mut().zip(dy).enumerate() {
            let (image, o) = (at / plane.output() / s.outputs, at / plane.output() % s.outputs);
            let (row, column) = (at % plane.output() / plane.out_width, at % plane.out_width);
            for k in 0..s.patch() {
                let (c, ky, kx) = (k / s.kernel / s.kernel, k / s.kernel % s.kernel, k % s.kernel);
                let (i, j) = (row * s.stride + ky, column * s.stride + kx);
                let inside = |i: usize, side| i >= s.padding && i < side + s.padding;
                if inside(i, plane.height) && inside(j, plane.width) {
                    let from = (image * s.inputs + c) * plane.input() + (i - s.padding) * plane.width + j - s.padding;
                    let w = f64::from(w[o * s.patch() + k]);
                    *y += w * f64::from(x[from]);
                    dx[from] += w * f64::from(*dy);
                }
            }
        }
        (y, dx)
    }

    #[test]
    fn both_paths_equal_f64() {
        CASES.into_iter().for_each(|case| check(case, numbers, 1e-6));
    }

    /// Kernel to width as above, for Winograd's products: odd sides and channels, panels that cross rows, several blocks.
    const FOR_WINOGRAD: [[usize; 8]; 6] = [
        [3, 1, 1, 33, 50, 1, 24, 23],
        [3, 1, 1, 70, 97, 2, 17, 19],
        [3, 1, 1, 48, 32, 2, 8, 33],
        [3, 1, 1, 32, 64, 1, 32, 32],
        [3, 1, 1, 35, 50, 1, 40, 37],
        [3, 1, 1, 256, 260, 1, 16, 15],
    ];

    /// Small multiples of four are still small whole numbers after all transforms, so that nothing is rounded.
    #[test]
    fn winograd_of_whole_numbers_is_exact() {
        let whole = |count, salt| numbers(count, salt).iter().map(|x| 4.0 * (3.0 * x).round()).collect();
        FOR_WINOGRAD.into_iter().for_each(|case| check(case, whole, 1e-6));
    }

    /// Of other numbers both operands are rounded to eight bits after transforms that amplify the error.
    #[test]
    fn winograd_rounds_twice() {
        FOR_WINOGRAD.into_iter().for_each(|case| check(case, numbers, 5e-3));
    }

    /// Fails if the f32 path is further than 1e-6 from f64, or the bf16 path further than `rounding`.
    fn check(case: [usize; 8], numbers: impl Fn(usize, u64) -> Vec<f32>, rounding: f64) {
        let [kernel, stride, padding, inputs, outputs, batch, height, width] = case;
        let shape = ConvShape { inputs, outputs, kernel, stride, padding };
        let weight = FrozenMatrix::new(outputs, shape.patch(), numbers(outputs * shape.patch(), 1), WeightDtype::Bf16);
        let conv = Conv { shape, weight, bias: Some(Arc::new(FrozenVector::new(numbers(outputs, 2)))) };
        let (dims, plane) = ([batch, inputs, height, width], Plane::new(shape, height, width));
        let (x, dy) = (numbers(dims.iter().product(), 3), numbers(batch * outputs * plane.output(), 4));
        let (y, dx) = exact(&conv, plane, batch, &x, &dy);
        let check = |path: &str, tolerance: f64, ours: (Vec<f32>, Vec<f32>)| {
            for (what, error) in [("y", relative_error(&ours.0, &y)), ("dx", relative_error(&ours.1, &dx))] {
                assert!(error < tolerance, "{shape:?} {path}: {what} differs by {error:e}");
            }
        };
        let weight = conv.weight.reading();
        check("f32", 1e-6, (conv.forward_f32(&x, &dims, &weight), conv.backward_f32(&dims, &dy, &weight)));
        #[cfg(target_arch = "x86_64")]
        match weight.for_bf16() {
            Some(_) => check("bf16", rounding, (conv.forward(&x, &dims), conv.backward(&[], &dims, &dy))),
            None => eprintln!("this processor has no AVX-512 BF16: that path was not tested"),
        }
    }
}
