//! Frozen 2-D convolution by implicit im2col; the tape keeps nothing.
//!
//! One copy of the weight, in the checkpoint's own order [out, in·k·k], serves both directions: forward multiplies it with
//! patches of the input, the backward pass multiplies its transpose with dy and scatters the patches back.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use crate::conv_shape::{ConvShape, Plane, Run, Unpadded};
#[cfg(any(test, feature = "cube"))]
use crate::device::input_gradient;
use crate::device::{FrozenVector, for_convolution, in_precision_of};
use crate::edges::{Edges, wrapped};
use crate::frozen::{FrozenMatrix, Panel, Reading};
use crate::frozen_op::{FrozenOp, SavedForBackward, apply};
use crate::product::{Existing, Extents, OutputRows, View, product, product_into};
use crate::shared_output::{SharedOutput, Target};

/// Pixels of the output that are worked on together: enough for a product to run at full speed, few enough for their
/// patches to stay near the core.
const PIXELS: usize = 768;

/// A frozen convolution.
#[derive(Debug, Clone)]
pub struct FrozenConv(Arc<Conv>, Edges);

#[derive(Debug)]
struct Conv {
    shape: ConvShape,
    weight: FrozenMatrix,
    bias: Option<Arc<FrozenVector>>,
    unpadded: Unpadded,
}

impl FrozenConv {
    /// `weight` is `[out, in·k·k]`, row-major as in checkpoints; `bias` `[out]`.
    pub fn new(shape: ConvShape, weight: FrozenMatrix, bias: Option<Vec<f32>>) -> Self {
        assert_eq!((weight.rows(), weight.columns()), (shape.outputs, shape.patch()));
        assert!(bias.as_ref().is_none_or(|bias| bias.len() == shape.outputs));
        let bias = bias.map(|bias| Arc::new(FrozenVector::new(bias)));
        Self(Arc::new(Conv { shape, weight, bias, unpadded: Unpadded::Direct }), Edges::Zeros)
    }

    /// The bias, `[out]`.
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

    /// Geometry of the convolution.
    pub fn shape(&self) -> ConvShape {
        self.0.shape
    }

    /// The output of the convolution.
    ///
    /// # Shapes
    /// - x: [B, in, H, W]
    /// - output: [B, out, H', W']
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        if self.wraps() {
            return self.without_padding().forward(wrapped(x, self.shape().padding));
        }
        apply(self.0.clone(), x)
    }

    /// The same with these edges; both share their numbers.
    pub fn with_edges(&self, edges: Edges) -> Self {
        Self(self.0.clone(), edges)
    }

    /// Whether what it sees beyond an edge is the other side of the image.
    pub fn wraps(&self) -> bool {
        self.1 == Edges::Wrap && self.shape().padding > 0
    }

    /// The convolution without padding; both share their numbers.
    pub fn without_padding(&self) -> Self {
        let shape = ConvShape { padding: 0, ..self.0.shape };
        Self(Arc::new(Conv { shape, ..self.0.sharing() }), Edges::Zeros)
    }

    /// The same with Winograd's products in bf16 where it is done in bands ([`Self::in_bands`]), as it has them in one
    /// piece: fewer products, and about twice the rounding error. Both share their numbers.
    pub fn with_winograd_in_bands(&self) -> Self {
        Self(Arc::new(Conv { unpadded: Unpadded::Winograd, ..self.0.sharing() }), self.1)
    }

    /// The convolution of bands, which have their padding already, with its numbers at hand. The first row of each band
    /// that is `doubled` is the last one of a pair, but for padding.
    pub(crate) fn of_bands(&self, doubled: bool) -> Self {
        let shape = ConvShape { padding: 0, ..self.0.shape };
        let mut unpadded = self.0.unpadded;
        if doubled && unpadded == Unpadded::Winograd {
            unpadded = Unpadded::WinogradOfDoubled;
        }
        Self(Arc::new(Conv { shape, weight: self.weight().at_hand(), unpadded, ..self.0.sharing() }), Edges::Zeros)
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
        if self.wraps() {
            return self.without_padding().plain_forward(wrapped(x, self.shape().padding));
        }
        self.0.forward_on_device(x)
    }
}

impl Conv {
    /// A convolution that shares its numbers.
    fn sharing(&self) -> Self {
        let Self { shape, weight, bias, unpadded } = self;
        Self { shape: *shape, weight: weight.clone(), bias: bias.clone(), unpadded: *unpadded }
    }

    /// For the kernels in bf16, if the weight is held so and this processor has them.
    #[cfg(target_arch = "x86_64")]
    fn for_bf16<'a>(&'a self, weight: &'a Reading) -> Option<crate::bf16::ConvWeight<'a>> {
        let weight = weight.for_bf16()?;
        let bias = self.bias.as_ref().map(|bias| &***bias);
        Some(crate::bf16::ConvWeight { shape: self.shape, weight, bias, unpadded: self.unpadded })
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
        let taps = self.shape.kernel * self.shape.kernel;
        let stride = self.shape.stride;
        let width = rows.len() * plane.out_width;
        for (index, patch) in patches.chunks_exact_mut(width).enumerate() {
            let channel = &x[index / taps * plane.input()..][..plane.input()];
            patch.fill(0.0);
            plane.runs(index % taps, plane.pixels(&rows), |Run { pixel, input, count }| {
                let target = &mut patch[pixel..pixel + count];
                if stride == 1 {
                    target.copy_from_slice(&channel[input..input + count]);
                } else {
                    target.iter_mut().zip(channel[input..].iter().step_by(stride)).for_each(|(t, x)| *t = *x);
                }
            });
        }
    }

    /// Adds patches back into the channels that they came from.
    fn scatter(&self, patches: &[f32], plane: Plane, rows: Range<usize>, dx: &mut [f32]) {
        let taps = self.shape.kernel * self.shape.kernel;
        let stride = self.shape.stride;
        let width = rows.len() * plane.out_width;
        for (index, patch) in patches.chunks_exact(width).enumerate() {
            let channel = &mut dx[index / taps * plane.input()..][..plane.input()];
            plane.runs(index % taps, plane.pixels(&rows), |Run { pixel, input, count }| {
                let source = &patch[pixel..pixel + count];
                channel[input..].iter_mut().step_by(stride).zip(source).for_each(|(x, p)| *x += *p);
            });
        }
    }

    /// Output channels of one image at the part's output rows: y = W · patches, on this thread; `y` is where the image goes.
    fn multiply(&self, x: &[f32], plane: Plane, part: Part, panel: Panel<'_>, y: Target<'_>, patches: &mut Vec<f32>) {
        let m = part.channels.len();
        let n = part.rows.len() * plane.out_width;
        let k = self.shape.patch();
        let column = part.rows.start * plane.out_width;
        let patches = if self.shape.is_pointwise() {
            View::rows(&x[column..], plane.output())
        } else {
            patches.resize(k * n, 0.0);
            self.gather(x, plane, part.rows.clone(), patches);
            View::rows(patches, n)
        };
        let out = Target { start: y.start + part.channels.start * plane.output() + column, ..y };
        let weight = View::rows(panel.numbers, panel.row_stride);
        // SAFETY: each task writes its own channels and rows.
        unsafe { product_into(Extents { m, n, k }, out, Existing::Replace, weight, patches, 1.0) }
    }

    /// How the work on one image is split: by rows of the output if there are enough, else by channels too.
    fn parts(&self, plane: Plane) -> Vec<Part> {
        let step = self.rows_per_block(plane);
        let blocks = plane.out_height.div_ceil(step);
        let threads = rayon::current_num_threads();
        let outputs = self.shape.outputs;
        let channels = if blocks >= threads { outputs } else { outputs.div_ceil(threads).next_multiple_of(16) };
        let mut parts = Vec::new();
        for row in (0..plane.out_height).step_by(step) {
            let rows = row..(row + step).min(plane.out_height);
            for first in (0..outputs).step_by(channels) {
                parts.push(Part { rows: rows.clone(), channels: first..(first + channels).min(outputs) });
            }
        }
        parts
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
        let device = x.device();
        let s = self.shape;
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
        let weight = self.kernel_on(&dy.device());
        in_precision_of(weight.dtype(), dy, |dy| input_gradient(weight, dy, shape, self.shape))
    }
}

/// In f32, whatever the weight is held in.
impl Conv {
    fn forward_f32(&self, x: &[f32], shape: &[usize], weight: &Reading) -> Vec<f32> {
        let plane = self.plane(shape);
        let image_in = self.shape.inputs * plane.input();
        let image_out = self.shape.outputs * plane.output();
        let mut y = vec![0.0; shape[0] * image_out];
        let shared = SharedOutput::new(&mut y);
        let parts = self.parts(plane);
        (0..shape[0] * parts.len()).into_par_iter().for_each_init(Scratch::default, |scratch, task| {
            let image = task / parts.len();
            let part = parts[task % parts.len()].clone();
            let panel = weight.row_panel(part.channels.clone(), &mut scratch.weight);
            let x = &x[image * image_in..][..image_in];
            let target = Target { output: &shared, start: image * image_out, row_stride: plane.output() };
            self.multiply(x, plane, part, panel, target, &mut scratch.patches);
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
        let outputs = self.shape.outputs;
        let taps = self.shape.kernel * self.shape.kernel;
        let image_in = self.shape.inputs * plane.input();
        let image_out = outputs * plane.output();
        let mut dx = vec![0.0; shape[0] * image_in];
        let shared = SharedOutput::new(&mut dx);
        let block = self.shape.inputs.div_ceil(rayon::current_num_threads()).min(64);
        let blocks = self.shape.inputs.div_ceil(block);
        let step = self.rows_per_block(plane);
        (0..shape[0] * blocks).into_par_iter().for_each_init(
            Scratch::default,
            |Scratch { patches, weight: scratch }, index| {
                let image = index / blocks;
                let first = index % blocks * block;
                let channels = first..(first + block).min(self.shape.inputs);
                let panel = weight.column_panel(channels.start * taps..channels.end * taps, scratch);
                let a = View::rows(panel.numbers, panel.row_stride).transposed();
                // SAFETY: each task writes its own channels of one image.
                let dx =
                    unsafe { shared.part(image * image_in + first * plane.input(), channels.len() * plane.input()) };
                for row in (0..plane.out_height).step_by(step) {
                    let rows = row..(row + step).min(plane.out_height);
                    let m = channels.len() * taps;
                    let n = rows.len() * plane.out_width;
                    let dy = &dy[image * image_out..][..image_out];
                    let b = View::rows(&dy[rows.start * plane.out_width..], plane.output());
                    patches.resize(m * n, 0.0);
                    let out = OutputRows { output: patches, stride: n };
                    product(Extents { m, n, k: outputs }, out, Existing::Replace, a, b, 1.0);
                    self.scatter(patches, plane, rows, dx);
                }
            },
        );
        dx
    }
}

#[cfg(test)]
mod tests;
